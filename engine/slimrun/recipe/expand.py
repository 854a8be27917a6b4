"""What the entries of a catalog stand for, before any recipe is read: a path and a layer of recipe keys for each image."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slimrun.errors import Problem, Where
from slimrun.recipe.matrix import combinations
from slimrun.recipe.merge import merge
from slimrun.recipe.nodes import Entry, Mapping, Node, Scalar, Sequence, at
from slimrun.recipe.problems import check
from slimrun.recipe.schema import as_text, load_schema
from slimrun.recipe.variables import extra_vars_layer, interpolate
from slimrun.recipe.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingOf
    from pathlib import Path

    from slimrun.recipe.problems import Memory

_NOT_IN_NAME = re.compile("[^a-z0-9._-]+")
NOTHING = Mapping(entries=(), where=Where("catalog"))
# Keys that a catalog says elsewhere, or that belong to one file, and what to do instead.
_NOT_IN_SET = {
    "extends": "write it into the recipe",
    "name": "write it beside 'set', as the entry's own 'name'",
    "vars": "write them beside 'set', as the entry's own 'vars'",
}
_NOT_A_DEFAULT = {"extends": "write it into the recipe", "name": "write it into an entry of 'images'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An image before its recipe is read; `matrix` is the place of the lists that it is a row of, None without."""

    path: Path
    layer: Mapping
    groups: tuple[str, ...]
    place: Where
    recipe_place: Where
    matrix: Where | None


def _mapping(node: Node) -> Mapping:
    return node if isinstance(node, Mapping) else NOTHING


def _child(node: Node, key: str) -> Node | None:
    """The value of a key, None where it is not there or null."""
    found = at(node, (key,))
    return None if isinstance(found, Scalar) and found.value is None else found


def recipe_keys(node: Node | None) -> Mapping:
    """A map of recipe keys, with text where recipes want text; nothing where there is none."""
    return _mapping(as_text(node, load_schema("recipe"))) if isinstance(node, Mapping) else NOTHING


def fit_name(root: Mapping, image: Mapping) -> Mapping:
    """The recipe with the name that a catalog made of variables, each run of what a name cannot hold written as '-'.

    A matrix over images has values such as `busybox:glibc`; two names that become one are found as such.
    """
    written = at(image, ("name",))
    if not (isinstance(written, Scalar) and "${" in written.text):
        return root

    def fit(entry: Entry) -> Node:
        if entry.key != "name" or not isinstance(entry.value, Scalar) or entry.where != written.where:
            return entry.value
        text = _NOT_IN_NAME.sub("-", entry.value.text.lower()).strip("-._")
        return replace(entry.value, value=text, text=text)

    return root.map_values(fit)


def _entries(root: Mapping) -> tuple[Node, ...]:
    images = at(root, ("images",))
    return images.items if isinstance(images, Sequence) else ()


def misplaced(root: Mapping, memory: Memory | None) -> Iterator[Problem]:
    """What is wrong with the recipe keys that a catalog holds."""
    yield from _keys_of(at(root, ("defaults",)), "'defaults'", _NOT_A_DEFAULT, memory)
    for entry in _entries(root):
        yield from _keys_of(at(entry, ("set",)), "'set'", _NOT_IN_SET, memory)


def _keys_of(node: Node | None, owner: str, forbidden: dict[str, str], memory: Memory | None) -> Iterator[Problem]:
    if not isinstance(node, Mapping):
        return
    for key, hint in forbidden.items():
        entry = node.find(key)
        if entry is not None:
            text = f"'{key}' does not belong in {owner}"
            yield Problem(where=entry.where, text=text, rule="not-here", hint=hint)
    yield from check(recipe_keys(node), load_schema("recipe"), formats=False, memory=memory)


def expand(root: Mapping, folder: Path, extra_vars: MappingOf[str, str]) -> tuple[list[Wanted], dict[Problem, None]]:
    """Every image of every entry, and what is wrong with the entries, each once."""
    wanted: list[Wanted] = []
    problems: dict[Problem, None] = {}
    for entry in _entries(root):
        lists = _mapping(_child(entry, "matrix") or NOTHING)
        taken_out, where = _child(entry, "exclude"), _key_place(entry, "matrix")
        rows, found = combinations(lists, taken_out.items if isinstance(taken_out, Sequence) else (), where)
        problems.update(dict.fromkeys((*found, *_said_twice(entry, lists))))
        for row in rows:
            item, wrong = _wanted(entry, row, folder, extra_vars)
            problems.update(dict.fromkeys(wrong))
            wanted += [item] if item else []
    return wanted, problems


def _key_place(entry: Node, key: str) -> Where:
    found = _mapping(entry).find(key)
    return found.where if found else entry.where


def _said_twice(entry: Node, lists: Mapping) -> Iterator[Problem]:
    values = _mapping(_child(entry, "vars") or NOTHING)
    for item in values.entries:
        if lists.find(item.key):
            text = f"{quoted(item.key)} stands in 'vars' and in 'matrix'"
            yield Problem(where=item.where, text=text, rule="duplicate-variable", hint="keep one of them")


def _wanted(
    entry: Node, row: tuple[Entry, ...], folder: Path, extra_vars: MappingOf[str, str]
) -> tuple[Wanted | None, tuple[Problem, ...]]:
    schema = load_schema("recipe")
    own = _mapping(_child(entry, "vars") or NOTHING)
    values = Mapping(
        entries=(*(item for item in own.entries if item.key not in {e.key for e in row}), *row), where=entry.where
    )
    name, keys = _child(entry, "name"), recipe_keys(_child(entry, "set"))
    heads: tuple[Entry, ...] = (Entry(key="vars", where=entry.where, value=values),) if values.entries else ()
    heads += (Entry(key="name", where=name.where, value=name),) if name is not None else ()
    own_keys = tuple(item for item in keys.entries if item.key not in _NOT_IN_SET)
    layer = Mapping(entries=heads + own_keys, where=entry.where)
    path, problems = _recipe_path(entry, merge(extra_vars_layer(extra_vars), layer, schema))
    groups = _child(entry, "groups")
    if path is None:
        return None, problems
    item = Wanted(
        path=folder / path.text,
        layer=layer,
        groups=tuple(group.text for group in groups.items if isinstance(group, Scalar))
        if isinstance(groups, Sequence)
        else (),
        place=name.where if name is not None else entry.where,
        recipe_place=path.where,
        matrix=_key_place(entry, "matrix") if row else None,
    )
    return item, ()


def _recipe_path(entry: Node, layer: Mapping) -> tuple[Scalar | None, tuple[Problem, ...]]:
    """The path that `recipe` means with this image's variables."""
    from slimrun.recipe.formats import FORMATS

    holder = Mapping(
        entries=tuple(item for item in (_mapping(entry).find("recipe"), layer.find("vars")) if item), where=entry.where
    )
    final = interpolate(holder)
    path = at(final.root, ("recipe",))
    if final.problems or not isinstance(path, Scalar):
        return None, final.problems
    wrong = FORMATS["relative-path"](path.text)
    return (None, (Problem(where=path.where, text=wrong, rule="relative-path"),)) if wrong else (path, ())
