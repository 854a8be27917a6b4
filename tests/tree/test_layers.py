"""Layers over layers: whiteouts, opaque folders, hard links to lower layers, changes of type."""

from __future__ import annotations

import itertools

import pytest
from tests.treetext import content, entry

from slimrun.errors import BadArchive
from slimrun.tree.layers import apply_layers
from slimrun.tree.tar import Member

Rows = tuple[tuple[str, str], ...]


def layer(rows: Rows) -> tuple[Member, ...]:
    """`hard TARGET` is a hard link; everything else a row of treetext."""
    found = []
    for path, row in rows:
        kind, _, target = row.partition(" ")
        found.append(Member(path, None, target) if kind == "hard" else Member(path, entry(row)))
    return tuple(found)


FILE, EMPTY = "file 0644 ", "file 0644"
LOWER: Rows = (
    ("/d", "dir 0755"),
    ("/d/a", FILE + "1"),
    ("/d/s", "dir 0755"),
    ("/d/s/b", FILE + "2"),
    ("/dx", FILE + "3"),
)
WHOLE = {"/d": "dir 0755", "/d/a": "1", "/d/s": "dir 0755", "/d/s/b": "2", "/dx": "3"}

TABLE: dict[str, tuple[Rows, dict[str, str]]] = {
    "nothing": ((), WHOLE),
    "the root": ((("/", "dir 0700"),), WHOLE),
    "a file again": ((("/d/a", FILE + "9"),), WHOLE | {"/d/a": "9"}),
    "a folder's mode": ((("/d", "dir 0700"),), WHOLE | {"/d": "dir 0700"}),
    "a whiteout of a file": ((("/d/.wh.a", EMPTY),), {"/d": "dir 0755", "/d/s": "dir 0755", "/d/s/b": "2", "/dx": "3"}),
    "a whiteout of a folder": ((("/.wh.d", EMPTY),), {"/dx": "3"}),
    "a whiteout of nothing": ((("/.wh.none", EMPTY), ("/none/.wh.x", EMPTY)), WHOLE),
    "a whiteout of a whiteout's name": ((("/.wh..wh.x", EMPTY),), WHOLE),
    "a whiteout, and the file anew": ((("/d/.wh.a", EMPTY), ("/d/a", FILE + "9")), WHOLE | {"/d/a": "9"}),
    "a whiteout, and the folder anew": (
        (("/.wh.d", EMPTY), ("/d", "dir 0700"), ("/d/n", FILE + "9")),
        {"/d": "dir 0700", "/d/n": "9", "/dx": "3"},
    ),
    "opaque": (
        (("/d", "dir 0755"), ("/d/.wh..wh..opq", EMPTY), ("/d/n", FILE + "9")),
        {"/d": "dir 0755", "/d/n": "9", "/dx": "3"},
    ),
    "opaque at the root": ((("/.wh..wh..opq", EMPTY), ("/n", FILE + "9")), {"/n": "9"}),
    "a folder becomes a link": ((("/d", "symlink dx"),), {"/d": "symlink dx", "/dx": "3"}),
    "a folder becomes a file": ((("/d", FILE + "9"),), {"/d": "9", "/dx": "3"}),
    "a file becomes a folder": (
        (("/dx", "dir 0755"), ("/dx/n", FILE + "9")),
        {path: row for path, row in WHOLE.items() if path != "/dx"} | {"/dx": "dir 0755", "/dx/n": "9"},
    ),
    "a file becomes a device": ((("/dx", "char 1:3"),), WHOLE | {"/dx": "char 0644"}),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_layer_over_another(name: str) -> None:
    rows, expected = TABLE[name]
    assert content(apply_layers([layer(LOWER), layer(rows)])) == dict(sorted(expected.items()))


@pytest.mark.parametrize("name", [name for name in TABLE if "becomes" not in name])
def test_order_inside_a_layer_means_nothing_to_markers(name: str) -> None:
    rows, expected = TABLE[name]
    for order in itertools.permutations(rows):
        assert content(apply_layers([layer(LOWER), layer(order)])) == dict(sorted(expected.items()))


def test_what_an_opaque_folder_hides_stays_hidden_from_the_third_layer() -> None:
    third: Rows = (("/d/a", FILE + "8"),)
    found = apply_layers([layer(LOWER), layer((("/d/.wh..wh..opq", EMPTY),)), layer(third)])
    assert content(found) == {"/d": "dir 0755", "/d/a": "8", "/dx": "3"}


def test_a_hard_link_to_a_lower_layer() -> None:
    found = apply_layers([layer(LOWER), layer((("/h", "hard /d/a"), ("/i", "hard /h")))])
    assert [found[path].inode for path in ("/d/a", "/h", "/i")] == ["/d/a"] * 3
    assert content(found)["/i"] == "1"


@pytest.mark.parametrize("target", ["/none", "/d"])
def test_a_hard_link_to_no_file(target: str) -> None:
    with pytest.raises(BadArchive, match="not a file before it"):
        apply_layers([layer(LOWER), layer((("/h", f"hard {target}"),))])


def test_a_whiteout_wins_over_a_hard_link_to_what_it_hides() -> None:
    with pytest.raises(BadArchive, match="not a file before it"):
        apply_layers([layer(LOWER), layer((("/h", "hard /d/a"), ("/d/.wh.a", EMPTY)))])


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_a_whiteout_of_no_name(name: str) -> None:
    with pytest.raises(BadArchive, match="names no file of its folder"):
        apply_layers([layer(LOWER), layer(((f"/d/{name}", EMPTY),))])


def test_no_layers() -> None:
    assert content(apply_layers([])) == {}
