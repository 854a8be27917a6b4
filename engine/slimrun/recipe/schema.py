"""The schemas as published, and as they are after merging; what a schema says about one key.

The published schema admits `${…}`, null (it removes an inherited key) and a missing `python` (a parent may have it), so
that an editor never marks a valid file. It is used as it is on each file, and `strict` on what merging makes of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from slimrun.recipe.nodes import Mapping, Node, Scalar, Sequence
from slimrun.resources import schema_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]


def load_schema(kind: str) -> Schema:
    """The published schema of `recipe` or `slim`, without the rule that only editors need (`python` or `extends`)."""
    schema: Schema = json.loads(schema_text(kind))
    return {key: value for key, value in schema.items() if key not in ("if", "else")}


def strict(schema: Schema, *, required: tuple[str, ...] = ()) -> Schema:
    """The schema for merged values: no null, no `${…}`, patterns to the last character, and `required` at the top."""
    tightened: Schema = _tighten(schema)
    return {**tightened, "required": list(required)} if required else tightened


def _tighten(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_tighten(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _tighten(value) for key, value in schema.items()}
    if isinstance(schema.get("type"), list):
        result["type"] = [kind for kind in schema["type"] if kind != "null"]
    if isinstance(schema.get("pattern"), str):
        result["pattern"] = schema["pattern"].removesuffix(r"|\$\{").removesuffix("$") + r"\Z"
    return result


def types_of(schema: Schema) -> list[str]:
    """The types that a schema allows, null left out."""
    kinds = schema.get("type", [])
    return [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]


def choices(schema: Schema) -> list[str]:
    """The words of a pattern that is a choice among words, such as `^(?:none|safe)$`; else none."""
    match = re.fullmatch(r"\^\(\?:([a-z0-9_]+(?:\|[a-z0-9_]+)+)\)(?:\$\|\\\$\\\{|\\Z)", schema.get("pattern", ""))
    return match[1].split("|") if match else []


def below(schema: Schema, part: str | int) -> Schema:
    """The schema of a key or an item; {} where anything goes."""
    if isinstance(part, int):
        found = schema.get("items", {})
    else:
        found = schema.get("properties", {}).get(part, schema.get("additionalProperties", {}))
    return found if isinstance(found, dict) else {}


def as_text(node: Node, schema: Schema) -> Node:
    """The node with text where the schema wants text: `name: 12` is "12", `mode: 0644` stays "0644"."""
    match node:
        case Scalar(plain=True, value=int()) if "string" in types_of(schema):
            return Scalar(
                value=node.text, text=node.text, plain=True, where=node.where, inset=node.inset, base=node.base
            )
        case Sequence():
            return Sequence(items=tuple(as_text(item, below(schema, 0)) for item in node.items), where=node.where)
        case Mapping():
            return node.map_values(lambda entry: as_text(entry.value, below(schema, entry.key)))
        case _:
            return node


def key_paths(schema: Schema, prefix: str = "") -> Iterator[str]:
    """Every key that has a fixed name, dotted: `prune`, `prune.level`; not the keys of list items."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from key_paths(inner, f"{prefix}{name}.")
