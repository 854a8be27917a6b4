"""Errors, places, problems and reasons: what a person reads, and what survives a process boundary."""

from __future__ import annotations

import pickle

import pytest

from slimrun.errors import BUILT_IN, ImageFailed, Problem, RecipeInvalid, Where
from slimrun.why import Why, printable, setting


@pytest.mark.parametrize(
    ("where", "text"), [(Where("f"), "f"), (Where("f", 3), "f:3"), (Where("f", 3, 4), "f:3:4"), (Where("f", 0, 4), "f")]
)
def test_places(where: Where, text: str) -> None:
    assert str(where) == text


def problem(source: str = "", column: int = 3, hint: str = "") -> Problem:
    return Problem(where=Where("f", 1, column), text="wrong", rule="r", source=source, hint=hint)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (problem(), "f:1:3: error: wrong [r]"),
        (problem("a: b"), "f:1:3: error: wrong [r]\n    a: b\n      ^"),
        (problem("\ta: b", 3, "do"), "f:1:3: error: wrong [r]\n    \ta: b\n    \t ^\n    hint: do"),
        (problem("a: b", 0), "f:1: error: wrong [r]"),
    ],
)
def test_a_problem(given: Problem, text: str) -> None:
    assert given.render() == text


def test_errors() -> None:
    assert ImageFailed("no").render() == "error: no"
    assert ImageFailed("no", hint="do", where=Where("f", 1, 2)).render() == "f:1:2: error: no\n    hint: do"
    both = RecipeInvalid((problem(), problem(column=9)))
    assert both.render() == "f:1:3: error: wrong [r]\nf:1:9: error: wrong [r]"
    assert (both.message, both.where) == ("2 problems", Where("f", 1, 3))


@pytest.mark.parametrize(
    "error", [ImageFailed("no", hint="do", where=Where("f", 1)), RecipeInvalid((problem(hint="x"),))]
)
def test_errors_cross_process_boundaries(error: ImageFailed | RecipeInvalid) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.render(), str(again), again.where) == (error.render(), str(error), error.where)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("libz.so.1 is needed by /lib/é", None),
        ("a\nfatal: all is lost", "a\\nfatal: all is lost"),
        ("\x1b[31mred\r", "\\x1b[31mred\\r"),
        ("bytes \udcff, \u202e", "bytes \\udcff, \\u202e"),
    ],
)
def test_names_of_files_stay_on_their_line(text: str, shown: str | None) -> None:
    assert Why(rule="needed", text=text).text == printable(text) == (shown or text)


def test_a_chain_of_reasons() -> None:
    end = Why(rule="recipe", text="wheels: x", where=Where("f", 2))
    why = Why(rule="needed", text="libz", because=Why(rule="wheel", text="wheel x", because=end))
    assert str(why) == "libz <- wheel x <- wheels: x (f:2)"
    assert [step.rule for step in why.chain()] == ["needed", "wheel", "recipe"]


def test_a_setting_is_a_reason_that_ends_at_its_line() -> None:
    line = Why(rule="recipe", text="python", where=Where("f", 1))
    assert str(setting("level", "prune.level: safe", Where("f", 4), line)) == "prune.level: safe (f:4)"
    said = setting("level", "prune.level: safe", Where("--set prune.level=safe"), line)
    assert str(said) == "prune.level: safe (--set prune.level=safe)"
    assert str(setting("level", "prune.level: small", BUILT_IN, line)) == (
        "prune.level: small, as nobody says otherwise <- python (f:1)"
    )
    assert setting("level", "x", BUILT_IN, None).because is None
