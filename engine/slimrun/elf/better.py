"""Where the output has a library, and a supply's copy has to take its place: versions and symbols that it lacks.

ELF.md section 0 and the last rule of 2.3: the base's first, where it offers all that is needed, else the builder's. Versions alone
do not tell: [X] Debian 13's libncursesw asks for a symbol of NCURSES6_TINFO_6.2.20211010 that Debian 12's libtinfo, which has that
version, does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from slimrun.elf import inspect
from slimrun.elf.family import is_member
from slimrun.elf.model import Finding
from slimrun.elf.versions import Verdict, compare, need_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from slimrun.elf.facts import Facts
    from slimrun.elf.folders import Hit
    from slimrun.elf.info import ElfInfo
    from slimrun.elf.process import Loaded
    from slimrun.elf.search import Search
    from slimrun.elf.supplier import Suppliers
    from slimrun.elf.walk import Run
    from slimrun.tree.entry import Entry

    Origins = dict[str, tuple[int, str]]
    User = tuple[str, Entry, ElfInfo]


class Better(NamedTuple):
    """`name`, as `by` asks for it, is to come from a supply."""

    by: Loaded
    name: str
    supply: int
    search: Search


class Chooser:
    """Remembers which pairs it has judged: each gets one answer, so that two supplies cannot take turns for ever.

    `users` gives all files of the output that need a library, whether a root leads to them or not. `objections` say which of
    these kept a copy out, and `lacking` what symbols are then not there, both by the library's path and the asking file's.
    """

    def __init__(self, suppliers: Suppliers, facts: Facts, users: Callable[[str], Iterable[User]]) -> None:
        self._suppliers, self._facts, self._users = suppliers, facts, users
        self.objections: dict[tuple[str, str], Finding] = {}
        self.lacking: dict[tuple[str, str], frozenset[str]] = {}
        self._judged: set[tuple[str, str]] = set()

    def choices(self, run: Run, origins: Origins) -> Iterator[Better]:
        """What should be taken after this run; members of glibc never are, one by one."""
        for breach in inspect.breaches(run.process, run.objects):
            if breach.fatal and not is_member(breach.need.library):
                yield from self._judge(run, breach.by, breach.need.library, breach.provider.hit, origins)
        for asked in run.process.asked:
            own = asked.found
            if own is not None and own.real not in origins and "/" not in asked.name and not is_member(asked.name):
                yield from self._judge(run, asked.by, asked.name, own.hit, origins)

    def _judge(self, run: Run, by: Loaded, name: str, old: Hit, origins: Origins) -> Iterator[Better]:
        """The first copy that has what `by` lacks, and does not take from others what they have.

        What is asked of a library without versions is what a supply's copy has. That a copy offers all versions of the old one
        would be too much to ask: ncurses renamed some from one release to the next.
        """
        key = (old.entry.identity, by.hit.entry.identity)
        if key in self._judged:
            return
        self._judged.add(key)
        place = (old.real, by.real)
        need = need_of(by.hit.info, name)
        unmet = need is not None and compare(need, old.info).verdict in (Verdict.UNMET, Verdict.ABORT)
        for number, search, new in self._copies(run, by, name, origins):
            if new.info.soname != old.info.soname:
                continue
            if new.entry.same_bytes(old.entry):
                return
            if need is not None and compare(need, new.info).verdict in (Verdict.UNMET, Verdict.ABORT):
                continue
            symbols = self._lacks(run, by.hit, old, new)
            if not unmet and not symbols:
                return
            lost = self._objection(name, old, new)
            if not lost:
                self.objections.pop(place, None)
                self.lacking.pop(place, None)
                yield Better(by, name, number, search)
                return
            text = f"the copy of {self._suppliers.supplies[number].name} has what {by.real} needs, but not {lost}"
            self.objections.setdefault(place, Finding(rule="copy-not-taken", path=old.real, text=text))
            if not unmet:
                self.lacking.setdefault(place, symbols)

    def _copies(self, run: Run, by: Loaded, name: str, origins: Origins) -> Iterator[tuple[int, Search, Hit]]:
        for number in range(len(self._suppliers.supplies)):
            search = self._suppliers.search(number, name, by.asker, run.process.main.asker, origins)
            if search.hit is not None:
                yield number, search, search.hit

    def _lacks(self, run: Run, by: Hit, old: Hit, new: Hit) -> frozenset[str]:
        """What `by` must find, the new copy has, and neither the old one nor anything else of the process."""
        wants, offers, has = (self._facts.symbols(hit.real, hit.entry) for hit in (by, new, old))
        lacks = ((wants.imports - wants.weak) & offers.exports) - has.exports
        for one in run.process.loaded if lacks else ():
            lacks -= self._facts.symbols(one.real, one.hit.entry).exports
        return lacks

    def _objection(self, name: str, old: Hit, new: Hit) -> str:
        """What a file of the output has in the old copy and would not have in the new one, "" for nothing."""
        has, offers = (self._facts.symbols(hit.real, hit.entry).exports for hit in (old, new))
        for path, entry, info in self._users(name):
            need = need_of(info, name)
            outcome = compare(need, new.info) if need is not None else None
            if outcome is not None and outcome.verdict in (Verdict.UNMET, Verdict.ABORT):
                return f"{', '.join(outcome.versions)}, which {path} needs"
            wants = self._facts.symbols(path, entry)
            lost = ((wants.imports - wants.weak) & has) - offers
            if lost:
                return f"{min(lost)}, which {path} needs"
        return ""
