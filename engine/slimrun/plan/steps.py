"""What a stage does, as typed values; they become text only where a person reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import BUILT_IN
from slimrun.plan.building import Configure, Install, InstallBuilder, Make, ResolveCommit, TakeBuilt, TakeSource

if TYPE_CHECKING:
    from slimrun.errors import Where
    from slimrun.recipe.model import Bytecode, FileCopy, Glob, Image, Level, Pairs, Text, VerifyRun, Wheel
    from slimrun.recipe.policy import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveImage:
    """Settle an image reference to one image."""

    role: str
    reference: str
    where: Where

    def __str__(self) -> str:
        return f"{self.role} {self.reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePython:
    """Take CPython out of the base build's image."""

    image: str
    where: Where

    def __str__(self) -> str:
        return f"take CPython out of {self.image}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDebian:
    """Settle Debian packages and what they depend on; `suite` None means the base build's.

    `features` have packages of their own, which come along; None means the default ones.
    """

    role: str
    packages: tuple[Text, ...]
    suite: str | None
    snapshot: str | None
    where: Where
    features: tuple[str, ...] | None = ()

    def __str__(self) -> str:
        return f"{self.role} {', '.join(item.text for item in self.packages)} of {self.suite or 'its suite'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackPython:
    """Take CPython out of Debian's packages."""

    package: Text
    suite: str

    def __str__(self) -> str:
        return f"unpack {self.package.text} of Debian {self.suite}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackPackages:
    """Unpack the Debian packages that the recipe names."""

    packages: tuple[Text, ...]

    def __str__(self) -> str:
        return f"unpack {', '.join(item.text for item in self.packages)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallWheels:
    """Settle, download and install what `wheels` names; `index` None means the person's own, else PyPI.

    What `from_source` names is built of its sdist; `builds` says whether anything is known to be, a folder too.
    """

    lines: tuple[Wheel, ...]
    index: str | None = None
    extra_index: tuple[str, ...] = ()
    constraints: Wheel | None = None
    from_source: tuple[Text, ...] = ()
    builds: bool = False

    @property
    def where(self) -> Where:
        """The first place that asks for any of it."""
        return self.lines[0].where if self.lines else self.from_source[0].where

    def __str__(self) -> str:
        built = f", build {', '.join(item.text for item in self.from_source)}" if self.from_source else ""
        return f"install {', '.join(line.text for line in self.lines)}{built}" if self.lines else "no wheels"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFiles:
    """Copy files of the host, or make empty folders."""

    copies: tuple[FileCopy, ...]

    def __str__(self) -> str:
        return f"copy {', '.join(copy.to for copy in self.copies)}" if self.copies else "no files"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneTree:
    """Keep what is needed, and say why.

    `features` None means the default ones, `environ` is what of the recipe's image.env the loader heeds.
    """

    level: Level
    level_where: Where
    keep: tuple[Glob, ...] = ()
    drop: tuple[Glob, ...] = ()
    libraries: tuple[Text, ...] = ()
    features: tuple[Text, ...] | None = None
    strip: bool = False
    bytecode: Bytecode = "drop"
    bytecode_where: Where | None = None
    dedupe: bool = False
    environ: Pairs = ()

    def __str__(self) -> str:
        return f"level {self.level}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteImage:
    """Write layers and config; `user_where` is where `image.user` was written."""

    name: str
    description: str
    runtime: str
    runtime_where: Where
    image: Image
    user_where: Where = BUILT_IN

    def __str__(self) -> str:
        return f"layers and config on {self.runtime}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Load the image, check and run it, then give it its tags."""

    imports: tuple[Text, ...] = ()
    runs: tuple[VerifyRun, ...] = ()
    max_size: int | None = None
    max_size_where: Where | None = None
    volumes: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def __str__(self) -> str:
        what = [f"import {', '.join(item.text for item in self.imports)}"] if self.imports else []
        what += [f"run {len(self.runs)} command{'s' if len(self.runs) > 1 else ''}"] if self.runs else []
        return "; ".join(["load, check libraries", *what])


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """Write down what the image holds and why."""

    def __str__(self) -> str:
        return "why each file is there"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushImage:
    """Push the image under its names, once it is verified."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.names)


Step = (
    ResolveImage
    | ResolveDebian
    | ResolveCommit
    | InstallBuilder
    | TakeSource
    | Configure
    | Make
    | Install
    | TakeBuilt
    | TakePython
    | UnpackPython
    | UnpackPackages
    | InstallWheels
    | CopyFiles
    | PruneTree
    | WriteImage
    | Verify
    | WriteReport
    | PushImage
)
