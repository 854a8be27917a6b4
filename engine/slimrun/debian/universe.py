"""All packages that a suite and its companions offer, of each the newest version, as apt's candidate."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from slimrun.debian.relation import Relation, satisfies
from slimrun.debian.version import version_key
from slimrun.errors import PackageNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.debian.packages import Index, Package
    from slimrun.recipe.model import Text


class Universe:
    """Indexes laid beside each other; `pinned` are versions that a person asked for, by name."""

    def __init__(self, suite: str, architecture: str, indexes: Sequence[Index]) -> None:
        self.suite, self.architecture = suite, architecture
        self._indexes = tuple(indexes)
        self._candidates: dict[str, Package | None] = {}

    def asked(self, text: Text) -> Package:
        """The package that a line of the recipe means, `name` or `name=version`; raises PackageNotFound with near misses.

        A virtual package is accepted where only one package provides it. A version, once asked for, is the candidate.
        """
        name, _, version = text.text.partition("=")
        versions = self._versions(name)
        found = next((one for one in versions if not version or one.version == version), None)
        if found is not None:
            self._candidates[name] = found
            return found
        if versions:
            msg = f"{self.suite} has no {name} {version}"
            hint = f"it has {', '.join(dict.fromkeys(one.version for one in versions))}"
            raise PackageNotFound(msg, hint=hint, where=text.where)
        providers = self._providers(Relation(name))
        if len(providers) == 1 and not version:
            return providers[0]
        if providers:
            msg = f"{name} is a virtual package of {self.suite}"
            hint = f"name one of {', '.join(sorted(one.name for one in providers))}"
            raise PackageNotFound(msg, hint=hint, where=text.where)
        msg = f"{self.suite} has no package {name} for {self.architecture}"
        raise PackageNotFound(msg, hint=self._near(name), where=text.where)

    def candidate(self, name: str) -> Package | None:
        """The newest version of a package, or the one that was asked for."""
        if name not in self._candidates:
            self._candidates[name] = next(iter(self._versions(name)), None)
        return self._candidates[name]

    def options(self, relation: Relation) -> tuple[Package, ...]:
        """What can satisfy a relation, best first: the package of this name, then its providers."""
        if not self.is_native(relation):
            return ()
        package = self.candidate(relation.name)
        named = (package,) if package is not None and relation.admits(package.version) else ()
        return (*named, *(one for one in self._providers(relation) if one is not package))

    def is_native(self, relation: Relation) -> bool:
        """Whether the relation's architecture qualifier leaves our architecture in."""
        return relation.qualifier in ("", "any", "native", "all", self.architecture)

    def nearest(self, relation: Relation) -> str:
        """Why a relation has no option, in words."""
        if not self.is_native(relation):
            return f"{relation} is for another architecture"
        package = self.candidate(relation.name)
        if package is not None:
            return f"{self.suite} has {package}"
        return f"{self.suite} has no {relation.name}"

    def _versions(self, name: str) -> list[Package]:
        """Newest first; of one version, the first source's."""
        found = [package for index in self._indexes for package in index.packages(name)]
        return sorted(found, key=lambda package: version_key(package.version), reverse=True)

    def _providers(self, relation: Relation) -> tuple[Package, ...]:
        names = {name for index in self._indexes for name in index.providers.get(relation.name, ())}
        found = [
            package
            for name in names
            if (package := self.candidate(name)) is not None
            and any(one.name == relation.name and satisfies(one, relation) for one in package.provides)
        ]
        return tuple(
            sorted(found, key=lambda package: (not package.essential, package.rank, len(package.needs), package.name))
        )

    def _near(self, name: str) -> str:
        names = {known for index in self._indexes for known in index.stanzas}
        near = get_close_matches(name, sorted(names), 3, 0.75)
        return f"did you mean {' or '.join(near)}?" if near else "look it up on packages.debian.org"
