"""YAML as people mean it, and everything that it can do to a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import Invalid, RecipeInvalid, Where
from slimrun.recipe.convert import MAX_DEPTH, MAX_NODES
from slimrun.recipe.document import MAX_BYTES, parse_document, read_document

if TYPE_CHECKING:
    from slimrun.errors import Problem

SCALARS = {
    "3.10": "3.10",
    "1e3": "1e3",
    "no": "no",
    "on": "on",
    "True": "True",
    "012": "012",
    "0644": "0644",
    "0x1F": "0x1F",
    "1:30": "1:30",
    "1_000": "1_000",
    "2024-06-01": "2024-06-01",
    ".inf": ".inf",
    "-1": -1,
    "0": 0,
    "42": 42,
    "9" * 18: int("9" * 18),
    "9" * 5000: "9" * 5000,
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
    "'42'": "42",
    '"true"': "true",
    "!!str 42": "42",
    "=": "=",
}


@pytest.mark.parametrize("written", SCALARS)
def test_scalars(written: str) -> None:
    assert parse_document(f"key: {written}\n", file="f").value == {"key": SCALARS[written]}


def test_keys_are_text() -> None:
    assert parse_document("3.10: a\ntrue: b\n1: c\n", file="f").value == {"3.10": "a", "true": "b", "1": "c"}


def test_places() -> None:
    document = parse_document("a: 1\nb:\n  - x\n  - {c: d}\n", file="f.yaml")
    places = {
        ".".join(map(str, key)): f"{place.line}:{place.column} {value.line}:{value.column}"
        for key, (place, value) in document.places().items()
    }
    assert places == {"a": "1:1 1:4", "b": "2:1 3:3", "b.0": "3:5 3:5", "b.1": "4:5 4:5", "b.1.c": "4:6 4:9"}
    assert document.line(Where("f.yaml", 3, 5)) == "  - x"
    assert document.line(Where("other.yaml", 3, 5)) == ""
    assert document.line(Where("f.yaml", 99)) == ""


def test_aliases_are_values() -> None:
    assert parse_document("a: &x [1, 2]\nb: *x\n", file="f").value == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\x85", "\u2028"])
def test_lines_are_counted_as_yaml_counts_them(break_: str) -> None:
    problem = only(f"a: 1{break_}a: 2{break_}".encode())
    assert (problem.where.line, problem.source) == (2, "a: 2")


def only(data: bytes | str) -> Problem:
    with pytest.raises(RecipeInvalid) as caught:
        parse_document(data, file="f")
    (problem,) = caught.value.problems
    return problem


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join(['*' + before] * 10)}]\n" for before, this in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD: dict[str, tuple[bytes | str, str, int]] = {
    "twice": ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3),
    "merge key": ("a: &a {b: 1}\nc:\n  <<: *a\n", "merge-key", 3),
    "python tag": ("a: !!python/object/apply:os.system [x]\n", "tag", 1),
    "own tag": ("a: !secret x\n", "tag", 1),
    "set": ("a: !!set {x}\n", "tag", 1),
    "wrong number": ("a: !!int x\n", "tag", 1),
    "tab": ("a:\n\tb: 1\n", "tab", 2),
    "two documents": ("a: 1\n---\nb: 1\n", "documents", 2),
    "empty": ("", "not-a-map", 0),
    "comment": ("# nothing\n", "not-a-map", 0),
    "null": ("null\n", "not-a-map", 1),
    "list": ("- a\n", "not-a-map", 1),
    "text": ("hello\n", "not-a-map", 1),
    "latin-1": (b"a: 1\nb: caf\xe9\n", "not-utf-8", 2),
    "utf-16": ("a: 1\n".encode("utf-16"), "not-utf-8", 1),
    "nul": ("a: 1\nb: x\0\n", "character", 2),
    "escape": ("a: \x1b[31m\n", "character", 1),
    "nul as escape": ('a: "\\0"\n', "character", 1),
    "half a pair": ('a: "\\ud800"\n', "character", 1),
    "surrogate": ("a: \udc80\n", "character", 1),
    "no such character": ('a: "\\UFFFFFFFF"\n', "yaml-syntax", 1),
    "huge directive": (f"%YAML 1.{'9' * 5000}\n---\na: 1\n", "yaml-syntax", 1),
    "two colons": ("a: b: c\n", "yaml-syntax", 1),
    "unclosed": ("a: [1\nb: 2\n", "yaml-syntax", 2),
    "at sign": ("a: @x\n", "yaml-syntax", 1),
    "no anchor": ("a: *x\n", "yaml-syntax", 1),
    "list as key": ("? [a]\n: b\n", "bad-key", 1),
    "bomb": (BOMB, "too-much", 1),
    "deep": ("a: " + "[" * 50_000, "too-much", 1),
    "deep map": ("".join(f"{' ' * depth}a:\n" for depth in range(200)), "too-much", 32),
    "inside itself": ("a: &a [*a]\n", "too-much", 1),
    "too large": (b"#" * (MAX_BYTES + 1), "too-much", 0),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_yaml(name: str) -> None:
    data, rule, line = BAD[name]
    problem = only(data)
    assert (problem.rule, problem.where.line) == (rule, line)
    assert "\n" not in problem.text
    problem.render().encode("utf-8")


def test_both_places_of_a_double_key() -> None:
    assert "f:1:1" in only("a: 1\na: 2\n").text


def test_several_problems_come_at_once() -> None:
    with pytest.raises(RecipeInvalid) as caught:
        parse_document("a: !x 1\nb: 1\nb: 2\n<<: {}\n", file="f")
    assert [problem.rule for problem in caught.value.problems] == ["tag", "duplicate-key", "merge-key"]


def test_values_are_counted_as_written_out_not_as_stored() -> None:
    """A billion-laughs file stops after MAX_NODES visits; the bound is a count, so no clock is needed."""
    fits = (MAX_NODES - 10) // 10
    lists = f"a: &a [{', '.join(['1'] * 8)}]\nb: [{', '.join(['*a'] * (fits - 20))}]\n"
    parse_document(lists, file="f")
    assert str(MAX_NODES) in only(BOMB).text


def test_depth_that_is_allowed() -> None:
    depth = MAX_DEPTH - 2
    parse_document("a: " + "[" * depth + "]" * depth, file="f")


def test_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(Invalid) as caught:
            read_document(path)
        assert caught.value.where == Where(str(path))


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert read_document(path).value == {"a": 1}
    assert Path(read_document(path).file) == path
