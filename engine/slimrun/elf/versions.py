"""Symbol versions: what a file needs of a library against what that library defines (elf/dl-version.c)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from slimrun.elf.info import ElfInfo, VersionNeed

GLIBC_PRIVATE = "GLIBC_PRIVATE"


class Verdict(StrEnum):
    """How the loader takes a library that a file needs versions of."""

    MET = "met"
    # "version `V' not found": the process ends.
    UNMET = "unmet"
    # The same for a need with VER_FLG_WEAK alone: a warning.
    WEAK = "weak"
    # "no version information available": a warning.
    UNVERSIONED = "unversioned"
    # No DT_VERSYM either: an assertion of dl-lookup.c ends the process when the first symbol is looked up.
    ABORT = "abort"


class Outcome(NamedTuple):
    """The verdict and the versions that it is about."""

    verdict: Verdict
    versions: tuple[str, ...] = ()


def compare(need: VersionNeed, provider: ElfInfo) -> Outcome:
    """What the loader says of one need and the library that answers to its name.

    Versions are opaque: GLIBC_ABI_DT_RELR has no place in any order.
    """
    if not provider.verdef:
        names = tuple(ref.name for ref in need.versions)
        return Outcome(Verdict.UNVERSIONED if provider.has_versym else Verdict.ABORT, names)
    offered = frozenset(provider.verdef)
    absent = [ref for ref in need.versions if ref.name not in offered]
    hard = tuple(ref.name for ref in absent if not ref.weak)
    if hard:
        return Outcome(Verdict.UNMET, hard)
    return Outcome(Verdict.WEAK, tuple(ref.name for ref in absent)) if absent else Outcome(Verdict.MET)


def need_of(info: ElfInfo, *names: str) -> VersionNeed | None:
    """What a file needs of the library that answers to one of `names`."""
    return next((need for need in info.verneed if need.library in names), None)
