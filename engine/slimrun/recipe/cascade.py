"""Which of several values counts: the whole order of precedence, as one visible list."""

from __future__ import annotations

from functools import reduce
from typing import Any

from slimrun.errors import BUILT_IN
from slimrun.recipe.merge import merge
from slimrun.recipe.nodes import Entry, Mapping, Node, Scalar, Sequence
from slimrun.recipe.schema import Schema, below


def cascade(
    *,
    extra_vars: Mapping,
    sets: Mapping,
    catalog_image: Mapping,
    recipe: Mapping,
    parents: tuple[Mapping, ...],
    catalog_defaults: Mapping,
    slim_defaults: Mapping,
    schema: Schema,
) -> Mapping:
    """One tree out of all layers that a person wrote, the strongest first; each value keeps its place.

    The tree itself stands where the recipe does: that is the file to write a missing key into.
    """
    layers = (extra_vars, sets, catalog_image, recipe, *parents, catalog_defaults, slim_defaults)
    merged = reduce(lambda over, under: merge(over, under, schema), layers)
    return Mapping(entries=merged.entries, where=recipe.where)


def with_built_in(node: Node, schema: Schema) -> Node:
    """The weakest layer: every key that is not there gets its default (null: unset), in items of lists too."""
    match node:
        case Mapping():
            filled = node.map_values(lambda entry: with_built_in(entry.value, below(schema, entry.key)))
            missing = tuple(
                Entry(key=key, where=BUILT_IN, value=with_built_in(_built_in(inner.get("default")), inner))
                for key, inner in schema.get("properties", {}).items()
                if filled.find(key) is None
            )
            return Mapping(entries=filled.entries + missing, where=filled.where)
        case Sequence():
            items = tuple(with_built_in(item, below(schema, 0)) for item in node.items)
            return Sequence(items=items, where=node.where)
        case Scalar():
            return node


def _built_in(value: Any) -> Node:
    match value:
        case dict():
            entries = tuple(Entry(key=key, where=BUILT_IN, value=_built_in(inner)) for key, inner in value.items())
            return Mapping(entries=entries, where=BUILT_IN)
        case list():
            return Sequence(items=tuple(_built_in(item) for item in value), where=BUILT_IN)
        case _:
            return Scalar(value=value, text=str(value), plain=False, where=BUILT_IN)
