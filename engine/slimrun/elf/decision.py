"""Which glibc an image has and why, in a sentence for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.elf.model import FamilyChoice

if TYPE_CHECKING:
    from slimrun.elf.model import FamilyDecision, Unmet

NAMED = 3


def decided(family: FamilyDecision) -> str:
    """What a person should know of the choice: a replaced glibc, or one that should be and cannot; "" where all is as usual."""
    runtime = f"the runtime's glibc ({family.base_identity or 'of an unknown build'})"
    match family.choice:
        case FamilyChoice.REPLACED:
            new = f"{family.identity or 'that'} of {family.supply}"
            return f"{runtime} is replaced, in every path where it is, by {new}: {_needs(family.needs)}"
        case FamilyChoice.REFUSED:
            return (
                f"{runtime} lacks what is needed ({_needs(family.needs)}), and nothing can replace it: {family.why_not}"
            )
    return ""


def _needs(needs: tuple[Unmet, ...]) -> str:
    """One need of each file; a few files stand for many."""
    first: dict[str, Unmet] = {}
    for need in needs:
        first[need.by] = need  # sorted: the last of a file is its newest version, as far as text tells
    texts = [_need(need) for _, need in sorted(first.items())]
    more = f"; and {len(texts) - NAMED} files more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def _need(need: Unmet) -> str:
    what = need.version if need.version == need.library else f"{need.version} of {need.library}"
    return f"{need.by} needs {what}"
