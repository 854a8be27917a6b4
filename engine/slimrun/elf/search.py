"""Where the loader finds one name: elf/dl-load.c, _dl_map_new_object, step by step, over any tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import dirname, join
from typing import TYPE_CHECKING

from slimrun.elf import ldcache, tokens
from slimrun.elf.folders import HWCAPS, Fatal, Folders, Hit
from slimrun.elf.linker import linker_of
from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.info import ElfInfo
    from slimrun.elf.linker import Linker
    from slimrun.tree.tree import TreeSource


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Who asks for a library: its path as found ($ORIGIN is its folder), the real one, its tags.

    `above` is the nearest of those through which it came to be loaded that has an RPATH or RUNPATH: the others say nothing
    of where to look, and a chain of thousands costs nothing. The program is the last of every chain.
    """

    path: str
    real: str
    info: ElfInfo
    above: Asker | None = None

    @classmethod
    def below(cls, loader: Asker, path: str, real: str, info: ElfInfo) -> Asker:
        """An object that `loader` caused to be loaded."""
        return cls(path, real, info, loader if loader.info.rpath or loader.info.runpath else loader.above)

    def chain(self) -> Iterator[Asker]:
        """Itself and those above."""
        step: Asker | None = self
        while step is not None:
            yield step
            step = step.above


@dataclass(slots=True)
class Search:
    """The outcome for one name: the file, its hwcaps variants, where was looked, and what ended the search early.

    Without `active` levels (Loader) a plain file is the hit and the variants stand beside it; where there are only
    variants, the last of them is the hit.
    """

    hit: Hit | None = None
    variants: list[Hit] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    fatal: Fatal | None = None
    relative: bool = False


@dataclass(slots=True)
class Loader:
    """A dynamic linker and the tree that it searches.

    `active` are the hwcaps levels of one CPU, highest first; None, as every use but a comparison with a real loader has it,
    means any CPU. `planned` are paths by name that a cache yet to be written will hold. `cwd` is the process's working
    folder, for relative names; None skips them, for nobody knows where a container is started.
    """

    tree: TreeSource
    linker: Linker
    folders: Folders
    cache: dict[str, list[ldcache.Cached]]
    library_path: tuple[str, ...] = ()
    active: tuple[str, ...] | None = None
    cwd: str | None = None
    planned: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tree: TreeSource,
        program: ElfInfo,
        facts: Facts,
        *,
        library_path: tuple[str, ...] = (),
        active: tuple[str, ...] | None = None,
        cwd: str | None = None,
        folders: Folders | None = None,
    ) -> Loader:
        """The loader that `program` gets in `tree`; `folders` is what loaders of one tree may share."""
        linker = linker_of(tree, program, facts)
        cache: dict[str, list[ldcache.Cached]] = {}
        entry = tree.stat(ldcache.PATH)
        if entry is not None and entry.kind is Kind.FILE and not linker.musl:
            cache = facts.cache_lines(entry, ldcache.flags_of(program), little=program.little)
        return cls(tree, linker, folders or Folders(tree, facts), cache, library_path, active, cwd)

    def search(self, name: str, by: Asker, main: Asker) -> Search:
        """What opening `name` for `by` gives in a process of `main`; whether it is loaded already is the caller's to know."""
        found = Search()
        target = main.info.target
        if "/" in name:
            # Its tokens are expanded by the caller, which compares the result with what is loaded.
            path = name if name.startswith("/") else join(self.cwd, name) if self.cwd else ""
            found.relative = not name.startswith("/")
            result = self.folders.open_path(path, target, "path") if path else None
            self._take(found, result)
            found.searched.append(dirname(name) or ".")
            return found
        steps = self._musl(by) if self.linker.musl else self._glibc(by, main)
        for how, dirs in steps:
            if how == "cache":
                self._cached(found, name, by, target)
            else:
                for folder in dirs:
                    if self._folder(found, folder, name, target, how):
                        break
            if found.hit is not None or found.fatal is not None:
                return found
        if found.variants and self.active is None:
            found.hit = found.variants.pop()
        return found

    def _glibc(self, by: Asker, main: Asker) -> Iterator[tuple[str, Sequence[str]]]:
        if by.info.runpath is None:
            for asker in by.chain():
                if asker.info.runpath is None:
                    yield "RPATH", tokens.folders(asker.info.rpath, asker.path, self.linker)
        yield "LD_LIBRARY_PATH", self.expanded(main)
        yield "RUNPATH", tokens.folders(by.info.runpath, by.path, self.linker)
        yield "cache", ()
        if not by.info.nodeflib:
            yield "default", self.linker.dirs

    def _musl(self, by: Asker) -> Iterator[tuple[str, Sequence[str]]]:
        """ldso/dynlink.c, load_library: the environment first, RUNPATH and RPATH alike and inherited, no cache."""
        yield "LD_LIBRARY_PATH", self.library_path
        for asker in by.chain():
            text = asker.info.runpath if asker.info.runpath is not None else asker.info.rpath
            yield "RPATH", tokens.folders(text, asker.path, self.linker)
        yield "default", self.linker.dirs

    def expanded(self, main: Asker) -> tuple[str, ...]:
        """LD_LIBRARY_PATH, tokens replaced for the program `main`."""
        return tuple(tokens.expand(folder, dirname(main.path), self.linker) for folder in self.library_path)

    def _folder(self, found: Search, folder: str, name: str, target: tuple[int, bool, int], how: str) -> bool:
        """Look into one folder; true where the search is over."""
        if not folder.startswith("/"):
            found.relative = True
            if self.cwd is None:
                return False
            folder = join(self.cwd, folder) if folder else self.cwd
        if folder not in found.searched:
            found.searched.append(folder)
        for below in self._capabilities(folder):
            self._take(found, self.folders.open(join(folder, below), name, target, how, below.rpartition("/")[2]))
            if found.fatal is not None or found.hit is not None:
                return True
        self._take(found, self.folders.open(folder, name, target, how))
        return found.fatal is not None or found.hit is not None

    def _cached(self, found: Search, name: str, by: Asker, target: tuple[int, bool, int]) -> None:
        found.searched.append(ldcache.PATH)
        planned = [ldcache.Cached(name, self.planned[name], 0)] if name in self.planned else []
        rows = [*self.cache.get(name, ()), *planned]
        if by.info.nodeflib:
            below = tuple(f"{folder}/" for folder in self.linker.dirs)
            rows = [row for row in rows if not row.path.startswith(below)]
        plain_seen = False
        for row in rows:
            if row.hwcaps == "?" or (row.hwcaps and self.active is not None and row.hwcaps not in self.active):
                continue
            if not row.hwcaps:
                if plain_seen and row not in planned:
                    continue
                plain_seen = True
            self._take(found, self.folders.open_path(row.path, target, "cache", row.hwcaps))
            if found.hit is not None or found.fatal is not None:
                return

    def _capabilities(self, folder: str) -> list[str]:
        linker, active = self.linker, self.active
        if linker.musl:
            return []
        every = self.folders.capabilities(folder, modern=linker.modern_hwcaps, legacy=linker.legacy_hwcaps)
        return [
            below for below in every if active is None or {*below.removeprefix(f"{HWCAPS}/").split("/")} <= {*active}
        ]

    def _take(self, found: Search, result: Hit | Fatal | None) -> None:
        if isinstance(result, Hit) and (words := result.info.refused_by(self.linker.release)):
            result = Fatal(result.path, words)
        if isinstance(result, Fatal):
            found.fatal = result
        elif result is not None and result.hwcaps and self.active is None:
            found.variants.append(result)
        elif result is not None:
            found.hit = result
