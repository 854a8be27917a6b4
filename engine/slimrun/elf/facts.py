"""Each content read once: a memo of facts by what tells contents apart, and a shelf that keeps the costly ones from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from slimrun import __version__
from slimrun.elf import ldcache
from slimrun.elf.banner import Banner, banner_of
from slimrun.elf.image import MAGIC
from slimrun.elf.info import Symbols
from slimrun.errors import BadElf
from slimrun.tree.content import Extent
from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.elf.info import ElfInfo
    from slimrun.tree.entry import Entry

    _T = TypeVar("_T")

SMALLEST = 52  # an Elf32_Ehdr
# Raised when the readers find something else in the same bytes than they did.
REVISION = 2


class Shelf(Protocol):
    """What keeps values between runs: the cache."""

    def load_value(self, kind: str, key: str) -> Any:
        """What was kept, or None."""
        ...

    def save_value(self, kind: str, key: str, value: object) -> None:
        """Keep a value."""
        ...


class Facts:
    """A memo for one run, handed from caller to callee; symbols and banners go onto the shelf, too, where there is one.

    Headers and dynamic tables do not: reading them again takes no longer than a record of the cache does.
    """

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._shelf = shelf
        self._infos: dict[str, ElfInfo | BadElf | None] = {}
        self._symbols: dict[str, Symbols] = {}
        self._banners: dict[str, Banner] = {}
        self._caches: dict[tuple[str, int, bool], dict[str, list[ldcache.Cached]]] = {}
        self._answers: dict[tuple[str, str], Any] = {}

    def facts(self, path: str, entry: Entry) -> ElfInfo | None:
        """The facts of a file, or None where it is not ELF; raises BadElf (also the second time), naming `path`."""
        if entry.kind is not Kind.FILE or entry.size < SMALLEST:
            return None
        if entry.identity not in self._infos:
            self._infos[entry.identity] = self._read(path, entry)
        found = self._infos[entry.identity]
        if isinstance(found, BadElf):
            raise BadElf(found.message, hint=found.hint, where=found.where)
        return found

    def sound(self, path: str, entry: Entry) -> ElfInfo | None:
        """The facts of a file, or None where it is not ELF that a loader would take: for those who only look for such."""
        try:
            return self.facts(path, entry)
        except BadElf:
            return None

    def symbols(self, path: str, entry: Entry) -> Symbols:
        """The dynamic symbols of a file, none where it is not ELF; raises BadElf."""
        if entry.identity not in self._symbols:
            self._symbols[entry.identity] = self._kept(Symbols, entry, lambda: _symbols(path, entry))
        return self._symbols[entry.identity]

    def banner(self, entry: Entry) -> Banner:
        """What a libc or ld.so says in its strings."""
        if entry.identity not in self._banners:
            self._banners[entry.identity] = self._kept(Banner, entry, lambda: banner_of(entry.read()))
        return self._banners[entry.identity]

    def cache_lines(self, entry: Entry, flags: int, *, little: bool) -> dict[str, list[ldcache.Cached]]:
        """The lines of an ld.so.cache that a loader with these flags goes by, by name in the file's order."""
        key = (entry.identity, flags, little)
        if key not in self._caches:
            lines: dict[str, list[ldcache.Cached]] = {}
            for line in ldcache.read(entry.read(), little=little):
                if line.flags == flags:
                    lines.setdefault(line.name, []).append(line)
            self._caches[key] = lines
        return self._caches[key]

    def once(self, question: str, entry: Entry, answer: Callable[[bytes], _T]) -> _T:
        """What somebody else's reader says of a file's bytes, for all images of a run; `question` names the reader."""
        key = (question, entry.identity)
        if key not in self._answers:
            self._answers[key] = answer(entry.read())
        return cast("_T", self._answers[key])

    def _read(self, path: str, entry: Entry) -> ElfInfo | BadElf | None:
        if not _begins_as_elf(entry):
            return None
        try:
            return _info(path, entry)
        except BadElf as error:
            return error

    def _kept(self, kind: type, entry: Entry, read: Callable[[], _T]) -> _T:
        """A fact of this kind off the shelf, else what reading gives."""
        if self._shelf is None:
            return read()
        word, key = f"elf-{kind.__name__.lower()}", f"{entry.known().digest}-{__version__}-{REVISION}"
        value: Any = self._shelf.load_value(word, key)
        if not isinstance(value, kind):
            value = read()
            self._shelf.save_value(word, key, value)
        return cast("_T", value)


# The readers are loaded when a file has to be read: a run in which all is cached does without pyelftools.


def _info(path: str, entry: Entry) -> ElfInfo | None:
    from slimrun.elf.reader import read_elf

    with entry.open() as stream:
        return read_elf(stream, path)


def _symbols(path: str, entry: Entry) -> Symbols:
    from slimrun.elf.symbols import read_symbols

    with entry.open() as stream:
        return read_symbols(stream, path)


def _begins_as_elf(entry: Entry) -> bool:
    """Most files of an image do not; for those, opening a buffered reader would be most of the work."""
    return not isinstance(entry.content, Extent) or entry.content.head(len(MAGIC)) == MAGIC
