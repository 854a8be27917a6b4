"""The glibc set: ld.so, libc and their like share private structures, so all come from one build or the process aborts.

[X] in ELF.md 2.2: ld.so 2.41 with libc 2.36 dies of "stack smashing detected" though every symbol version is met.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from posixpath import join
from typing import TYPE_CHECKING

from slimrun.elf.versions import Verdict, compare
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.elf.facts import Facts
    from slimrun.elf.info import ElfInfo, VersionNeed
    from slimrun.elf.linker import Linker
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import TreeSource

LIBC = "libc.so.6"
# `dpkg -L libc6` without gconv and audit, which are folders. Not in it: libcrypt, libnsl.so.2, libgcc_s, libstdc++.
MEMBER = re.compile(
    r"ld-linux[^/]*\.so\.\d+|ld64\.so\.\d+|ld\.so\.1|libc\.so\.6|lib(m|util|thread_db|BrokenLocale|anl|mvec|rt|dl|nsl)\.so\.1"
    r"|libm\.so\.6|lib(pthread|c_malloc_debug)\.so\.0|lib(dl|resolv)\.so\.2|libnss_(files|dns|compat|hesiod|db)\.so\.2"
    r"|lib(memusage|pcprofile|SegFault)\.so|libthread_db-1\.0\.so|(ld|lib(c|m|mvec|pthread|dl|rt|util|anl|resolv|nsl|thread_db|BrokenLocale"
    r"|nss_(files|dns|compat|hesiod|db)))-2\.\d+(\.\d+)?\.so"
)
FOLDERS = ("gconv", "audit")


def is_member(name: str) -> bool:
    """Whether a library of this name or SONAME is of the set."""
    return MEMBER.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The set as it lies in one tree: real paths by key, which is the SONAME, or `gconv/NAME.so`; names that lead to them."""

    identity: str
    linker_identity: str
    release: tuple[int, int]
    files: dict[str, tuple[str, ...]]
    entries: dict[str, Entry]
    infos: dict[str, ElfInfo] = field(default_factory=dict)
    links: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether libc and ld.so are there, of one build as far as they say."""
        said = {text for text in (self.identity, self.linker_identity) if text}
        return LIBC in self.files and any(key.startswith("ld") for key in self.files) and len(said) <= 1

    def lacks(self, need: VersionNeed) -> tuple[str, ...]:
        """The versions of a need that this family does not offer; the library's name where it is not there at all."""
        info = self.infos.get(need.library)
        if info is None:
            return (need.library,)
        outcome = compare(need, info)
        return outcome.versions if outcome.verdict is Verdict.UNMET else ()


def family_of(tree: TreeSource, linker: Linker, target: tuple[int, bool, int], facts: Facts) -> Family | None:
    """The set in the folders that `linker` searches and in its own; None where there is no libc.so.6 among them."""
    files: dict[str, list[str]] = {}
    entries: dict[str, Entry] = {}
    infos: dict[str, ElfInfo] = {}
    links: list[str] = []
    for folder, prefix in _folders(tree, linker):
        for name in tree.children(folder):
            path = join(folder, name)
            entry = tree.stat(path)
            if entry is None or not (is_member(name) if not prefix else name.endswith(".so")):
                continue
            if entry.kind is Kind.LINK:
                links.append(path)
            if entry.kind is not Kind.FILE or path in entries:
                continue
            info = facts.sound(path, entry)
            if info is None or info.target != target:
                continue
            key = prefix + name if prefix else info.soname if is_member(info.soname) else name
            files.setdefault(key, []).append(path)
            entries[path] = entry
            infos.setdefault(key, info)
    if LIBC not in files:
        return None
    linkers = [path for key, paths in files.items() if key.startswith("ld") for path in paths]
    libc = facts.banner(entries[files[LIBC][0]])
    return Family(
        identity=libc.identity,
        linker_identity=facts.banner(entries[linkers[0]]).identity if linkers else "",
        release=libc.release,
        files={key: tuple(paths) for key, paths in sorted(files.items())},
        entries=entries,
        infos=infos,
        links=tuple(links),
    )


def _folders(tree: TreeSource, linker: Linker) -> list[tuple[str, str]]:
    """Real folders, each once, with the prefix of its keys."""
    found: dict[str, str] = {}
    for folder in (*linker.dirs, linker.interp.rpartition("/")[0], linker.path.rpartition("/")[0]):
        real = resolve(tree, folder) if folder else None
        if real is None or real.entry.kind is not Kind.DIR:
            continue
        found.setdefault(real.path, "")
        for below in FOLDERS:
            inner = resolve(tree, join(real.path, below))
            if inner is not None:
                found.setdefault(inner.path, f"{below}/")
    return list(found.items())
