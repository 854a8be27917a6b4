"""What the closure takes and gives: values, so that `explain`, the report and the checks read them without working again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from slimrun.why import printable

if TYPE_CHECKING:
    from slimrun.elf.ldcache import Cached
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree
    from slimrun.why import Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """A tree that libraries may come from, with the name that reports use for it (`base build`, `debian packages`)."""

    name: str
    tree: Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A file that must run: an executable (`program` empty or itself), or a module that the executable `program` loads.

    Both are paths in the output.
    """

    path: str
    why: Why
    program: str = ""

    @property
    def is_program(self) -> bool:
        """Whether the kernel starts it, rather than `program` loading it."""
        return self.program in ("", self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A name that `program` opens at run time though no file says so: libgcc_s.so.1 with every CPython."""

    name: str
    why: Why
    program: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A path that the output gets from a supply: a file, or a link or folder link on the way to one."""

    path: str
    entry: Entry
    supply: str
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """`by` asks for `name` and gets `found` (the file itself, links resolved; "" where nothing is); `how` names the rule."""

    by: str
    name: str
    found: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A library that neither the output nor any supply has.

    `searched` are the output's folders; `fatal` holds the loader's words where a candidate ended the search. `late`: a module
    asks for it, before which others may have been loaded.
    """

    name: str
    needed_by: str
    why: Why
    searched: tuple[str, ...] = ()
    fatal: str = ""
    late: bool = False

    def __str__(self) -> str:
        reason = self.fatal or f"nothing in {', '.join(self.searched) or 'any folder'}"
        return printable(f"{self.name} is needed by {self.needed_by}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """A version, or a `symbol` without regard to its version, that `by` needs and the library found does not offer.

    `provider` is the library's path in the output, `why` the reason of `by`. What a finished tree lacks in symbols is not looked
    for again: they are known from the copy that a supply has.
    """

    version: str
    library: str
    by: str
    provider: str
    why: Why
    symbol: bool = False

    def __str__(self) -> str:
        return printable(f"{self.by} needs {self.version} of {self.library}, and {self.provider} does not offer it")


class Level(StrEnum):
    """How bad a finding is; only the caller makes an error of it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about one path that a person should know; `rule` is a stable word."""

    rule: str
    path: str
    text: str
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.text} [{self.rule}]")


class FamilyChoice(StrEnum):
    """Where the glibc of the output comes from."""

    BASE = "base"
    SUPPLY = "supply"
    REPLACED = "replaced"
    REFUSED = "refused"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyDecision:
    """The one glibc of the output: the base's own, a supply's into a base without one, or a supply's in its place.

    `needs` are what the base's own lacks (file, library, version); `why_not` says why nothing fits where it is REFUSED.
    """

    choice: FamilyChoice = FamilyChoice.NONE
    supply: str = ""
    identity: str = ""
    base_identity: str = ""
    needs: tuple[Unmet, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What the output needs beyond itself; every tuple is sorted. It does not know what prune will remove.

    `used` holds every path of the output, pulled ones included, that a root needs: files, the links they are reached
    through, and all hwcaps variants. `removed` are the base's paths of a glibc family that is replaced (those not
    overwritten by `pulled`). `cached` are the lines for what only an ld.so.cache finds; `cache` is that file's content,
    None where the output needs none: write it again with `ldcache.regenerate` after pruning.
    """

    pulled: tuple[Pulled, ...] = ()
    used: frozenset[str] = frozenset()
    edges: tuple[Edge, ...] = ()
    missing: tuple[Missing, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    family: FamilyDecision = field(default_factory=FamilyDecision)
    removed: tuple[str, ...] = ()
    cached: tuple[Cached, ...] = ()
    cache: bytes | None = None
    findings: tuple[Finding, ...] = ()

    def of(self, path: str) -> tuple[Edge, ...]:
        """Who asks for the file at `path`, for `explain`."""
        return tuple(edge for edge in self.edges if edge.found == path)
