"""Pruning in one call, for tests: a base build, parts and rules out of tables of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slimrun.elf.facts import Facts
from slimrun.errors import Where
from slimrun.plan.part import Part
from slimrun.plan.steps import PruneTree
from slimrun.prune.prune import Pruned, prune_trees
from slimrun.python.interpreter import find_interpreter
from slimrun.python.prefix import BaseBuild, take
from slimrun.recipe.model import Glob
from slimrun.tree.tree import Tree
from slimrun.why import Why
from tests.images import OFFICIAL, PY, runtime
from tests.treetext import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slimrun.prune.common import Common

RECIPE = Why(rule="recipe", text="python.image: python:3.11", where=Where("x.yaml", 1, 1))
SITE = f"{PY}/site-packages"


def place(number: int) -> Where:
    return Where("x.yaml", number, 1)


def globs(*texts: str) -> tuple[Glob, ...]:
    return tuple(Glob(text=text, where=place(number)) for number, text in enumerate(texts, 10))


def part(rows: Mapping[str, str | bytes], rule: str = "wheel") -> Part:
    found = tree(rows)
    whys = tuple((path, Why(rule=rule, text=f"{rule} of a test", where=place(5))) for path in found)
    return Part(tree=found, whys=whys)


def base_build(rows: Mapping[str, str | bytes] = OFFICIAL) -> BaseBuild:
    found = tree(rows)
    return take(found, find_interpreter(found), name="python:3.11", why=RECIPE)


def prune(
    wheels: Mapping[str, str | bytes] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    *,
    base: Tree = runtime,
    build: Mapping[str, str | bytes] = OFFICIAL,
    extra: Tree | None = None,
    packages: Mapping[str, str | bytes] | None = None,
    package_supply: Mapping[str, str | bytes] | None = None,
    more: Mapping[str, str | bytes] | None = None,
    asked: list[str] | None = None,
    base_env: tuple[tuple[str, str], ...] = (),
    shared: Callable[[Callable[[], Common]], Common] = lambda make: make(),
    **rules: Any,
) -> Pruned:
    """`more` is what the base build's image has beyond its supply; the paths that are read of it are added to `asked`."""

    def read(paths: Sequence[str]) -> Tree:
        if asked is not None:
            asked.extend(paths)
        return tree(more or {}).under(*paths)

    step = PruneTree(**{"level": "safe", "level_where": place(3), "features": (), **rules})
    supply = extra if extra is not None else Tree()
    return prune_trees(
        base_build(build),
        part(wheels or {}),
        part(files or {}, "files"),
        base,
        step,
        extra_supply=supply,
        facts=Facts(),
        packages=part(packages or {}, "debian"),
        package_supply=tree(package_supply or {}),
        read=read,
        base_env=base_env,
        shared=shared,
    )


def layer(pruned: Pruned, name: str) -> list[str]:
    return list(dict(pruned.layers)[name])
