"""What one ELF file says about itself: facts without a path, the same wherever the file lies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

DF_1_NODEFLIB = 0x800
DF_1_PIE = 0x08000000
# What the loader maps begins on a page (dl-load.c, _dl_map_object_from_fd): 4 KiB on every machine that we know, and on
# these, as the kernel is built, up to 64 KiB.
PAGE, LARGE_PAGE = 4096, 1 << 16
LARGE_PAGED = (21, 183)  # EM_PPC64, EM_AARCH64
# From this release on, only the page counts, and p_align no more (commit 163f625cf9).
ALIGN_IGNORED = (2, 35)


class ElfType(StrEnum):
    """e_type; a position-independent executable is a `SHARED` with DF_1_PIE."""

    RELOCATABLE = "relocatable"
    EXECUTABLE = "executable"
    SHARED = "shared"
    OTHER = "other"


class VersionRef(NamedTuple):
    """One needed version: an opaque string, and whether its absence is only a warning (VER_FLG_WEAK)."""

    name: str
    weak: bool


class VersionNeed(NamedTuple):
    """The versions that a file needs of one library (an Elf64_Verneed)."""

    library: str
    versions: tuple[VersionRef, ...]


class Load(NamedTuple):
    """A PT_LOAD: bytes of the file, bytes of memory, and permission bits (4 read, 2 write, 1 execute)."""

    offset: int
    vaddr: int
    filesz: int
    memsz: int
    flags: int
    align: int

    def aligned(self, page: int = PAGE) -> bool:
        """Whether a loader maps it: address and offset are equal modulo the page."""
        return (self.vaddr - self.offset) % page == 0

    @property
    def strict(self) -> bool:
        """Whether a loader before ALIGN_IGNORED maps it: p_align is of whole pages, and address and offset equal modulo it."""
        return self.align % PAGE == 0 and (self.vaddr - self.offset) & (self.align - 1) == 0


class DlopenNote(NamedTuple):
    """One feature of a .note.dlopen: the first of `sonames` found is enough (systemd's ELF_DLOPEN_METADATA)."""

    feature: str
    description: str
    priority: str
    sonames: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfInfo:
    """The facts that the loader goes by; read from program headers alone, never from sections.

    `rpath` and `runpath` are None where the tag is absent and "" where its string is empty. `refused` says why no ld.so
    takes the file as a shared library though it is sound ELF (OS ABI, executable), "" where one does. `dynamic` is false
    for static executables and objects. It holds no symbols: `Facts.symbols` reads those, for the few that ask.
    """

    bits: int
    little: bool
    machine: int
    type: ElfType
    dynamic: bool = False
    refused: str = ""
    interp: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    flags_1: int = 0
    filters: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    verneed: tuple[VersionNeed, ...] = ()
    verdef: tuple[str, ...] = ()
    has_versym: bool = False
    build_id: str = ""
    exec_stack: bool = False
    loads: tuple[Load, ...] = ()
    dlopen: tuple[DlopenNote, ...] = ()

    @property
    def nodeflib(self) -> bool:
        """Linked with `-z nodefaultlib`: neither default folders nor cached ones below them are searched."""
        return bool(self.flags_1 & DF_1_NODEFLIB)

    @property
    def pie(self) -> bool:
        """A position-independent executable."""
        return bool(self.flags_1 & DF_1_PIE)

    @property
    def misaligned(self) -> tuple[Load, ...]:
        """The PT_LOADs that no loader maps, or none on a kernel with the large pages that the file is built for."""
        large = self.machine in LARGE_PAGED
        return tuple(
            one for one in self.loads if not one.aligned(LARGE_PAGE if large and one.align >= LARGE_PAGE else PAGE)
        )

    def refused_by(self, release: tuple[int, int]) -> str:
        """ld.so's own words where that of `release` does not take the file as a shared library, "" where it does."""
        strict = (0, 0) < release < ALIGN_IGNORED and not all(load.strict for load in self.loads)
        return self.refused or ("ELF load command alignment not page-aligned" if strict else "")

    @property
    def target(self) -> tuple[int, bool, int]:
        """What must be equal for two files to share a process: class, byte order, machine."""
        return (self.bits, self.little, self.machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """Names of the dynamic symbol table, without versions: what a file asks for and what it offers.

    `weak` are those of `imports` that it can do without.
    """

    imports: frozenset[str]
    exports: frozenset[str]
    weak: frozenset[str] = frozenset()
