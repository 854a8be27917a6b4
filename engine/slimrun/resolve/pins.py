"""What the resolve stage settles, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimrun.debian.pins import DebPin
    from slimrun.plan.pins import CommitPin, ImagePin


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """`base` is the base build's image, or its builder's, whose CPython is `commit`'s; `runtime` None for scratch.

    `base` is None for a base build out of Debian's packages, which are `python`. `packages` are those that the recipe
    names and their dependencies; `platform` is all images' own.
    """

    base: ImagePin | None
    runtime: ImagePin | None
    platform: str
    commit: CommitPin | None = None
    wheel_builder: ImagePin | None = None
    python: tuple[DebPin, ...] = ()
    packages: tuple[DebPin, ...] = ()

    @property
    def images(self) -> tuple[ImagePin, ...]:
        """The pins of images, the base build's first."""
        return tuple(pin for pin in (self.base, self.runtime) if pin is not None)

    @property
    def commits(self) -> tuple[CommitPin, ...]:
        """The commits of git repositories."""
        return () if self.commit is None else (self.commit,)
