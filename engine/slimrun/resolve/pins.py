"""What the resolve stage settles, as one value."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from slimrun.plan.pins import CommitPin, ImagePin

if TYPE_CHECKING:
    from slimrun.debian.pins import DebPin


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

    def without(self, *names: str) -> Pins:
        """The same with nothing in these fields."""
        blank: dict[str, Any] = {name: () if isinstance(getattr(self, name), tuple) else None for name in names}
        return replace(self, **blank)

    def parts(self) -> dict[str, tuple[str, object]]:
        """Each field's value, with words for it that begin with "the pin"."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: (_words(name, value), value) for name, value in values.items()}


_WORDS = {"python": "Debian's Python", "packages": "Debian packages", "wheel_builder": "builder of wheels"}


def _words(name: str, value: object) -> str:
    if isinstance(value, ImagePin):
        return f"the pin of {value.reference}"
    if isinstance(value, CommitPin):
        return f"the commit of {value.ref}"
    return f"the pin of no {_WORDS.get(name, name)}" if value is None else f"the pins of {_WORDS.get(name, name)}"
