"""A file's values as a tree in which every key and value knows its place; the only form that merging and checks see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slimrun.errors import Where
    from slimrun.recipe.model import Key

Plain = str | int | bool | None | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A leaf: its value, and the text that was written.

    `plain` is False for what stood in quotes or in a block; `inset` is how many columns after `where` the text begins,
    None where it does not stand on one line as it is (escapes, blocks, folds). `base` is the folder of its file.
    """

    value: str | int | bool | None
    text: str
    plain: bool
    where: Where
    inset: int | None = None
    base: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list, in order."""

    items: tuple[Node, ...]
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of a mapping and its value."""

    key: str
    where: Where
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A map, in the order it was written; every key occurs once.

    One that is `partial` was not written as a map: it is on the way to the value that `--set a.b=c` means.
    """

    entries: tuple[Entry, ...]
    where: Where
    partial: bool = False

    def __getitem__(self, key: str) -> Node:
        return next(entry.value for entry in self.entries if entry.key == key)

    def find(self, key: str) -> Entry | None:
        """The entry of `key`, or None."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def map_values(self, change: Callable[[Entry], Node]) -> Mapping:
        """The same keys, each with the value that `change` makes of its entry."""
        return replace(self, entries=tuple(replace(entry, value=change(entry)) for entry in self.entries))


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Plain:
    """The node as dict, list and scalars, for jsonschema."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {entry.key: plain(entry.value) for entry in node.entries}


def walk(node: Node, key: Key = ()) -> Iterator[tuple[Key, Where, Node]]:
    """Every key below `node` with its place and value: a map's key stands where it is written, a list's item itself."""
    match node:
        case Sequence():
            for index, item in enumerate(node.items):
                yield (*key, index), item.where, item
                yield from walk(item, (*key, index))
        case Mapping():
            for entry in node.entries:
                yield (*key, entry.key), entry.where, entry.value
                yield from walk(entry.value, (*key, entry.key))
        case Scalar():
            pass


def at(node: Node, key: Key) -> Node | None:
    """The node at `key`, or None where there is nothing."""
    for part in key:
        match node, part:
            case Mapping(), str():
                entry = node.find(part)
                if entry is None:
                    return None
                node = entry.value
            case Sequence(), int() if 0 <= part < len(node.items):
                node = node.items[part]
            case _:
                return None
    return node


def without_nulls(node: Node) -> Node:
    """The node without keys whose value is null: null removes, and an empty `wheels:` says nothing."""
    match node:
        case Mapping():
            kept = tuple(
                replace(entry, value=without_nulls(entry.value))
                for entry in node.entries
                if not (isinstance(entry.value, Scalar) and entry.value.value is None)
            )
            return replace(node, entries=kept)
        case Sequence():
            return replace(node, items=tuple(without_nulls(item) for item in node.items))
        case Scalar():
            return node
