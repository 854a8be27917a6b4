"""Each content read once: a memo of facts by digest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from slimrun.elf import ldcache
from slimrun.elf.banner import Banner, banner_of
from slimrun.elf.image import MAGIC
from slimrun.elf.reader import read_elf
from slimrun.elf.symbols import read_symbols
from slimrun.errors import BadElf
from slimrun.tree.entry import Extent, Kind

if TYPE_CHECKING:
    from slimrun.elf.info import ElfInfo, Symbols
    from slimrun.tree.entry import Entry

SMALLEST = 52  # an Elf32_Ehdr


class Facts:
    """A memo for one run, handed from caller to callee; nothing is kept beyond it."""

    def __init__(self) -> None:
        self._infos: dict[str, ElfInfo | BadElf | None] = {}
        self._symbols: dict[str, Symbols] = {}
        self._banners: dict[str, Banner] = {}
        self._caches: dict[tuple[str, int, bool], dict[str, list[ldcache.Cached]]] = {}

    def facts(self, path: str, entry: Entry) -> ElfInfo | None:
        """The facts of a file, or None where it is not ELF; raises BadElf (also the second time), naming `path`."""
        if entry.kind is not Kind.FILE or entry.size < SMALLEST:
            return None
        if entry.digest not in self._infos:
            self._infos[entry.digest] = self._read(path, entry)
        found = self._infos[entry.digest]
        if isinstance(found, BadElf):
            raise BadElf(found.message, hint=found.hint, where=found.where)
        return found

    def symbols(self, path: str, entry: Entry) -> Symbols:
        """The dynamic symbols of a file, none where it is not ELF; raises BadElf."""
        if entry.digest not in self._symbols:
            with entry.open() as stream:
                self._symbols[entry.digest] = read_symbols(stream, path)
        return self._symbols[entry.digest]

    def banner(self, entry: Entry) -> Banner:
        """What a libc or ld.so says in its strings."""
        if entry.digest not in self._banners:
            self._banners[entry.digest] = banner_of(entry.read())
        return self._banners[entry.digest]

    def cache_lines(self, entry: Entry, flags: int, *, little: bool) -> dict[str, list[ldcache.Cached]]:
        """The lines of an ld.so.cache that a loader with these flags goes by, by name in the file's order."""
        key = (entry.digest, flags, little)
        if key not in self._caches:
            lines: dict[str, list[ldcache.Cached]] = {}
            for line in ldcache.read(entry.read(), little=little):
                if line.flags == flags:
                    lines.setdefault(line.name, []).append(line)
            self._caches[key] = lines
        return self._caches[key]

    def _read(self, path: str, entry: Entry) -> ElfInfo | BadElf | None:
        if not _begins_as_elf(entry):
            return None
        try:
            with entry.open() as stream:
                return read_elf(stream, path)
        except BadElf as error:
            return error


def _begins_as_elf(entry: Entry) -> bool:
    """Most files of an image do not; for those, opening a buffered reader would be most of the work."""
    if not isinstance(entry.content, Extent):
        return True
    number = os.open(entry.content.file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(number, len(MAGIC), entry.content.offset) == MAGIC
    finally:
        os.close(number)
