"""Nodes of a tree that passed its schema and has every key → Python values.

A node of another kind is a fault of ours, not of a person: TypeError.
"""

from __future__ import annotations

from slimrun.recipe.model import Glob, Pairs, Text
from slimrun.recipe.nodes import Mapping, Node, Scalar, Sequence


def text(node: Node) -> str:
    """A string."""
    match node:
        case Scalar(value=str(value)):
            return value
    raise TypeError(node)


def optional_text(node: Node) -> str | None:
    """A string, or None for null."""
    return None if is_unset(node) else text(node)


def number(node: Node) -> int:
    """A whole number."""
    match node:
        case Scalar(value=int(value)) if not isinstance(value, bool):
            return value
    raise TypeError(node)


def optional_number(node: Node) -> int | None:
    """A whole number, or None for null."""
    return None if is_unset(node) else number(node)


def flag(node: Node) -> bool:
    """True or false."""
    match node:
        case Scalar(value=bool(value)):
            return value
    raise TypeError(node)


def optional_flag(node: Node) -> bool | None:
    """True, false, or None for null."""
    return None if is_unset(node) else flag(node)


def items(node: Node) -> tuple[Node, ...]:
    """The items of a list."""
    match node:
        case Sequence(items=found):
            return found
    raise TypeError(node)


def texts(node: Node) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(text(item) for item in items(node))


def placed(node: Node) -> tuple[Text, ...]:
    """A list of strings, each with its place."""
    return tuple(Text(text=text(item), where=item.where) for item in items(node))


def globs(node: Node) -> tuple[Glob, ...]:
    """A list of patterns, each with its place."""
    return tuple(Glob(text=text(item), where=item.where) for item in items(node))


def mapping(node: Node) -> Mapping:
    """A map."""
    if isinstance(node, Mapping):
        return node
    raise TypeError(node)


def pairs(node: Node) -> Pairs:
    """A map of strings as (key, value), sorted by key: the order in a file means nothing."""
    return tuple(sorted((entry.key, text(entry.value)) for entry in mapping(node).entries))


def is_unset(node: Node) -> bool:
    """Whether the node is null: no value, and no default that is one."""
    return isinstance(node, Scalar) and node.value is None
