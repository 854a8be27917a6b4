"""What verify says of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimrun.errors import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried, or with `skipped` (the reason) was not: then it is not ok, and has not failed either.

    `detail` says how it went, `note` what trying it on this machine could not prove.
    """

    name: str
    ok: bool
    detail: str = ""
    where: Where | None = None
    skipped: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """All checks of an image that passed or were skipped, and warnings."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
