"""Why each package is there: the recipe's line, or the package that depends on it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from slimrun.debian.relation import parse_relations, satisfies
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.debian.deb import Deb
    from slimrun.debian.relation import Group, Relation
    from slimrun.recipe.model import Text

RULE = "debian"


def explain(debs: Sequence[Deb], asked: Sequence[Text], named: frozenset[str]) -> Mapping[str, Why]:
    """The shortest reason of each package, by name; each is the package itself, then what needs it, up to a recipe's line.

    `named` are the packages that the recipe names, of which a line may name one by what it provides.
    """
    known = {deb.name: deb for deb in debs}
    provided = {deb.name: _provides(deb) for deb in debs}
    reasons: dict[str, Why] = {}
    locked = Why(rule="lock", text="locked")
    for name in sorted(named & known.keys()):
        because = next((_line(one) for one in asked if _names(one, name, provided[name])), locked)
        reasons[name] = _why(known[name], because)
    todo = deque(reasons)
    while todo:
        name = todo.popleft()
        for group in _needs(known[name]):
            for other in sorted(_meeting(group, known, provided) - reasons.keys()):
                reasons[other] = _why(known[other], reasons[name])
                todo.append(other)
    last = _line(asked[0]) if asked else locked
    return {deb.name: reasons.get(deb.name) or _why(deb, last) for deb in debs}


def _why(deb: Deb, because: Why) -> Why:
    return Why(rule=RULE, text=f"{deb.name} {deb.version}", because=because)


def _line(text: Text) -> Why:
    return Why(rule="recipe", text=text.text, where=text.where)


def _names(text: Text, name: str, provided: tuple[Relation, ...]) -> bool:
    wanted = text.text.partition("=")[0]
    return wanted == name or any(one.name == wanted for one in provided)


def _needs(deb: Deb) -> tuple[Group, ...]:
    text = ", ".join(value for name in ("Pre-Depends", "Depends") if (value := deb.field(name)))
    return parse_relations(text, what=deb.name)


def _provides(deb: Deb) -> tuple[Relation, ...]:
    return tuple(one for group in parse_relations(deb.field("Provides"), what=deb.name) for one in group)


def _meeting(group: Group, known: Mapping[str, Deb], provided: Mapping[str, tuple[Relation, ...]]) -> set[str]:
    """The packages that are there and meet a need."""
    found = set()
    for wanted in group:
        if wanted.name in known and wanted.admits(known[wanted.name].version):
            found.add(wanted.name)
        for name, relations in provided.items():
            if any(one.name == wanted.name and satisfies(one, wanted) for one in relations):
                found.add(name)
    return found
