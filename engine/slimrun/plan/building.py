"""What is done to compile CPython, as typed values: each is a stage of its own, with its own key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimrun.errors import Where
    from slimrun.recipe.model import Libpython, Text

    Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveCommit:
    """Settle which commit a ref means."""

    repo: str
    ref: str
    where: Where

    def __str__(self) -> str:
        return f"commit of {self.ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallBuilder:
    """Install Debian packages in the builder."""

    packages: tuple[Text, ...]
    where: Where

    def __str__(self) -> str:
        first, more = (self.packages[0].text if self.packages else "none"), len(self.packages) - 1
        return f"builder packages {first}" + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSource:
    """Put a commit's files into the builder."""

    ref: str
    where: Where

    def __str__(self) -> str:
        return f"source of {self.ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """CPython's configure, with our flags, then the recipe's: the last one wins."""

    libpython: Libpython
    flags: tuple[Text, ...] = ()
    env: Pairs = ()
    where: Where

    def __str__(self) -> str:
        return " ".join(("configure", self.libpython, "libpython", *(flag.text for flag in self.flags)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """Compile; `jobs` None means as many at a time as the engine has processors."""

    env: Pairs = ()
    jobs: int | None = None

    def __str__(self) -> str:
        return "make"


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """Install below the prefix, in the builder."""

    env: Pairs = ()

    def __str__(self) -> str:
        return "install"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBuilt:
    """Take CPython out of the builder; `imports` are the modules that the recipe must be able to import."""

    ref: str
    builder: str
    imports: tuple[Text, ...]
    where: Where

    def __str__(self) -> str:
        return f"take CPython {self.ref} out of its builder"


BuildPart = InstallBuilder | TakeSource | Configure | Make | Install
