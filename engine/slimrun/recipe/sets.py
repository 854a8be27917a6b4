"""`--set path=value` as the layer of the cascade that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.errors import BadCommandLine, Where
from slimrun.recipe.document import parse_value
from slimrun.recipe.merge import merge
from slimrun.recipe.nodes import Entry, Mapping, Node
from slimrun.recipe.schema import Schema, below, key_paths
from slimrun.recipe.words import near_miss, quoted

if TYPE_CHECKING:
    from pathlib import Path

_NEVER_SET = ("$schema", "extends")


def sets_layer(words: tuple[str, ...], schema: Schema, base: Path) -> Mapping:
    """The tree that `--set` words make, later ones over earlier ones; paths in values start from `base`.

    Raises BadCommandLine for a word without '=' or a path that no recipe has, RecipeInvalid for a value that
    is not YAML.
    """
    layer = Mapping(entries=(), where=Where("--set"))
    for word in words:
        layer = merge(_one(word, schema, base), layer, schema)
    return layer


def _one(word: str, schema: Schema, base: Path) -> Mapping:
    path, equals, text = word.partition("=")
    if not equals or not path:
        message = f"--set {word}: not PATH=VALUE"
        raise BadCommandLine(message, hint="write --set prune.level=safe or --set 'image.tags=[app:1, app:2]'")
    where = Where(f"--set {path}")
    first, *others = _split(path, schema)
    node: Node = parse_value(text, file=where.file, base=base)
    for key in reversed(others):
        node = Mapping(entries=(Entry(key=key, where=where, value=node),), where=where, partial=True)
    return Mapping(entries=(Entry(key=first, where=where, value=node),), where=where)


def _split(path: str, schema: Schema) -> tuple[str, ...]:
    """The keys of a dotted path; below a map with free keys (env, labels) the rest is one key, dots and all."""
    keys: list[str] = []
    rest, here = path, schema
    while rest:
        key, _, after = rest.partition(".")
        if key in here.get("properties", {}) and not (not keys and key in _NEVER_SET):
            keys.append(key)
            rest, here = after, below(here, key)
        elif isinstance(here.get("additionalProperties"), dict):
            return (*keys, rest)
        else:
            raise _unknown(path, schema)
    return tuple(keys)


def _unknown(path: str, schema: Schema) -> BadCommandLine:
    known = [known for known in key_paths(schema) if known not in _NEVER_SET]
    last = path.rsplit(".", 1)[-1]
    close = near_miss(path, known) or next((known for known in known if known.rsplit(".", 1)[-1] == last), None)
    hint = f"did you mean {quoted(close)}?" if close else "'slimrun schema' lists what a recipe can hold"
    return BadCommandLine(f"--set {path}: no recipe has such a key", hint=hint)
