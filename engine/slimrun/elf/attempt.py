"""One way to complete an output, with glibc from one place: walk the roots, bring in what is missing, until nothing is."""

from __future__ import annotations

from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.elf import ldconf
from slimrun.elf.better import Chooser
from slimrun.elf.family import is_member
from slimrun.elf.linker import is_musl
from slimrun.elf.model import Finding, Level, Pulled
from slimrun.elf.search import Search
from slimrun.elf.sonames import as_ldconfig
from slimrun.elf.versions import Verdict, compare, need_of
from slimrun.elf.view import View, lead, place
from slimrun.elf.walk import Run, Walk, reason
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.folders import Hit
    from slimrun.elf.info import ElfInfo
    from slimrun.elf.model import Extra, Root
    from slimrun.elf.process import Loaded, Process
    from slimrun.elf.supplier import Suppliers
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree

MAX_ROUNDS = 64


class Attempt:
    """The output as it grows; `family` is the number of the supply that glibc comes from, None for the base's own."""

    def __init__(
        self,
        output: Tree,
        roots: Sequence[Root],
        suppliers: Suppliers,
        facts: Facts,
        *,
        library_path: tuple[str, ...],
        preload: tuple[str, ...],
        also: Sequence[Extra],
        family: int | None = None,
        identity: str = "",
    ) -> None:
        self.view = View(output)
        self.roots, self.also, self.library_path, self.preload = roots, also, library_path, preload
        self.suppliers, self.facts = suppliers, facts
        self.family, self.identity = family, identity
        self.pulled: dict[str, Pulled] = {}
        self.forced: set[str] = set()
        self.planned: dict[str, str] = {}
        self.runs: list[Run] = []
        self.findings: list[Finding] = []
        self._origins: dict[str, tuple[int, str]] = {}
        self._sonames: tuple[int, dict[str, str]] = (-1, {})
        self._whys: dict[str, Why] = {}
        self._chooser = Chooser(suppliers, facts, self._users)
        self._walk = Walk(self.view, facts)
        self._root_whys = {root.path: root.why for root in roots}

    def complete(self) -> None:
        """Walk until a walk changes nothing; what it then found stands in `runs` and `findings`."""
        for _ in range(MAX_ROUNDS):
            before = self.view.changes + len(self.planned)
            walk = Walk(
                self.view,
                self.facts,
                library_path=self.library_path,
                preload=self.preload,
                provide=self._provide,
                before=self._linker,
                planned=self.planned,
            )
            self._walk = walk
            self.runs = list(walk.runs(self.roots, self.also))
            self.findings = walk.findings
            for run in self.runs:
                for better in self._chooser.choices(run, self._origins):
                    self._pull(run.process, better.by, better.name, better.supply, better.search)
            if self.view.changes + len(self.planned) == before:
                return
        text = f"libraries still change after {MAX_ROUNDS} rounds: two supplies replace each other's"
        self.findings.append(Finding(rule="unsettled", path="/", text=text, level=Level.ERROR))

    @property
    def objections(self) -> Collection[Finding]:
        """Why a library that lacks a version was left where it is."""
        return self._chooser.objections.values()

    def lacking(self) -> Iterator[tuple[Run, Loaded, str, Loaded, frozenset[str]]]:
        """Each request that is met by a library without some symbols: run, asking file, name, library, symbols."""
        for run in self.runs:
            for asked in run.process.asked:
                if asked.found is not None and (
                    symbols := self._chooser.lacking.get((asked.found.real, asked.by.real))
                ):
                    yield run, asked.by, asked.name, asked.found, symbols

    def _users(self, library: str) -> Iterator[tuple[str, Entry, ElfInfo]]:
        """The files of the output that need a library, as far as their names for it tell."""
        for path, entry in (*self.view.tree.files(), *self.view.added.items()):
            info = self.facts.sound(path, entry)
            if info is not None and library in info.needed:
                yield path, entry, info

    def why_of(self, one: Loaded, run_root: Root) -> Why:
        """Why an object is in the process: pulled, a root, or needed by one that is."""
        return reason(one, run_root, self._known)

    def _known(self, one: Loaded) -> Why | None:
        return self._whys.get(one.real) or self._root_whys.get(one.hit.path)

    def force(self, path: str, entry: Entry, supply: str, why: Why) -> None:
        """Put a path that stays whether a root needs it or not: a member of a replaced glibc family."""
        self.view.put(path, entry)
        self.pulled[path] = Pulled(path=path, entry=entry, supply=supply, why=why)
        self.forced.add(path)

    def allowed(self, name: str, supply: int, process: Process) -> bool:
        """Whether a supply may give this name: glibc comes from one place, others from any."""
        return not is_member(name) or self._gives_glibc(supply, process.main.hit.info)

    def _gives_glibc(self, supply: int, program: ElfInfo) -> bool:
        """Whether libc may come from a supply: it was chosen, or its is the very build that the base has; musl's from any."""
        if self.family is not None or is_musl(program.interp):
            return self.family in (None, supply)
        family = self.suppliers.family(supply, program)
        return family is not None and self.identity != "" and family.identity == self.identity

    def _linker(self, root: Root, program: Hit) -> None:
        """Bring in the program's PT_INTERP where it does not open."""
        interp = program.info.interp
        if not interp or resolve(self.view, interp) is not None:
            return
        for number, supply in enumerate(self.suppliers.supplies):
            found = resolve(supply.tree, interp)
            if self._gives_glibc(number, program.info) and found is not None and found.entry.kind is Kind.FILE:
                real, put = place(self.view, supply.tree, interp)
                put += lead(self.view, interp, real)
                why = Why(rule="interpreter", text=f"{interp} starts {program.real}", because=root.why)
                self._record(real, put, number, interp, why)
                return

    def _provide(self, process: Process, by: Loaded, name: str, search: Search, *, optional: bool) -> bool:
        if search.hit is not None or search.fatal is not None:
            return False
        second: tuple[int, Hit, Search] | None = None
        for number in range(len(self.suppliers.supplies)):
            if not self.allowed(name, number, process):
                continue
            there = self.suppliers.search(number, name, by.asker, process.main.asker, self._origins)
            if there.hit is None:
                continue
            need = need_of(by.hit.info, name)
            if need is None or compare(need, there.hit.info).verdict not in (Verdict.UNMET, Verdict.ABORT):
                return self._pull(process, by, name, number, there)
            second = second or (number, there.hit, there)
        if second is None:
            return "/" not in name and self._link(process, by, name)
        return not optional and self._pull(process, by, name, second[0], second[2])

    def _link(self, process: Process, by: Loaded, name: str) -> bool:
        """Find a library as ldconfig would have it found, in the output first: the cache of that is ours to write."""
        linker, target = process.loader.linker, process.main.hit.info.target
        if linker.musl or name in self.planned:
            return False
        if self._sonames[0] != self.view.changes:
            folders = (*(ldconf.folders(self.view) or self.suppliers.conf()), *linker.dirs)
            self._sonames = self.view.changes, as_ldconfig(self.view, folders, target, self.facts)
        if name in self._sonames[1]:
            self.planned[name] = self._sonames[1][name]
            return True
        for number in range(len(self.suppliers.supplies)):
            hit = self.suppliers.linked(number, name, process.main.hit.info)
            if hit is not None and self.allowed(name, number, process):
                return self._pull(process, by, name, number, Search(hit=hit))
        return False

    def _pull(self, process: Process, by: Loaded, name: str, number: int, there: Search) -> bool:
        supply = self.suppliers.supplies[number]
        hit, extra = there.hit, self._walk.extra
        if hit is None:
            return False
        if extra is not None and extra.name == name:
            why = Why(rule="needed", text=f"{name} is opened at run time", because=extra.why)
        else:
            why = Why(rule="needed", text=f"{name} is needed by {by.real}", because=self._because(by))
        real, put = place(self.view, supply.tree, hit.path)
        self._record(real, put, number, hit.path, why)
        for variant in there.variants:
            also, put = place(self.view, supply.tree, variant.path)
            reason = Why(rule="hwcaps", text=f"{also} is {name} for CPUs of {variant.hwcaps}", because=why)
            self._record(also, put, number, variant.path, reason)
        self._walk.folders.forget()
        again = process.loader.search(name, by.asker, process.main.asker)
        if again.hit is not None and again.hit.real == real:
            return True
        if again.hit is not None:
            # A copy that was found too old still comes first: its name leads to the new one from now on.
            self._record(real, lead(self.view, self._named(again.hit.path), real), number, hit.path, why)
        elif hit.how in ("cache", "default") or process.loader.linker.musl:
            self.planned[name] = real
        else:
            self._record(real, lead(self.view, self._named(hit.path), real), number, hit.path, why)
            self._walk.folders.forget()
            if process.loader.search(name, by.asker, process.main.asker).hit is None:
                self.planned[name] = real
        self._walk.folders.forget()
        return True

    def _named(self, path: str) -> str:
        """A path as it was put together, its folder without links or dots."""
        folder = resolve(self.view, dirname(path))
        return join(folder.path, basename(path)) if folder is not None else path

    def _record(self, real: str, put: Sequence[str], number: int, origin: str, why: Why) -> None:
        self._origins.setdefault(real, (number, origin))
        if real in put:
            self._whys[real] = why
        name = self.suppliers.supplies[number].name
        for path in put:
            entry = self.view.stat(path)
            if entry is not None:
                self.pulled[path] = Pulled(path=path, entry=entry, supply=name, why=why)

    def _because(self, one: Loaded) -> Why:
        step: Loaded = one
        while step.why is not None:
            step = step.why
        root = next((root for root in self.roots if root.path == step.hit.path), self.roots[0])
        return self.why_of(one, root)
