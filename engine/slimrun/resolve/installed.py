"""What wheels gave, as a value: recipes without wheels have one too, and need nothing of what makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slimrun.plan.part import Part

if TYPE_CHECKING:
    from slimrun.elf.model import Supply
    from slimrun.python.install import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """What wheels put into an image, and as distributions; `supply` is what the libraries of those that were built come from."""

    part: Part = field(default_factory=Part)
    distributions: tuple[Distribution, ...] = ()
    supply: Supply | None = None
