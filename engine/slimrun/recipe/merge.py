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

    A map that allows exactly one key (`python`) is replaced whole: two base builds never mix.
    """
    inherited = tuple(_entry(over, entry, schema) for entry in under.entries)
    new = tuple(entry for entry in over.entries if under.find(entry.key) is None)
    return Mapping(entries=inherited + new, where=over.where)


def _entry(over: Mapping, entry: Entry, schema: Schema) -> Entry:
    own = over.find(entry.key)
    if own is None:
        return entry
    return replace(own, value=_value(own.value, entry.value, below(schema, entry.key)))


def _value(over: Node, under: Node, schema: Schema) -> Node:
    whole = schema.get("maxProperties") == 1
    if isinstance(over, Mapping) and isinstance(under, Mapping) and not whole:
        return merge(over, under, schema)
    return over
