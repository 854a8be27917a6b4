"""Relations between packages (deb-control(5)): `a (>= 1) | b, c:any`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slimrun.debian.version import version_key
from slimrun.errors import BadArchive

_RELATION = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?"
)
# deb-control(5): the obsolete `<` and `>` mean these.
_OBSOLETE = {"<": "<=", ">": ">="}


@dataclass(frozen=True, slots=True)
class Relation:
    """One alternative: `operator` and `version` are empty where any version will do, `qualifier` where none is given."""

    name: str
    operator: str = ""
    version: str = ""
    qualifier: str = ""

    def __str__(self) -> str:
        name = f"{self.name}:{self.qualifier}" if self.qualifier else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name

    def admits(self, version: str) -> bool:
        """Whether this version satisfies the constraint."""
        if not self.operator:
            return True
        given, bound = version_key(version), version_key(self.version)
        match self.operator:
            case "<<":
                return given < bound
            case "<=":
                return given <= bound
            case "=":
                return given == bound
            case ">=":
                return given >= bound
            case _:
                return given > bound


Group = tuple[Relation, ...]


def parse_relations(text: str, *, what: str) -> tuple[Group, ...]:
    """The groups of a relation field, each a tuple of alternatives; raises BadArchive."""
    groups = (group for group in text.split(",") if group.strip())
    return tuple(tuple(_relation(one.strip(), what) for one in group.split("|")) for group in groups)


def show(group: Group) -> str:
    """A group as it was written."""
    return " | ".join(map(str, group))


def satisfies(provided: Relation, wanted: Relation) -> bool:
    """Whether a Provides meets a relation: one with a version needs a Provides with one (deb-control(5))."""
    if not wanted.operator:
        return True
    return provided.operator == "=" and wanted.admits(provided.version)


def _relation(text: str, what: str) -> Relation:
    match = _RELATION.fullmatch(text)
    try:
        if match is None:
            msg = "it is not a relation"
            raise ValueError(msg)
        if match[4]:
            version_key(match[4])
    except ValueError as error:
        msg = f"{what} has the relation {text[:80]!r}: {error}"
        raise BadArchive(msg, hint="use another version of the package") from error
    operator = match[3] or ""
    return Relation(match[1], _OBSOLETE.get(operator, operator), match[4] or "", match[2] or "")
