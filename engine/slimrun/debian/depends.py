"""Which packages a set of names needs: Depends and Pre-Depends, as apt settles them on an empty system.

As apt does it: depth first, Pre-Depends before Depends, in the order in which they are written; a need that something chosen
meets is met; else the first alternative wins that conflicts with nothing chosen, and there is no going back. Of a virtual
package's providers, the essential come first, then the higher priority; where apt's last resort is the order of its hash table,
ours is the fewest needs, then the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from slimrun.debian.relation import satisfies, show
from slimrun.errors import PackageNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.debian.packages import Package
    from slimrun.debian.relation import Group, Relation
    from slimrun.debian.universe import Universe
    from slimrun.errors import Where
    from slimrun.recipe.model import Text


def closure(asked: Sequence[Text], universe: Universe) -> tuple[Package, ...]:
    """The packages of the recipe and all that they depend on, by name; raises PackageNotFound with the chain."""
    state = _Closure(universe)
    for package, where in [(universe.asked(one), one.where) for one in asked]:
        state.take(package, None, where)
        state.settle()
    return tuple(sorted(state.chosen.values(), key=lambda package: package.name))


class _Closure:
    """What has been chosen so far, and why."""

    def __init__(self, universe: Universe) -> None:
        self.chosen: dict[str, Package] = {}
        self._universe = universe
        self._parents: dict[str, tuple[str | None, Where]] = {}
        self._provided: dict[str, list[tuple[str, Relation]]] = {}
        self._rejected: dict[str, list[tuple[Package, Relation]]] = {}
        self._open: list[tuple[str, Iterator[Group]]] = []

    def take(self, package: Package, parent: str | None, where: Where) -> None:
        """Choose a package; raises PackageNotFound where it and one that is chosen exclude each other."""
        if package.name in self.chosen:
            return
        self._parents[package.name] = (parent, where)
        other = next(self._conflicts(package), None)
        if other is not None:
            msg = f"{package} and {other} exclude each other"
            hint = f"needed by {self._chain(package.name)}, and by {self._chain(other.name)}"
            raise PackageNotFound(msg, hint=hint, where=where)
        self.chosen[package.name] = package
        for provided in package.provides:
            self._provided.setdefault(provided.name, []).append((package.name, provided))
        for relation in package.rejects:
            self._rejected.setdefault(relation.name, []).append((package, relation))
        self._open.append((package.name, iter(package.needs)))

    def settle(self) -> None:
        """Work until every need of what is chosen is met."""
        while self._open:
            name, groups = self._open[-1]
            group = next(groups, None)
            if group is None:
                self._open.pop()
            elif not any(self._is_met(relation) for relation in group):
                self.take(self._best(name, group), name, self._parents[name][1])

    def _best(self, name: str, group: Group) -> Package:
        options = [package for relation in group for package in self._universe.options(relation)]
        if not options:
            self._fail(name, group)
        return next((package for package in options if next(self._conflicts(package), None) is None), options[0])

    def _is_met(self, relation: Relation) -> bool:
        if not self._universe.is_native(relation):
            return False
        package = self.chosen.get(relation.name)
        if package is not None and relation.admits(package.version):
            return True
        return any(satisfies(provided, relation) for _, provided in self._provided.get(relation.name, ()))

    def _conflicts(self, package: Package) -> Iterator[Package]:
        """Chosen packages that this one excludes, or that exclude it."""
        for relation in package.rejects:
            named = self.chosen.get(relation.name)
            if named is not None and relation.admits(named.version):
                yield named
            for name, provided in self._provided.get(relation.name, ()):
                if satisfies(provided, relation):
                    yield self.chosen[name]
        for other, relation in self._rejected.get(package.name, ()):
            if relation.admits(package.version):
                yield other
        for provided in package.provides:
            for other, relation in self._rejected.get(provided.name, ()):
                if satisfies(provided, relation):
                    yield other

    def _chain(self, name: str) -> str:
        """`python3 -> python3.11 -> libssl3`."""
        names, parent = [name], self._parents[name][0]
        while parent is not None:
            names.append(parent)
            parent = self._parents[parent][0]
        return " -> ".join(reversed(names))

    def _fail(self, name: str, group: Group) -> NoReturn:
        needs = f"{self.chosen[name]} needs {show(group)}"
        known = "; ".join(dict.fromkeys(self._universe.nearest(relation) for relation in group))
        msg = f"{needs}, but {known}"
        raise PackageNotFound(msg, hint=f"needed by {self._chain(name)}", where=self._parents[name][1])
