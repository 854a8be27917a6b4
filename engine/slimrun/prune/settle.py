"""CPython by itself: its tree without what nothing can load, and what that tree needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.prune.roots import python_roots, unloadable
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.elf.model import Closure, Missing, Root
    from slimrun.prune.choice import Choice
    from slimrun.python.prefix import BaseBuild
    from slimrun.tree.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """CPython's own part: its tree, what must run of it, what that needs, and what level none keeps unloadable."""

    tree: Tree
    roots: tuple[Root, ...]
    closure: Closure
    unresolved: tuple[Missing, ...] = ()


def settle(
    build: BaseBuild, choice: Choice, tree: Tree, close_on: Callable[[Tree, tuple[Root, ...]], Closure]
) -> Settled:
    """CPython without what nothing can load, and without libraries that nothing loads.

    An official slim image carries _tkinter without libtk: such an extension is broken where it comes from, too. It goes, unless
    `keep` names it; at level none it stays, and nothing is asked of it.
    """
    aside: dict[str, Missing] = {}
    while True:
        roots = python_roots(build, tree, choice.whys, without=aside)
        closure = close_on(tree, roots)
        broken = unloadable(closure.missing, roots, build)
        broken = {path: missing for path, missing in broken.items() if not choice.keeps(path)}
        if not broken:
            break
        if choice.loose:
            aside |= broken
            continue
        for path, missing in broken.items():
            why = Why(rule="unresolved", text=f"nothing can load it: {missing}", because=choice.whys.pop(path))
            choice.remove(path, tree[path], why)
        tree = tree.without(broken)
    if not choice.loose:
        tree = _without_unneeded(build, choice, tree, closure)
    return Settled(tree=tree, roots=roots, closure=closure, unresolved=tuple(aside.values()))


def _without_unneeded(build: BaseBuild, choice: Choice, tree: Tree, closure: Closure) -> Tree:
    """CPython's tree without those of its own shared libraries that nothing loads (libpython3.so)."""
    gone = [
        path
        for path in tree
        if path.rpartition("/")[2].startswith("libpython")
        and ".so" in path.rpartition("/")[2]
        and path in build.whys
        and path not in closure.used
        and not choice.keeps(path)
    ]
    for path in gone:
        why = Why(rule="unneeded", text="a shared library that no kept file loads", because=choice.whys.pop(path))
        choice.remove(path, tree[path], why)
    return tree.without(gone)
