"""docs/recipe.md, docs/catalog.md and docs/slim.md out of the schemas, so that the references cannot fall behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from slimrun.recipe.schema import Schema, choices, load_schema, types_of
from slimrun.resources import recipe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Recipes

<!-- Made by slimrun.recipe.docs from schemas/recipe.schema.json; `pytest --update-golden` writes it anew. -->

A recipe says what one image holds: a Python, its wheels, what they stand on, and what must work. It is a YAML file:

```yaml
{example}```

Plain values are `true`, `false`, `null`, whole numbers, and text: `3.10`, `no` and `0644` stay what was written.
A key occurs once, an unknown key is an error, and `null` removes what a parent recipe or slim.yaml says.
`${{name}}` in a string is a variable of `vars` or `-e`, `${{name:-text}}` one with a default, and `$$` a dollar sign.
Values of variables are not looked into again. Paths start from the file that they stand in.

What counts, the first that is there: `-e` and `--set`, the image's entry in a [catalog](catalog.md), the recipe, its parents,
`defaults` of the catalog, `defaults` of [slim.yaml](slim.md), the default.
"""


_CATALOG = """\
# Catalogs

<!-- Made by slimrun.recipe.docs from schemas/catalog.schema.json; `pytest --update-golden` writes it anew. -->

A file with `images:` is a catalog: many images that one command makes. [repositories.md](repositories.md) shows one at work.

What counts for a key of a recipe, the first that is there: `-e` and `--set`, the catalog's image (its `name`, `set`, `vars` and
matrix), the recipe, its parents, `defaults` of the catalog, `defaults` of slim.yaml, the default. Paths in `set` and `defaults`
start from the catalog. Two images of one name, or of one tag, are an error.
"""

_SLIM = """\
# slim.yaml

<!-- Made by slimrun.recipe.docs from schemas/slim.schema.json; `pytest --update-golden` writes it anew. -->

One a repository: what all its recipes share. It is found by walking up from the recipe or catalog to the folder that holds
`.git`; the first one counts, and several are never merged. `--config FILE` and `$SLIMRUN_CONFIG` come before. All keys are
optional, and paths start from the file.
"""


def render_reference(kind: str) -> str:
    """The whole text of docs/KIND.md: one section a key, one table row a key below it."""
    schema = load_schema(kind)
    sections = [_section(key, inner) for key, inner in schema["properties"].items()]
    return "\n".join([_head(kind), *sections]).rstrip() + "\n"


def _head(kind: str) -> str:
    if kind == "recipe":
        return _HEAD.format(example=recipe_text("py37-psycopg").split("\n", 1)[1])
    return {"catalog": _CATALOG, "slim": _SLIM}[kind]


def _section(key: str, schema: Schema) -> str:
    lines = [f"## `{key}`", "", schema["description"], "", f"Type: {_type(schema)}{_default(schema)}.", ""]
    rows = list(_rows(key, schema))
    if rows:
        lines += ["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    lines += ["```yaml", _example(key, schema["examples"][0]), "```", ""]
    return "\n".join(lines)


def _rows(prefix: str, schema: Schema) -> Iterator[str]:
    in_items = schema.get("items", {})
    ending = "[]" if "properties" in in_items else ""
    holder = in_items if ending else schema
    required = holder.get("required", ())
    for key, inner in holder.get("properties", {}).items():
        path = f"{prefix}{ending}.{key}"
        default = "required" if key in required else _value(inner.get("default"))
        yield f"| `{path}` | {_cell(_type(inner))} | {_cell(default)} | {_cell(inner['description'])} |"
        yield from _rows(path, inner)


def _type(schema: Schema) -> str:
    words = choices(schema)
    if words:
        return " or ".join(f"`{word}`" for word in words)
    kinds = types_of(schema)
    if kinds == ["array"]:
        inner = schema["items"]
        return "list of maps" if "properties" in inner else f"list of {_type(inner).replace('map of', 'maps of')}"
    if kinds == ["object"]:
        inner = schema.get("additionalProperties")
        lists = isinstance(inner, dict) and types_of(inner) == ["array"]
        return "map" if "properties" in schema or inner is True else f"map of names to {'lists' if lists else 'values'}"
    if "string" in kinds:
        return schema["format"].replace("-", " ") if "format" in schema else "text"
    return {"boolean": "true or false", "integer": "whole number"}[kinds[0]]


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "" if default is None else f", default {_value(default)}"


def _value(value: object) -> str:
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _example(key: str, value: object) -> str:
    text: str = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=1000)
    return text.rstrip()
