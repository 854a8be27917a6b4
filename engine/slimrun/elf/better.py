"""Where the output has a library, and a supply's copy has to take its place: versions and symbols that it lacks.

ELF.md section 0 and the last rule of 2.3: the base's first, where it offers all that is needed, else the builder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from slimrun.elf import inspect
from slimrun.elf.family import is_member
from slimrun.elf.versions import Verdict, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.elf.facts import Facts
    from slimrun.elf.folders import Hit
    from slimrun.elf.inspect import Breach
    from slimrun.elf.process import Loaded
    from slimrun.elf.search import Search
    from slimrun.elf.supplier import Suppliers
    from slimrun.elf.walk import Run

    Origins = dict[str, tuple[int, str]]


class Better(NamedTuple):
    """`name`, as `by` asks for it, is to come from a supply."""

    by: Loaded
    name: str
    supply: int
    search: Search


class Chooser:
    """Remembers which pairs it has judged: each gets one answer, so that two supplies cannot take turns for ever."""

    def __init__(self, suppliers: Suppliers, facts: Facts) -> None:
        self._suppliers, self._facts = suppliers, facts
        self._versions: set[tuple[str, str]] = set()
        self._symbols: set[tuple[str, str]] = set()

    def choices(self, run: Run, origins: Origins) -> Iterator[Better]:
        """What should be taken after this run; members of glibc never are, one by one."""
        for breach in inspect.breaches(run.process, run.objects):
            if breach.fatal and not is_member(breach.need.library):
                yield from self._by_versions(run, breach, origins)
        for asked in run.process.asked:
            own = asked.found
            if (
                own is None
                or asked.search is None
                or own.hit.info.verdef
                or own.real in origins
                or is_member(asked.name)
            ):
                continue
            yield from self._by_symbols(run, asked.by, asked.name, own.hit, origins)

    def _by_versions(self, run: Run, breach: Breach, origins: Origins) -> Iterator[Better]:
        """The first copy that meets the need and offers all that the old one does: libraries only grow."""
        name, old = breach.need.library, breach.provider.hit
        key = (old.entry.digest, breach.by.hit.entry.digest)
        if key in self._versions:
            return
        self._versions.add(key)
        for number, search, new in self._copies(run, breach.by, name, origins):
            if new.entry.digest == old.entry.digest or not set(old.info.verdef) <= set(new.info.verdef):
                continue
            if compare(breach.need, new.info).verdict in (Verdict.MET, Verdict.WEAK):
                yield Better(breach.by, name, number, search)
                return

    def _by_symbols(self, run: Run, by: Loaded, name: str, old: Hit, origins: Origins) -> Iterator[Better]:
        """A library without versions must export all that is imported of the copy that a supply has."""
        key = (by.hit.entry.digest, old.entry.digest)
        if key in self._symbols:
            return
        self._symbols.add(key)
        for number, search, new in self._copies(run, by, name, origins):
            if new.info.soname == old.info.soname:
                if new.entry.digest != old.entry.digest and self._lacks(by.hit, old, new):
                    yield Better(by, name, number, search)
                return

    def _copies(self, run: Run, by: Loaded, name: str, origins: Origins) -> Iterator[tuple[int, Search, Hit]]:
        for number in range(len(self._suppliers.supplies)):
            search = self._suppliers.search(number, name, by.asker, run.process.main.asker, origins)
            if search.hit is not None:
                yield number, search, search.hit

    def _lacks(self, by: Hit, old: Hit, new: Hit) -> frozenset[str]:
        wants, offers, has = (self._facts.symbols(hit.real, hit.entry) for hit in (by, new, old))
        return (wants.imports & offers.exports) - has.exports
