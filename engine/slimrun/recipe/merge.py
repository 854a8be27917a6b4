"""One layer over another: maps merge by key, scalars and lists replace, null removes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.recipe.nodes import Mapping, Node
from slimrun.recipe.schema import Schema, below

if TYPE_CHECKING:
    from slimrun.recipe.nodes import Entry


def merge(over: Mapping, under: Mapping, schema: Schema) -> Mapping:
    """`over` with what only `under` has, in `under`'s order first; a null of `over` stays null and so hides.

    A map that allows exactly one key (`python`) is replaced whole: two base builds never mix. A path of `--set` reaches into it,
    where it has that key.
    """
    inherited = tuple(_entry(over, entry, schema) for entry in under.entries)
    new = tuple(entry for entry in over.entries if under.find(entry.key) is None)
    return Mapping(entries=inherited + new, where=over.where, partial=over.partial and under.partial)


def _entry(over: Mapping, entry: Entry, schema: Schema) -> Entry:
    own = over.find(entry.key)
    if own is None:
        return entry
    value = _value(own.value, entry.value, below(schema, entry.key))
    # A path of --set leads through a map that stands where it was written.
    passes = isinstance(own.value, Mapping) and own.value.partial and value is not own.value
    return replace(entry if passes else own, value=value)


def _value(over: Node, under: Node, schema: Schema) -> Node:
    if not isinstance(over, Mapping) or not isinstance(under, Mapping):
        return over
    reaches_in = over.partial and all(under.find(entry.key) for entry in over.entries)
    if schema.get("maxProperties") == 1 and not reaches_in:
        return over
    return merge(over, under, schema)
