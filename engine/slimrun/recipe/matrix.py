"""The images that one entry of a catalog stands for: every combination of its matrix, less what `exclude` takes out."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from slimrun.errors import Problem
from slimrun.recipe.nodes import Entry, Mapping, Scalar, Sequence
from slimrun.recipe.words import names, near_miss, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.errors import Where
    from slimrun.recipe.nodes import Node

# A catalog of a hundred images is a large one; a matrix that grows past this was not meant.
MOST = 1000

Combination = tuple[Entry, ...]


def combinations(
    matrix: Mapping, exclude: tuple[Node, ...], where: Where
) -> tuple[tuple[Combination, ...], tuple[Problem, ...]]:
    """Every combination that is left, the last list changing fastest, each value under its variable's name; and what is wrong.

    A matrix without lists stands for one image. `where` is the place of the key.
    """
    problems = [problem for entry in matrix.entries for problem in _twice(entry)]
    count = 1
    for entry in matrix.entries:
        count *= len(_items(entry))
    if count > MOST:
        text = f"this matrix has {count} combinations, and {MOST} is the most"
        return (), (*problems, Problem(where=where, text=text, rule="too-much", hint="write several entries"))
    everything = tuple(
        tuple(
            Entry(key=entry.key, where=value.where, value=value)
            for entry, value in zip(matrix.entries, row, strict=True)
        )
        for row in product(*(_items(entry) for entry in matrix.entries))
    )
    left = everything
    for item in exclude:
        if isinstance(item, Mapping):
            problems += _complaints(item, matrix, everything)
            left = tuple(row for row in left if not _fits(row, item))
    if not left and not problems:
        text = "what is excluded leaves no combination of this matrix"
        problems.append(Problem(where=where, text=text, rule="exclude-all", hint="leave the whole entry out"))
    return left, tuple(problems)


def _items(entry: Entry) -> tuple[Node, ...]:
    return entry.value.items if isinstance(entry.value, Sequence) else ()


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _twice(entry: Entry) -> Iterator[Problem]:
    seen: set[str] = set()
    for item in _items(entry):
        if _text(item) in seen:
            text = f"{quoted(_text(item))} occurs twice in the list of {quoted(entry.key)}"
            yield Problem(where=item.where, text=text, rule="duplicate-value", hint="keep one of them")
        seen.add(_text(item))


def _fits(row: Combination, exclude: Mapping) -> bool:
    values = {entry.key: _text(entry.value) for entry in row}
    return all(values.get(entry.key) == _text(entry.value) for entry in exclude.entries)


def _complaints(exclude: Mapping, matrix: Mapping, everything: tuple[Combination, ...]) -> Iterator[Problem]:
    known = [entry.key for entry in matrix.entries]
    unknown = [entry for entry in exclude.entries if entry.key not in known]
    for entry in unknown:
        close = near_miss(entry.key, known)
        hint = f"did you mean {quoted(close)}?" if close else f"the matrix has {names(known) or 'no lists'}"
        text = f"{quoted(entry.key)} is no list of this matrix"
        yield Problem(where=entry.where, text=text, rule="exclude-unknown", hint=hint)
    if not exclude.entries:
        text = "an exclude without values would take out everything"
        yield Problem(
            where=exclude.where, text=text, rule="exclude-all", hint="name the values that do not go together"
        )
    elif not unknown and not any(_fits(row, exclude) for row in everything):
        said = ", ".join(f"{entry.key}: {_text(entry.value)}" for entry in exclude.entries)
        text = f"{quoted(said)} matches no combination of the matrix"
        yield Problem(where=exclude.where, text=text, rule="exclude-nothing", hint=_values(exclude, matrix))


def _values(exclude: Mapping, matrix: Mapping) -> str:
    """The values there are, of the first list that lacks the one that was named."""
    for entry in exclude.entries:
        there = matrix.find(entry.key)
        values = [_text(item) for item in _items(there)] if there else []
        if _text(entry.value) not in values:
            return f"{quoted(entry.key)} has {names(values)}"
    return ""
