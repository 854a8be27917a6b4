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
    found = ((_check(scalar, path, file_only=file_only)) for scalar, path, file_only in _named_paths(root))
    return tuple(problem for problem in found if problem is not None)


def _named_paths(root: Mapping) -> Iterator[tuple[Scalar, str, bool]]:
    """Where a path stands, the path, and whether it must be a file."""
    for item in _items(root, "files"):
        source = at(item, ("from",))
        if isinstance(source, Scalar):
            yield source, source.text, False
    for item in _items(root, "wheels"):
        if isinstance(item, Scalar) and _WHEEL_PATH.fullmatch(item.text):
            yield item, item.text.removeprefix("-r ").strip(), item.text.startswith("-r ")
    constraints = at(root, ("pip", "constraints"))
    if isinstance(constraints, Scalar):
        yield constraints, constraints.text, True


def _items(root: Mapping, key: str) -> tuple[Node, ...]:
    found = at(root, (key,))
    return found.items if isinstance(found, Sequence) else ()


def _check(scalar: Scalar, path: str, *, file_only: bool) -> Problem | None:
    if not path or path.startswith("/") or scalar.base is None:
        return None  # the format says it
    try:
        return _complaint(scalar, path, scalar.base, file_only=file_only)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, no permission
        text = f"{quoted(path)} cannot be read: {reason(error)}"
        return Problem(where=scalar.where, text=text, rule="path-unreadable")


def _complaint(scalar: Scalar, path: str, base: Path, *, file_only: bool) -> Problem | None:
    target = base / path
    root = repository_root(base)
    if not target.resolve().is_relative_to(root.resolve()):
        text = f"{quoted(path)} leads out of the repository"
        hint = "copy what is wanted into the repository"
        return Problem(where=scalar.where, text=text, rule="path-outside", hint=hint)
    if not target.exists():
        text = f"{quoted(path)} is not there"
        return Problem(where=scalar.where, text=text, rule="path-missing", hint=siblings_hint(target))
    if not target.is_file() and (file_only or not target.is_dir()):
        # A pipe would be read for ever, a device without end.
        text = f"{quoted(path)} is {'a folder' if target.is_dir() else 'a pipe, a socket or a device'}, not a file"
        return Problem(where=scalar.where, text=text, rule="path-kind")
    return None
