"""Why a path is kept or removed: a chain from the file back to a line that a person wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.errors import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One step of a reason; `because` leads on towards the recipe, whose step carries `where`.

    `rule` is a stable word for machines (recipe, wheel, stdlib, extension, needed, base, keep, drop, level, …), `text` the
    sentence for a person, on one line whatever the names of files in it. Steps share their tails, so a chain costs one object a
    file.
    """

    rule: str
    text: str
    because: Why | None = None
    where: Where | None = None

    def __post_init__(self) -> None:
        if not self.text.isprintable():
            object.__setattr__(self, "text", printable(self.text))

    def chain(self) -> Iterator[Why]:
        """The steps from this one to the recipe's."""
        step: Why | None = self
        while step is not None:
            yield step
            step = step.because

    def __str__(self) -> str:
        return " <- ".join(f"{step.text} ({step.where})" if step.where else step.text for step in self.chain())


def printable(text: str) -> str:
    """The text on one line: what a terminal would act on, and bytes that are not UTF-8, are written as escapes.

    Names of files and libraries are anybody's: a newline in one must not look like another line of a report.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def setting(rule: str, text: str, where: Where, otherwise: Why | None) -> Why:
    """The reason that a recipe's setting is; of a built-in value, which has no line, it leads on to `otherwise`."""
    if where != BUILT_IN:
        return Why(rule=rule, text=text, where=where)
    return Why(rule=rule, text=f"{text}, as nobody says otherwise", because=otherwise)
