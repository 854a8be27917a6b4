"""The processes of a set of roots in one tree: each program once, each of its modules in a copy of it."""

from __future__ import annotations

from posixpath import basename
from typing import TYPE_CHECKING

from slimrun.elf.folders import Folders, Hit
from slimrun.elf.model import Finding, Level, Root
from slimrun.elf.process import Process
from slimrun.elf.search import Loader
from slimrun.errors import BadElf
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Extra
    from slimrun.elf.process import Loaded, Provide
    from slimrun.tree.tree import TreeSource

PRELOAD = "/etc/ld.so.preload"
SETUID_OR_SETGID = 0o6000


def reason(one: Loaded, root: Root, known: Callable[[Loaded], Why | None] = lambda _: None) -> Why:
    """Why an object is in the process of `root`: what asked for it, step by step up to what `known` says or to the root."""
    texts: list[str] = []
    step, why = one, known(one)
    while why is None and step.why is not None:
        texts.append(f"{basename(step.real)} is needed by {step.why.real}")
        step = step.why
        why = known(step)
    why = why or root.why
    for text in reversed(texts):
        why = Why(rule="needed", text=text, because=why)
    return why


class Run:
    """One root at work: its process, and the objects that it alone brought in."""

    def __init__(self, root: Root, process: Process, objects: Sequence[Loaded], *, module: bool) -> None:
        self.root, self.process, self.objects, self.module = root, process, objects, module


class Walk:
    """Goes through the roots in a fixed order: programs by path, then each program's modules by path.

    `extra` is the name being opened at run time, if one is. `before` is called with a program before its loader is
    chosen, so that a missing dynamic linker can be brought in.
    """

    def __init__(
        self,
        tree: TreeSource,
        facts: Facts,
        *,
        library_path: tuple[str, ...] = (),
        preload: tuple[str, ...] = (),
        provide: Provide | None = None,
        before: Callable[[Root, Hit], None] | None = None,
        planned: dict[str, str] | None = None,
    ) -> None:
        self.tree, self.facts, self.library_path, self.preload = tree, facts, library_path, preload
        self.findings: list[Finding] = []
        self.folders = Folders(tree, facts)
        self.extra: Extra | None = None
        self._provide, self._before = provide, before
        self._planned = {} if planned is None else planned

    def runs(self, roots: Sequence[Root], also: Sequence[Extra]) -> Iterator[Run]:
        """Each root's run, in order."""
        programs = {root.path: root for root in roots if root.is_program}
        modules: dict[str, list[Root]] = {}
        for root in sorted((root for root in roots if not root.is_program), key=lambda root: root.path):
            modules.setdefault(root.program, []).append(root)
        for path in sorted({*programs, *modules}):
            mine = modules.get(path, [])
            root = programs[path] if path in programs else Root(path=path, why=mine[0].why)
            process = self._program(root)
            if process is None:
                continue
            for extra in also:
                if extra.program in ("", path):
                    self.extra = extra
                    process.open_name(extra.name, optional=extra.optional)
                    self.extra = None
            yield Run(root, process, tuple(process.loaded), module=False)
            for one in mine:
                yield from self._module(one, process)

    def _program(self, root: Root) -> Process | None:
        hit = self._hit(root)
        if hit is None:
            return None
        if self._before is not None:
            self._before(root, hit)
        # Run by another user than its owner, such a program is told nothing by its environment.
        secure = bool(hit.entry.mode & SETUID_OR_SETGID)
        path = () if secure else self.library_path
        loader = Loader.of(self.tree, hit.info, self.facts, library_path=path, folders=self.folders)
        loader.planned = self._planned
        process = Process(loader, hit, self._provide)
        names = (*(() if secure else self.preload), *self._preloaded())
        process.start(names)
        for name in (name for name in names if process.provider(name) is None):
            text = f"is to load {name} before all else, which is not there: the loader complains of it at every start"
            self._finding("preload-absent", root.path, text, Level.WARNING)
        return process

    def _preloaded(self) -> list[str]:
        """/etc/ld.so.preload: what cannot be found there is a complaint on stderr, no more."""
        found = resolve(self.tree, PRELOAD)
        if found is None or found.entry.kind is not Kind.FILE:
            return []
        lines = found.entry.read().decode("utf-8", "surrogateescape").splitlines()
        return [name for line in lines for name in line.partition("#")[0].replace(":", " ").split()]

    def _module(self, root: Root, process: Process) -> Iterator[Run]:
        hit = self._hit(root)
        if hit is None:
            return
        if hit.info.target != process.main.hit.info.target:
            text = f"is for another machine, class or byte order than {process.main.real}"
            self._finding("wrong-machine", root.path, text)
            return
        if hit.info.refused:
            self._finding("refused", root.path, hit.info.refused)
            return
        fork = process.fork()
        at = len(fork.loaded)
        fork.open(hit)
        yield Run(root, fork, tuple(fork.loaded[at:]), module=True)

    def _hit(self, root: Root) -> Hit | None:
        found = resolve(self.tree, root.path)
        if found is None or found.entry.kind is not Kind.FILE:
            self._finding("no-such-root", root.path, "is to be run and is not there")
            return None
        try:
            info = self.facts.facts(found.path, found.entry)
        except BadElf as error:
            self._finding("bad-elf", root.path, error.message)
            return None
        # A script is a root of its interpreter's, not ours.
        return Hit(root.path, found.path, found.entry, info, found.links, "root") if info is not None else None

    def _finding(self, rule: str, path: str, text: str, level: Level = Level.ERROR) -> None:
        self.findings.append(Finding(rule=rule, path=path, text=text, level=level))
