"""Which dynamic linker a program runs under, and what that linker's own bytes say: default folders, tokens, release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.elf.banner import Banner
from slimrun.elf.reader import MACHINES
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.elf.facts import Facts
    from slimrun.elf.info import ElfInfo
    from slimrun.tree.tree import TreeSource

MUSL_PATH = ("/lib", "/usr/local/lib", "/usr/lib")
# NEWS of glibc 2.33 and 2.37. Also since 2.33 does ld.so say of which release it is.
HWCAPS_BEGAN, LEGACY_HWCAPS_ENDED = (2, 33), (2, 37)
NAMED = re.compile(r"ld-(\d+)\.(\d+)(?:\.\d+)?\.so")


@dataclass(frozen=True, slots=True)
class Abi:
    """What is fixed for a machine and class: Debian's multiarch folder, $PLATFORM, the usual PT_INTERP, lib64 or lib."""

    multiarch: str
    platform: str
    interp: str
    lib: str = "lib"


# Used where a tree has no ld.so to ask, and for shared libraries, which name none.
ABIS = {
    (MACHINES["EM_X86_64"], 64): Abi("x86_64-linux-gnu", "x86_64", "/lib64/ld-linux-x86-64.so.2", "lib64"),
    (MACHINES["EM_386"], 32): Abi("i386-linux-gnu", "i686", "/lib/ld-linux.so.2"),
    (MACHINES["EM_AARCH64"], 64): Abi("aarch64-linux-gnu", "aarch64", "/lib/ld-linux-aarch64.so.1", "lib64"),
    (MACHINES["EM_ARM"], 32): Abi("arm-linux-gnueabihf", "v7l", "/lib/ld-linux-armhf.so.3"),
    (MACHINES["EM_PPC64"], 64): Abi("powerpc64le-linux-gnu", "power8", "/lib64/ld64.so.2", "lib64"),
    (MACHINES["EM_S390"], 64): Abi("s390x-linux-gnu", "z10", "/lib/ld64.so.1", "lib64"),
    (MACHINES["EM_RISCV"], 64): Abi("riscv64-linux-gnu", "riscv64", "/lib/ld-linux-riscv64-lp64d.so.1", "lib64"),
}
UNKNOWN = Abi("unknown-linux-gnu", "unknown", "/lib/ld.so.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Linker:
    """A dynamic linker as it stands in one tree; `path` is its real path, "" where the tree has none.

    `asserts` as in Banner; true, the worse, where nothing is known.
    """

    interp: str
    path: str
    musl: bool
    dirs: tuple[str, ...]
    lib: str
    platform: str
    release: tuple[int, int] = (0, 0)
    asserts: bool = True

    @property
    def modern_hwcaps(self) -> bool:
        """Whether glibc-hwcaps/ below a folder is searched; so it is where the release is unknown."""
        return not (0, 0) < self.release < HWCAPS_BEGAN

    @property
    def legacy_hwcaps(self) -> bool:
        """Whether tls/, haswell/ and their like below a folder are searched."""
        return (0, 0) < self.release < LEGACY_HWCAPS_ENDED


def abi_of(info: ElfInfo) -> Abi:
    """What is fixed for a file's machine and class."""
    return ABIS.get((info.machine, info.bits), UNKNOWN)


def is_musl(interp: str) -> bool:
    """Whether a PT_INTERP is musl's."""
    return interp.rpartition("/")[2].startswith("ld-musl-")


def linker_of(tree: TreeSource, program: ElfInfo, facts: Facts) -> Linker:
    """The linker that a program, or a library started by hand, gets in a tree; it is read, never run."""
    abi = abi_of(program)
    interp = program.interp or abi.interp
    found = resolve(tree, interp)
    path = found.path if found and found.entry.kind is Kind.FILE else ""
    if is_musl(interp):
        return Linker(interp=interp, path=path, musl=True, dirs=_musl_dirs(tree, interp), lib="", platform="")
    banner = facts.banner(found.entry) if found and path else Banner()
    dirs = banner.dirs or (f"/lib/{abi.multiarch}", f"/usr/lib/{abi.multiarch}", *_plain_dirs(abi))
    return Linker(
        interp=interp,
        path=path,
        musl=False,
        dirs=dirs,
        lib=_lib_token(dirs[0]),
        platform=abi.platform,
        asserts=banner.asserts or not banner.dirs,
        release=banner.release if banner.release > (0, 0) or not banner.dirs else _older(path),
    )


def _older(path: str) -> tuple[int, int]:
    """The release of an ld.so that says none: by its name, as Debian's was until 2.33 (ld-2.31.so), or the last such."""
    name = NAMED.fullmatch(path.rpartition("/")[2])
    return (int(name[1]), int(name[2])) if name else (2, 32)


def _lib_token(first: str) -> str:
    """$LIB: the first default folder below / or /usr, as Debian and Fedora compile it in (DL_DST_LIB)."""
    if first.startswith(("/lib", "/usr/")):
        return first.removeprefix("/").removeprefix("usr/")
    return first.rpartition("/")[2]


def _plain_dirs(abi: Abi) -> tuple[str, ...]:
    dirs = ("/lib", "/usr/lib")
    return (*dirs, "/lib64", "/usr/lib64") if abi.lib == "lib64" else dirs


def _musl_dirs(tree: TreeSource, interp: str) -> tuple[str, ...]:
    arch = interp.rpartition("/")[2].removeprefix("ld-musl-").removesuffix(".so.1")
    found = resolve(tree, f"/etc/ld-musl-{arch}.path")
    if found is None or found.entry.kind is not Kind.FILE:
        return MUSL_PATH
    words = re.split(r"[:\n]", found.entry.read().decode("utf-8", "surrogateescape"))
    return tuple(word for word in words if word)
