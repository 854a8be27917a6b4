"""Paths that a recipe names: they are there, and they stay inside the repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slimrun.errors import Problem
from slimrun.recipe.nodes import Mapping, Node, Scalar, Sequence, at
from slimrun.recipe.places import reason, siblings_hint
from slimrun.recipe.repository import repository_root
from slimrun.recipe.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WHEEL_PATH = re.compile(r"-r .*|\.\.?/(?:.*\.whl|.*/)?")


def check_paths(root: Mapping) -> tuple[Problem, ...]:
    """What is wrong with `files[].from`, paths in `wheels` and `pip.constraints`, in any state of the rest."""
    return tuple(problem for scalar, path in _named_paths(root) if (problem := _check(scalar, path)) is not None)


def _named_paths(root: Mapping) -> Iterator[tuple[Scalar, str]]:
    for item in _items(root, "files"):
        source = at(item, ("from",))
        if isinstance(source, Scalar):
            yield source, source.text
    for item in _items(root, "wheels"):
        if isinstance(item, Scalar) and _WHEEL_PATH.fullmatch(item.text):
            yield item, item.text.removeprefix("-r ").strip()
    constraints = at(root, ("pip", "constraints"))
    if isinstance(constraints, Scalar):
        yield constraints, constraints.text


def _items(root: Mapping, key: str) -> tuple[Node, ...]:
    found = at(root, (key,))
    return found.items if isinstance(found, Sequence) else ()


def _check(scalar: Scalar, path: str) -> Problem | None:
    if not path or path.startswith("/") or scalar.base is None:
        return None  # the format says it
    try:
        return _complaint(scalar, path, scalar.base)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, no permission
        text = f"{quoted(path)} cannot be read: {reason(error)}"
        return Problem(where=scalar.where, text=text, rule="path-unreadable")


def _complaint(scalar: Scalar, path: str, base: Path) -> Problem | None:
    target = base / path
    root = repository_root(base)
    if not target.resolve().is_relative_to(root.resolve()):
        text = f"{quoted(path)} leads out of the repository"
        hint = "copy what is wanted into the repository"
        return Problem(where=scalar.where, text=text, rule="path-outside", hint=hint)
    if not target.exists():
        text = f"{quoted(path)} is not there"
        return Problem(where=scalar.where, text=text, rule="path-missing", hint=siblings_hint(target))
    return None
