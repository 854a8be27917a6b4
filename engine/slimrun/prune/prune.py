"""Trees + rules + closure → Pruned: each path kept or removed, with its Why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.elf.closure import close
from slimrun.elf.model import Closure, Extra, FamilyChoice, Root, Supply
from slimrun.elf.tokens import library_path, preloads
from slimrun.plan.part import Part
from slimrun.prune.choice import Choice, must_match
from slimrun.prune.common import Common, find_common, whys_of, with_pulled
from slimrun.prune.dedupe import joinable, without_hashes, worse
from slimrun.prune.dlopen import Openings
from slimrun.prune.dpkg import records
from slimrun.prune.gather import Gatherer
from slimrun.prune.places import followed
from slimrun.prune.pruned import Pruned, Removed
from slimrun.prune.roots import (
    extras,
    file_roots,
    named_libraries,
    package_roots,
    program_roots,
    wheel_roots,
)
from slimrun.tree.entry import Kind, link
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.plan.steps import PruneTree
    from slimrun.prune.gather import Gathered, Read
    from slimrun.prune.settle import Settled
    from slimrun.python.prefix import BaseBuild
    from slimrun.recipe.model import Pairs

__all__ = ["Pruned", "Removed", "prune_trees"]

LIBRARIES = ("/lib", "/usr/lib", "/usr/local/lib", "/opt")


def _nothing(_: Sequence[str]) -> Tree:
    """What reads more of a base build that is at hand as a whole."""
    return Tree()


def _anew(make: Callable[[], Common]) -> Common:
    """What shares nothing."""
    return make()


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
    read: Read = _nothing,
    wheel_supply: Supply | None = None,
    shared: Callable[[Callable[[], Common]], Common] = _anew,
) -> Pruned:
    """Decide what of a base build, packages, wheels and files goes onto `base`.

    `base_env` is the environment of the base's config, `extra_supply` holds what `keep` names beyond the folders that the base
    build's supply has, `package_supply` what packages depend on; `read` gives more of the base build's image, which features
    ask for; `wheel_supply` is the builder of wheels, which is asked last, and never for CPython's own part. `shared` may know
    what images of one base build, runtime, packages and rules have in common, or has it made. Raises ImageFailed for a glob
    that matches nothing and a feature that nothing has, FileConflict; a missing library is a value in the closure.
    """
    choice, supply = Choice(rules), build.supply.merge(extra_supply)
    packages, wheels, files = followed(packages or Part(), base), followed(wheels, base), followed(files, base)
    from_packages, builder = package_supply or Tree(), wheel_supply.tree if wheel_supply else Tree()
    must_match(rules.keep, (supply, from_packages, builder, packages.tree, wheels.tree, files.tree, base))
    must_match(rules.drop, (supply, from_packages, builder, packages.tree, wheels.tree, files.tree))
    supplies = (
        *((Supply(name="Debian packages", tree=choice.supply(from_packages)),) if from_packages else ()),
        Supply(name=build.supply_name, tree=choice.supply(supply)),
    )
    builders = (replace(wheel_supply, tree=choice.supply(builder)),) if wheel_supply else ()
    gatherer = Gatherer(build, rules, supplies, lambda paths: choice.supply(read(paths)), facts)

    environ = dict((*base_env, *rules.environ))

    def closed(output: Tree, roots: Sequence[Root], also: Sequence[Extra], *more: Supply) -> Closure:
        return close(
            output,
            roots,
            (*supplies, *more),
            facts=facts,
            library_path=library_path(environ),
            preload=preloads(environ),
            also=also,
            nss=gatherer.nss,
        )

    always = extras(build)
    # CPython by itself first: what it alone needs goes into its layer, so that images of one base build share it.
    common = shared(lambda: find_common(build, packages, base, choice, supply, gatherer, closed, always))
    choice.resume(common.whys, common.removed)
    gatherer.resume(common.state)
    own, first, more = common.own, common.first, common.more
    parts = {"packages": common.packages, "wheels": choice.part(wheels), "files": choice.part(files)}
    parts["wheels"] = parts["wheels"].merge(choice.imported(build, wheels, facts))
    output = with_pulled(common.on(base).merge(first.tree), more).merge(*parts.values())
    sources = [output, *(one.tree for one in (*supplies, *builders))]
    openings = Openings(build, parts.values(), choice.whys, sources, facts)
    also = (*always, *named_libraries(build, rules), *openings.extras)
    roots = (
        *own.roots,
        *first.roots,
        *package_roots(build, parts["packages"], dict(packages.whys), facts),
        *wheel_roots(build, parts["wheels"], dict(wheels.whys)),
        *program_roots(parts["wheels"], dict(wheels.whys), facts),
        *file_roots(build, parts["files"], dict(files.whys), facts),
    )
    whole = closed(output, roots, also, *builders)
    second = gatherer.gather(with_pulled(output, whole), whole, whys_of(whole, own.closure) | choice.whys)
    if second.roots:
        roots = (*roots, *second.roots)
        whole = closed(output.merge(second.tree), roots, also, *builders)
    joins: dict[str, str] = {}
    if rules.dedupe:
        joins = joinable(parts["wheels"], with_pulled(output.merge(second.tree), whole), whole, facts)
        joined = closed(output.merge(second.tree, _links(joins)), roots, also, *builders)
        if worse(joined, whole):
            joins = {}
        else:
            whole, parts["wheels"] = (
                joined,
                parts["wheels"].merge(without_hashes(parts["wheels"], joins)).without(joins),
            )
    result = _result(build, base, choice, own, parts, ((first, more), (second, whole)), roots, joins)
    result = replace(
        result,
        also=also,
        features=tuple(sorted(gatherer.found)),
        findings=(*gatherer.findings(), *openings.findings(whole, settled=bool(rules.libraries))),
    )
    owners = dict(build.owners) | dict(package_owners or {})
    return _recorded(result, owners, choice.supply(supply.merge(from_packages))) if owners else result


def _result(
    build: BaseBuild,
    base: Tree,
    choice: Choice,
    own: Settled,
    parts: dict[str, Tree],
    found: tuple[tuple[Gathered, Closure], tuple[Gathered, Closure]],
    roots: tuple[Root, ...],
    joins: Mapping[str, str],
) -> Pruned:
    """The layers: what only a wheel needs goes with the wheels, so that images of one base build share CPython's."""
    (first, more), (second, whole) = found
    early = with_pulled(with_pulled(Tree(), own.closure), more).merge(first.tree)
    late = with_pulled(second.tree, whole).without(early)
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
        "system": early.merge(late).only(lambda path, _: path in family).merge(_links(joins)),
    }
    whys = {**second.whys, **first.whys} | whys_of(whole, more, own.closure) | choice.whys
    whys |= {
        path: Why(rule="dedupe", text=f"prune.dedupe: the image has {to}", because=whys[path])
        for path, to in joins.items()
    }
    _left_behind(build, choice, whys)
    hidden = {*own.closure.removed, *whole.removed} - family
    text = f"of the runtime's glibc ({decision.base_identity}), which the image does not use"
    why = Why(rule="family", text=text, because=whys[min(family)].because if family else build.line)
    for path in hidden:
        choice.remove(path, base[path], why)
    there = {path for tree in (base.without(hidden), *layers.values()) for path in tree}
    removed = (item for path, item in sorted(choice.removed.items()) if path not in there)
    return Pruned(
        layers=tuple(layers.items()),
        whys=tuple(sorted(whys.items())),
        removed=tuple(removed),
        roots=roots,
        closure=replace(whole, family=decision),
        interpreter=build.interpreter,
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
    text = "a shared library of the base build that no kept file loads"
    unneeded = Why(rule="unneeded", text=text, because=build.line)
    for path, entry in build.supply.items():
        known = path in whys or path in choice.removed or entry.kind is Kind.DIR
        if known or not path.startswith(LIBRARIES) or ".so" not in path.rpartition("/")[2]:
            continue
        choice.remove(path, entry, choice.drop_why(path) if choice.drops(path) else unneeded)


def _links(joins: Mapping[str, str]) -> Tree:
    return Tree({path: link(target) for path, target in joins.items()})
