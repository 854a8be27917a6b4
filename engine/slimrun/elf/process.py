"""One process: a program and all that it loads, breadth-first in DT_NEEDED order (elf/dl-deps.c)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from posixpath import dirname
from typing import TYPE_CHECKING, Protocol

from slimrun.elf.folders import Hit
from slimrun.elf.search import Asker
from slimrun.elf.tokens import expand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.elf.info import DlopenNote
    from slimrun.elf.search import Loader, Search

MUSL_RESERVED = frozenset({"c", "pthread", "rt", "m", "dl", "util", "xnet"})
# The kernel's own object, in every process and no file.
VDSO = frozenset({"linux-vdso.so.1", "linux-gate.so.1", "linux-vdso32.so.1", "linux-vdso64.so.1"})


@dataclass(slots=True, eq=False)
class Loaded:
    """An object of the process; `names` are all that it answers to, `why` the object that caused it to be loaded."""

    hit: Hit
    asker: Asker
    why: Loaded | None
    names: set[str] = field(default_factory=set)

    @property
    def real(self) -> str:
        """Its path, links resolved."""
        return self.hit.real


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `found` is the object that satisfied it (None: nothing did), `search` how it was looked for, if at all."""

    by: Loaded
    name: str
    found: Loaded | None
    search: Search | None = None
    optional: bool = False


class Provide(Protocol):
    """Called where a search is over: may change the tree and ask for it to be done again."""

    def __call__(self, process: Process, by: Loaded, name: str, search: Search, *, optional: bool) -> bool:
        """Whether the search is worth repeating."""
        ...


class Process:
    """What is loaded, in order. `fork` gives the process in which a module is opened next."""

    def __init__(self, loader: Loader, main: Hit, provide: Provide | None = None, *, notes: bool = True) -> None:
        self.loader, self.notes = loader, notes
        self.loaded: list[Loaded] = []
        self.asked: list[Asked] = []
        self._provide = provide
        self._by_name: dict[str, Loaded] = {}
        self._by_file: dict[str, Loaded] = {}
        # $ORIGIN of the program is of /proc/self/exe: links resolved (1.2).
        self.main = self._add(main, Asker(main.real, main.real, main.info), None)

    def start(self, preload: Iterable[str] = ()) -> None:
        """Load all that the program needs: its dynamic linker and what is preloaded first."""
        linker = self.loader.linker
        info = self.main.hit.info
        if info.dynamic and linker.path and (info.interp or not info.pie):
            found = self.loader.folders.open_path(linker.interp, info.target, "PT_INTERP")
            if isinstance(found, Hit):
                loaded = self._add(found, Asker(found.real, found.real, found.info), self.main)
                self._name(linker.interp, loaded)
                self.asked.append(Asked(self.main, linker.interp, loaded))
        for name in preload:
            self._ask(self.main, name, optional=True)
        self._drain(0)

    def fork(self) -> Process:
        """The same process, to load more into without a trace in this one."""
        other = Process.__new__(Process)
        other.loader, other.notes, other.main, other._provide = self.loader, self.notes, self.main, self._provide
        other.loaded, other.asked = list(self.loaded), []
        other._by_name, other._by_file = dict(self._by_name), dict(self._by_file)
        return other

    def open(self, module: Hit) -> Loaded:
        """dlopen a file by its path, on behalf of the interpreter."""
        caller = next((one for one in self.loaded if one.hit.info.soname.startswith("libpython")), self.main)
        known = self._by_file.get(_identity(module))
        if known is not None:
            return known
        at = len(self.loaded)
        loaded = self._add(module, Asker.below(caller.asker, module.path, module.real, module.info), None)
        self._drain(at)
        return loaded

    def open_name(self, name: str, *, optional: bool = False) -> Asked:
        """dlopen a name on behalf of a library without search paths of its own, as libc opens libgcc_s.so.1."""
        at = len(self.loaded)
        libc = self._by_name.get("libc.so.6", self.main)
        asked = self._ask(libc, name, optional=optional)
        self._drain(at)
        return asked

    def provider(self, name: str) -> Loaded | None:
        """The object that answers to a name."""
        return self._by_name.get(name)

    def _drain(self, at: int) -> None:
        while at < len(self.loaded):
            one = self.loaded[at]
            info = one.hit.info
            musl = self.loader.linker.musl  # which knows neither filters nor the kernel's object by its name
            for name in info.needed if musl else (*info.needed, *info.filters):
                if musl or name not in VDSO:
                    self._ask(one, name)
            for name in () if musl else info.auxiliary:
                self._ask(one, name, optional=True)
            for note in info.dlopen if self.notes else ():
                self._note(one, note)
            at += 1

    def _note(self, one: Loaded, note: DlopenNote) -> None:
        """The first name found is enough; only a required feature may not be absent."""
        if note.priority in ("required", "recommended"):
            asked = [self._ask(one, name, optional=True) for name in note.sonames[:1]]
            for name in note.sonames[1:]:
                if asked[-1].found is None:
                    asked.append(self._ask(one, name, optional=True))
            if asked[-1].found is None and note.priority == "required":
                self.asked.append(replace(asked[0], optional=False))

    def _ask(self, by: Loaded, name: str, *, optional: bool = False) -> Asked:
        linker = self.loader.linker
        wanted = name if linker.musl else expand(name, dirname(by.asker.path), linker)
        known = self._by_name.get(wanted) or self._reserved(wanted)
        search = None
        if known is None:
            search = self.loader.search(wanted, by.asker, self.main.asker)
            if self._provide is not None and self._provide(self, by, wanted, search, optional=optional):
                search = self.loader.search(wanted, by.asker, self.main.asker)
            if search.hit is not None:
                known = self._by_file.get(_identity(search.hit))
                if known is None:
                    asker = Asker.below(by.asker, search.hit.path, search.hit.real, search.hit.info)
                    known = self._add(search.hit, asker, by)
                if not linker.musl or "/" not in wanted:
                    self._name(wanted, known)
                for variant in search.variants:
                    self._add_variant(variant, by)
        asked = Asked(by, wanted, known, search, optional)
        self.asked.append(asked)
        return asked

    def _reserved(self, name: str) -> Loaded | None:
        """musl answers for libc and its old parts itself."""
        if not self.loader.linker.musl or not name.startswith("lib"):
            return None
        stem, dot, _ = name[3:].partition(".")
        return self._by_name.get(self.loader.linker.interp) if dot and stem in MUSL_RESERVED else None

    def _add(self, hit: Hit, asker: Asker, why: Loaded | None) -> Loaded:
        loaded = Loaded(hit, asker, why)
        self.loaded.append(loaded)
        self._by_file[_identity(hit)] = loaded
        # musl knows an object by the name that it was searched by, and by none where it was not.
        if not self.loader.linker.musl:
            self._name(hit.path, loaded)
            if hit.info.soname:
                self._name(hit.info.soname, loaded)
        return loaded

    def _add_variant(self, hit: Hit, by: Loaded) -> None:
        """Another CPU's copy: what it needs is needed too, but it answers to no name."""
        if _identity(hit) not in self._by_file:
            loaded = Loaded(hit, Asker.below(by.asker, hit.path, hit.real, hit.info), by)
            self.loaded.append(loaded)
            self._by_file[_identity(hit)] = loaded

    def _name(self, name: str, loaded: Loaded) -> None:
        if self._by_name.setdefault(name, loaded) is loaded:
            loaded.names.add(name)


def _identity(hit: Hit) -> str:
    """st_dev and st_ino: names of one file (hard links) are one object."""
    return hit.entry.inode or hit.real
