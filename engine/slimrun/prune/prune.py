"""Trees + rules + closure → Pruned: each path kept or removed, with its Why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slimrun.elf.closure import close
from slimrun.elf.model import Closure, Extra, FamilyChoice, Missing, Root, Supply
from slimrun.elf.tokens import library_path
from slimrun.plan.part import Part
from slimrun.prune.choice import Choice, must_match
from slimrun.prune.dpkg import records
from slimrun.prune.places import followed
from slimrun.prune.pruned import Pruned, Removed
from slimrun.prune.roots import (
    extras,
    file_roots,
    named_libraries,
    package_roots,
    program_roots,
    python_roots,
    unloadable,
    wheel_roots,
)
from slimrun.tree.entry import Kind
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slimrun.elf.facts import Facts
    from slimrun.plan.steps import PruneTree
    from slimrun.python.prefix import BaseBuild
    from slimrun.recipe.model import Pairs

__all__ = ["Pruned", "Removed", "prune_trees"]

LIBRARIES = ("/lib", "/usr/lib", "/usr/local/lib", "/opt")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """CPython's own part: its tree, what must run of it, what that needs, and what level none keeps unloadable."""

    tree: Tree
    roots: tuple[Root, ...]
    closure: Closure
    unresolved: tuple[Missing, ...] = ()


def prune_trees(
    build: BaseBuild,
    wheels: Part,
    files: Part,
    base: Tree,
    rules: PruneTree,
    *,
    extra_supply: Tree,
    facts: Facts,
    base_env: Pairs = (),
    packages: Part | None = None,
    package_supply: Tree | None = None,
    package_owners: Mapping[str, str] | None = None,
    wheel_supply: Supply | None = None,
) -> Pruned:
    """Decide what of a base build, packages, wheels and files goes onto `base`.

    `base_env` is the environment of the base's config, `extra_supply` holds what `keep` names beyond the folders that the base
    build's supply has, `package_supply` what packages depend on, `wheel_supply` the builder of wheels, which is asked last, and
    never for CPython's own part. Raises ImageFailed for a glob that matches nothing, FileConflict; a missing library is a value
    in the closure.
    """
    choice, supply, also = Choice(rules), build.supply.merge(extra_supply), extras(build)
    packages, wheels, files = followed(packages or Part(), base), followed(wheels, base), followed(files, base)
    from_packages, builder = package_supply or Tree(), wheel_supply.tree if wheel_supply else Tree()
    must_match(rules.keep, (supply, from_packages, builder, packages.tree, wheels.tree, files.tree, base))
    must_match(rules.drop, (supply, from_packages, builder, packages.tree, wheels.tree, files.tree))
    supplies = (
        *((Supply(name="Debian packages", tree=choice.supply(from_packages)),) if from_packages else ()),
        Supply(name=build.supply_name, tree=choice.supply(supply)),
    )
    builders = (replace(wheel_supply, tree=choice.supply(builder)),) if wheel_supply else ()

    given = () if rules.library_path is None else (("LD_LIBRARY_PATH", rules.library_path),)
    folders = library_path(dict((*base_env, *given)))

    def closed(output: Tree, roots: tuple[Root, ...], also: tuple[Extra, ...], *more: Supply) -> Closure:
        return close(output, roots, (*supplies, *more), facts=facts, library_path=folders, also=also)

    own = _settle(
        build, choice, choice.selection(build, supply), lambda tree, roots: closed(base.merge(tree), roots, also)
    )
    package_tree, wheel_tree, file_tree = choice.packages(packages), choice.part(wheels), choice.part(files)
    parts = {"packages": package_tree, "wheels": wheel_tree, "files": file_tree}
    output = base.without(own.closure.removed).merge(own.tree, _pulled(own.closure), *parts.values())
    roots = (
        *own.roots,
        *package_roots(build, package_tree, dict(packages.whys), facts),
        *wheel_roots(build, wheel_tree, dict(wheels.whys)),
        *program_roots(wheel_tree, dict(wheels.whys), facts),
        *file_roots(build, file_tree, dict(files.whys), facts),
    )
    also = (*also, *named_libraries(build, rules))
    whole = closed(output, roots, also, *builders)
    result = _result(build, base, choice, own, parts, whole, roots, also)
    owners = dict(build.owners) | dict(package_owners or {})
    return _recorded(result, owners, choice.supply(supply.merge(from_packages))) if owners else result


def _settle(
    build: BaseBuild, choice: Choice, tree: Tree, close_on: Callable[[Tree, tuple[Root, ...]], Closure]
) -> _Settled:
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
    return _Settled(tree=tree, roots=roots, closure=closure, unresolved=tuple(aside.values()))


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


def _result(
    build: BaseBuild,
    base: Tree,
    choice: Choice,
    own: _Settled,
    parts: dict[str, Tree],
    whole: Closure,
    roots: tuple[Root, ...],
    also: tuple[Extra, ...],
) -> Pruned:
    """The layers: what only a wheel needs goes with the wheels, so that images of one base build share CPython's."""
    early, late = _pulled(own.closure), _pulled(whole)
    late = late.without(early)
    # Over a family that CPython itself brought, the whole finds that family as if it were the base's.
    decision = own.closure.family if whole.family.choice is FamilyChoice.BASE else whole.family
    family = frozenset(
        pulled.path
        for pulled in (*own.closure.pulled, *whole.pulled)
        if decision.choice is FamilyChoice.REPLACED and pulled.why.rule == "family"
    )
    layers = {
        "python": own.tree.merge(early).without(family),
        "packages": parts["packages"],
        "wheels": parts["wheels"].merge(late).without(family),
        "files": parts["files"],
        "system": early.merge(late).only(lambda path, _: path in family),
    }
    whys = {pulled.path: pulled.why for pulled in (*whole.pulled, *own.closure.pulled)} | choice.whys
    _left_behind(build, choice, whys)
    hidden = {*own.closure.removed, *whole.removed} - family
    for path in hidden:
        text = f"of the runtime's glibc ({decision.base_identity}), which the image does not use"
        choice.remove(path, base[path], Why(rule="family", text=text))
    there = {path for tree in (base.without(hidden), *layers.values()) for path in tree}
    removed = (item for path, item in sorted(choice.removed.items()) if path not in there)
    return Pruned(
        layers=tuple(layers.items()),
        whys=tuple(sorted(whys.items())),
        removed=tuple(removed),
        roots=roots,
        also=also,
        closure=replace(whole, family=decision),
        hidden=tuple(sorted(hidden)),
        unresolved=own.unresolved,
    )


def _recorded(result: Pruned, owners: Mapping[str, str], supply: Tree) -> Pruned:
    """Each layer with the records of the Debian packages that its files come from."""
    layers, whys = dict(result.layers), dict(result.whys)
    seen: set[str] = set()
    for name, tree in result.layers:
        if name == "files":
            continue
        found, reasons = records(tree, owners, supply, dict(result.whys))
        fresh = found.without(seen | set(tree))
        layers[name] = tree.merge(fresh)
        seen |= set(fresh)
        whys |= {path: why for path, why in reasons.items() if path in fresh}
    removed = tuple(item for item in result.removed if item.path not in seen)
    return replace(result, layers=tuple(layers.items()), whys=tuple(sorted(whys.items())), removed=removed)


def _left_behind(build: BaseBuild, choice: Choice, whys: dict[str, Why]) -> None:
    """Note the shared libraries of the base build that the image does not get."""
    for path, entry in build.supply.items():
        known = path in whys or path in choice.removed or entry.kind is Kind.DIR
        if known or not path.startswith(LIBRARIES) or ".so" not in path.rpartition("/")[2]:
            continue
        text = "a shared library of the base build that no kept file loads"
        choice.remove(path, entry, choice.drop_why(path) if choice.drops(path) else Why(rule="unneeded", text=text))


def _pulled(closure: Closure) -> Tree:
    return Tree({pulled.path: pulled.entry for pulled in closure.pulled})
