"""Opening a name in a search folder: what the loader accepts, what it skips, what ends its search (open_verify)."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import join
from typing import TYPE_CHECKING

from slimrun.elf.ldcache import order_key
from slimrun.errors import BadElf
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.elf.facts import Facts
    from slimrun.elf.info import ElfInfo
    from slimrun.tree.entry import Entry
    from slimrun.tree.resolve import Resolved
    from slimrun.tree.tree import TreeSource

# Folders of capabilities below a search folder: the first since glibc 2.33; until 2.36 the others too, any of them below those
# before it. x86_64 stands there as a capability and as the platform.
HWCAPS = "glibc-hwcaps"
LEGACY = ("tls", "haswell", "xeon_phi", "avx512_1", "x86_64", "x86_64", "i686", "sse2")


@dataclass(frozen=True, slots=True)
class Hit:
    """A file that the loader opens: `path` as it was put together, `real` with links resolved, the links on the way."""

    path: str
    real: str
    entry: Entry
    info: ElfInfo
    links: tuple[str, ...]
    how: str
    hwcaps: str = ""


@dataclass(frozen=True, slots=True)
class Fatal:
    """A candidate that ends the search, with ld.so's words."""

    path: str
    text: str


class Folders:
    """Search folders of one tree; where a path leads is found out once. `forget` after the tree has changed."""

    def __init__(self, tree: TreeSource, facts: Facts) -> None:
        self.tree, self.facts = tree, facts
        self._known: dict[str, Resolved | None] = {}
        self._capabilities: dict[tuple[str, bool, bool], tuple[str, ...]] = {}

    def forget(self) -> None:
        """Drop what is known."""
        self._known.clear()
        self._capabilities.clear()

    def open(
        self, folder: str, name: str, target: tuple[int, bool, int], how: str, hwcaps: str = ""
    ) -> Hit | Fatal | None:
        """The file `name` in `folder`; None where the loader goes on searching."""
        where = self._folder(folder)
        if where is None:
            return None
        path = join(folder, name)
        child = join(where.path, name)
        entry = self.tree.stat(child)
        if entry is None:
            return None
        if entry.kind is Kind.FILE:
            return self._verify(path, child, entry, where.links, target, how, hwcaps)
        found = self._resolved(child)
        if found is None:
            return None
        return self._verify(path, found.path, found.entry, (*where.links, *found.links), target, how, hwcaps)

    def open_path(self, path: str, target: tuple[int, bool, int], how: str, hwcaps: str = "") -> Hit | Fatal | None:
        """The file at exactly this path."""
        found = self._resolved(path)
        if found is None:
            return None
        return self._verify(path, found.path, found.entry, found.links, target, how, hwcaps)

    def capabilities(self, folder: str, *, modern: bool, legacy: bool) -> tuple[str, ...]:
        """The folders of hwcaps variants below `folder`, relative to it: `glibc-hwcaps/x86-64-v3`, highest first."""
        where = self._folder(folder)
        if where is None:
            return ()
        key = (where.path, modern, legacy)
        if key not in self._capabilities:
            levels = sorted(self.tree.children(join(where.path, HWCAPS)), key=order_key, reverse=True) if modern else []
            older = self._legacy(where.path, "", LEGACY) if legacy else []
            self._capabilities[key] = (*(f"{HWCAPS}/{name}" for name in levels), *dict.fromkeys(older))
        return self._capabilities[key]

    def _folder(self, folder: str) -> Resolved | None:
        found = self._resolved(folder)
        return found if found is not None and found.entry.kind is Kind.DIR else None

    def _resolved(self, path: str) -> Resolved | None:
        if path not in self._known:
            self._known[path] = resolve(self.tree, path)
        return self._known[path]

    def _legacy(self, folder: str, below: str, names: tuple[str, ...]) -> list[str]:
        found: list[str] = []
        for number, name in enumerate(names):
            if self.tree.stat(join(folder, name)) is not None:
                inner = self._legacy(join(folder, name), f"{below}{name}/", names[number + 1 :])
                found += [*inner, f"{below}{name}"]
        return found

    def _verify(
        self,
        path: str,
        real: str,
        entry: Entry,
        links: tuple[str, ...],
        target: tuple[int, bool, int],
        how: str,
        hwcaps: str,
    ) -> Hit | Fatal | None:
        if entry.kind is not Kind.FILE:
            return Fatal(path, "cannot read file data: Is a directory" if entry.kind is Kind.DIR else f"a {entry.kind}")
        try:
            info = self.facts.facts(real, entry)
        except BadElf as error:
            return Fatal(path, error.message)
        if info is None:
            return Fatal(path, "file too short" if entry.size < 64 else "invalid ELF header")
        bits, little, machine = target
        if info.bits != bits:
            return None
        if info.little is not little:
            return Fatal(path, "ELF file data encoding does not fit")
        if info.machine != machine:
            return None
        return Fatal(path, info.refused) if info.refused else Hit(path, real, entry, info, links, how, hwcaps)
