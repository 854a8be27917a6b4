"""What glibc's own strings tell: which build a libc or ld.so is of, and where an ld.so looks by default."""

from __future__ import annotations

import re
from dataclasses import dataclass

# system_dirs of elf/dl-load.c lies in .rodata as strings end to end, each with a slash before its NUL.
SYSTEM_DIRS = re.compile(rb"\0((?:/(?:[A-Za-z0-9_.+-]+/)*lib[A-Za-z0-9_]*/(?:[A-Za-z0-9_.+-]+/)?\0)+)")
# libc has `GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.`, ld.so the same of itself since 2.33.
RELEASE = re.compile(rb"\(([ -'*-~]{1,200})\) (?:stable|development) release version (\d+)\.(\d+)")
MARK = b" release version "
# check_match of elf/dl-lookup.c, until 2.36 at least; Debian 13's 2.41 has it no more, and takes such symbols.
ASSERTION = b"! _dl_name_match_p (version->filename, map)"


@dataclass(frozen=True, slots=True)
class Banner:
    """`Debian GLIBC 2.36-9+deb12u14`, (2, 36), the default folders without their last slash; each empty where unsaid.

    `asserts`: it ends a process that finds in a library without any versions a symbol that it wants with one.
    """

    identity: str = ""
    release: tuple[int, int] = (0, 0)
    dirs: tuple[str, ...] = ()
    asserts: bool = False


def banner_of(data: bytes) -> Banner:
    """The banner of a file's bytes."""
    at = data.find(MARK)
    found = RELEASE.search(data, max(0, at - 240), at + 40) if at >= 0 else None
    identity = found[1].decode() if found else ""
    release = (int(found[2]), int(found[3])) if found else (0, 0)
    return Banner(identity, release, system_dirs(data), ASSERTION in data)


def system_dirs(data: bytes) -> tuple[str, ...]:
    """The default folders compiled into an ld.so, in order; () where none can be made out."""
    runs: list[list[bytes]] = [run[:-1].split(b"\0") for run in SYSTEM_DIRS.findall(data)]
    longest = max(runs, key=len, default=[])
    return tuple(part.decode().rstrip("/") for part in longest)
