"""Everything that a selection needs, taken from the supplies in order, as the loader that will run there would look for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from slimrun.elf import replacing
from slimrun.elf.attempt import Attempt
from slimrun.elf.check import check
from slimrun.elf.facts import Facts
from slimrun.elf.family import Family, family_of
from slimrun.elf.linker import is_musl, linker_of
from slimrun.elf.model import (
    Closure,
    Edge,
    Extra,
    FamilyChoice,
    FamilyDecision,
    Finding,
    Level,
    Missing,
    Pulled,
    Root,
    Supply,
    Unmet,
)
from slimrun.elf.result import family_needs, result
from slimrun.elf.supplier import Suppliers
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slimrun.elf.info import ElfInfo
    from slimrun.tree.tree import Tree

__all__ = [
    "Closure",
    "Edge",
    "Extra",
    "Facts",
    "FamilyChoice",
    "FamilyDecision",
    "Finding",
    "Level",
    "Missing",
    "Pulled",
    "Root",
    "Supply",
    "Unmet",
    "check",
    "close",
]

# Below this, libc opens these at run time for every look-up of a host or a user (ELF.md section 3, NSS).
NSS_INSIDE_LIBC = (2, 34)
NSS = ("libnss_files.so.2", "libnss_dns.so.2")


def close(
    output: Tree,
    roots: Sequence[Root],
    supplies: Sequence[Supply],
    *,
    facts: Facts,
    library_path: tuple[str, ...] = (),
    preload: tuple[str, ...] = (),
    also: Sequence[Extra] = (),
    nss: bool = True,
) -> Closure:
    """The closure of `roots` over `output` (the runtime base with the selection laid over it).

    A library that is missing is a value. `library_path` is LD_LIBRARY_PATH of the image's own configuration, `preload` what that
    preloads (tokens.preloads). Without `nss` the modules through which an old glibc looks up names are not brought.
    """
    suppliers = Suppliers(supplies, facts)
    attempt = partial(Attempt, output, roots, suppliers, facts, library_path=library_path, preload=preload, also=also)
    program = _program(output, roots, facts)
    if program is None or is_musl(program.interp):
        only = attempt()
        only.complete()
        return result(only, FamilyDecision(), (), facts)
    base = family_of(output, linker_of(output, program, facts), program.target, facts)
    case = _Case(output, program, suppliers, facts, also, roots[0].why, attempt, nss)
    return case.into_nothing() if base is None else case.over(base)


@dataclass(frozen=True, slots=True)
class _Case:
    """The choice of a glibc family for one output (ELF.md 2.3)."""

    output: Tree
    program: ElfInfo
    suppliers: Suppliers
    facts: Facts
    also: Sequence[Extra]
    because: Why
    attempt: Callable[..., Attempt]
    nss: bool

    def into_nothing(self) -> Closure:
        """A base without glibc: the first supply's that offers all that is needed, else the first supply's."""
        first: Closure | None = None
        for number, supply, family in self._families():
            extras = self._nss(family)
            tried = self.attempt(family=number, also=(*self.also, *extras))
            tried.complete()
            decision = FamilyDecision(choice=FamilyChoice.SUPPLY, supply=supply.name, identity=family.identity)
            closed = result(tried, decision, (), self.facts)
            if not family_needs(tried):
                return closed
            first = first or closed
        if first is not None:
            return first
        alone = self.attempt()
        alone.complete()
        return result(alone, FamilyDecision(), (), self.facts)

    def over(self, base: Family) -> Closure:
        """A base with glibc: its own where that is enough, else a supply's as a whole, else its own with what is unmet."""
        own = self.attempt(identity=base.identity)
        own.complete()
        needs = family_needs(own)
        kept = FamilyDecision(
            choice=FamilyChoice.BASE, identity=base.identity, base_identity=base.identity, needs=tuple(needs)
        )
        if not needs:
            return result(own, kept, (), self.facts)
        refusals: list[str] = []
        for number, supply, family in self._families():
            against = replacing.objection(self.output, base, family, self.facts)
            if not against:
                tried = self.attempt(family=number, also=(*self.also, *self._nss(family)))
                reason = Why(rule="family", text=str(needs[0]), because=needs[0].why)
                gone = replacing.lay(tried, base, family, supply.name, reason)
                tried.complete()
                still = family_needs(tried)
                if not still:
                    decision = FamilyDecision(
                        choice=FamilyChoice.REPLACED,
                        supply=supply.name,
                        identity=family.identity,
                        base_identity=base.identity,
                        needs=tuple(needs),
                    )
                    return result(tried, decision, gone, self.facts)
                against = str(still[0])
            refusals.append(f"{supply.name} ({family.identity or 'glibc'}): {against}")
        decision = FamilyDecision(
            choice=FamilyChoice.REFUSED,
            identity=base.identity,
            base_identity=base.identity,
            needs=tuple(needs),
            why_not="; ".join(refusals) or "no supply has a glibc",
        )
        return result(own, decision, (), self.facts)

    def _families(self) -> list[tuple[int, Supply, Family]]:
        found = ((number, supply, self.suppliers.family(number, self.program)) for number, supply in self._numbered())
        return [(number, supply, family) for number, supply, family in found if family is not None and family.whole]

    def _numbered(self) -> list[tuple[int, Supply]]:
        return list(enumerate(self.suppliers.supplies))

    def _nss(self, family: Family) -> tuple[Extra, ...]:
        if not self.nss or not (0, 0) < family.release < NSS_INSIDE_LIBC:
            return ()
        text = f"{family.identity} opens it to look up hosts and users"
        why = Why(rule="nss", text=text, because=self.because)
        return tuple(Extra(name=name, why=why, optional=True) for name in NSS)


def _program(output: Tree, roots: Sequence[Root], facts: Facts) -> ElfInfo | None:
    """The dynamic program that decides on the loader; all programs of an image are of one machine."""
    paths = sorted({root.path if root.is_program else root.program for root in roots})
    for path in paths:
        found = resolve(output, path)
        if found is None or found.entry.kind is not Kind.FILE:
            continue
        info = facts.sound(found.path, found.entry)
        if info is not None and info.dynamic and (info.interp or not info.pie):
            return info
    return None
