"""An output that features are laid over: what it has, what of it is used, and what patterns mean in it."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.elf.view import View, land, lead, place
from slimrun.errors import BadElf
from slimrun.machine import of_kernel
from slimrun.prune.features import When
from slimrun.prune.globs import is_glob, literal_folder, translate
from slimrun.prune.openssl import Folders, folders_of
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.prune.features import Feature
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree, TreeSource

LIBC = "libc.so.6"
# libc has what is asked for, and libstdc++ only hands it on, to whoever writes a codecvt of their own: half of all wheels load it.
_ASIDE = re.compile(r"libc\.so\.6|libstdc\+\+[-.].*")


class Ground:
    """`used` are the paths of `output` that its programs open; what is put on it is in `view.added`."""

    def __init__(self, output: Tree, used: frozenset[str], interpreter: Interpreter, facts: Facts) -> None:
        self.view, self.interpreter = View(output), interpreter
        self._landings: dict[str, str] = {}
        self._output, self._used, self._facts = output, sorted(used), facts
        self.openssl = tuple(
            facts.once("openssl", entry, folders_of)
            for path in self._used
            if basename(path).startswith("libcrypto") and (entry := self._file(path)) is not None
        )

    def cause(self, feature: Feature) -> str | None:
        """The used path that brings a feature in by itself, or None."""
        match feature.when:
            case When.ALWAYS:
                return self.interpreter.path
            case When.LOADED:
                wanted = (path for path in self._used for name in feature.names if fnmatchcase(basename(path), name))
            case When.EXTENSION:
                dynload = f"{self.interpreter.dynload}/"
                modules = (path for path in self._used if path.startswith(dynload))
                wanted = (path for path in modules if basename(path).partition(".")[0] in feature.names)
            case When.IMPORTS:
                wanted = (path for path in self._used for name in feature.names if self._imports(path, name))
            case _:
                return None
        return next(wanted, None)

    def fill(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Patterns with their words filled in, for each libcrypto; what no libcrypto says falls away."""
        found = []
        for pattern, folders in product(patterns, [*self.openssl, Folders()]):
            words = {"{triplet}": of_kernel(self.interpreter.arch).triplet, **folders.words()}
            if all(value or word not in pattern for word, value in words.items()):
                for word, value in words.items():
                    pattern = pattern.replace(word, value)
                found.append(pattern)
        return tuple(dict.fromkeys(found))

    def has(self, pattern: str) -> bool:
        """Whether the output, as it is by now, has what a pattern names."""
        return next(matches(self.view, pattern), None) is not None

    def place(self, supply: Tree, name: str) -> tuple[str, ...]:
        """Bring what `name` leads to in a supply, so that the same name leads to it here; the paths put.

        A file that is here at that place already stays.
        """
        entry = supply.stat(name)
        if entry is not None and entry.kind is Kind.FILE and self._landing(dirname(name)) == dirname(name):
            # Most of them, such as zones: no link on the way, here or there.
            return (name,) if self.view.stat(name) is None and self.view.put(name, replace(entry, inode="")) else ()
        if (found := resolve(supply, name)) is None:
            return ()
        self._landings.clear()
        real, put = join(land(self.view, dirname(found.path)), basename(found.path)), tuple[str, ...]()
        if self.view.stat(real) is None:
            real, put = place(self.view, supply, name)
        return (*put, *lead(self.view, name, real))

    def _landing(self, folder: str) -> str:
        if folder not in self._landings:
            self._landings[folder] = land(self.view, folder)
        return self._landings[folder]

    def put(self, name: str, entry: Entry) -> tuple[str, ...]:
        """Put an entry where `name` would be looked for; the paths put."""
        spot = join(land(self.view, dirname(name)), basename(name))
        return (spot,) if self.view.put(spot, entry) else ()

    def runs_on(self, supply: Tree) -> bool:
        """Whether a supply has the very build of libc that the output runs on: what belongs to one fits no other."""
        triplet = of_kernel(self.interpreter.arch).triplet
        ours = next((entry for path in self._used if basename(path) == LIBC and (entry := self._file(path))), None)
        theirs = next(
            (found.entry for top in ("/usr/lib", "/lib") if (found := resolve(supply, f"{top}/{triplet}/{LIBC}"))), None
        )
        if ours is None or theirs is None or theirs.kind is not Kind.FILE:
            return False
        return "" != self._facts.banner(ours).identity == self._facts.banner(theirs).identity

    def _file(self, path: str) -> Entry | None:
        entry = self._output.stat(path)
        return entry if entry is not None and entry.kind is Kind.FILE else None

    def _imports(self, path: str, symbol: str) -> bool:
        """Most files do not even hold the word."""
        entry = self._file(path)
        if entry is None or _ASIDE.fullmatch(basename(path)) or not self._holds(entry, symbol.encode()):
            return False
        try:
            return symbol in self._facts.symbols(path, entry).imports
        except BadElf:
            return False

    def _holds(self, entry: Entry, word: bytes) -> bool:
        return self._facts.once(f"holds {word!r}", entry, lambda data: word in data)


def matches(tree: TreeSource, pattern: str) -> Iterator[str]:
    """The names of files that a pattern means, sorted; links on the way are followed, the names stay as they were asked for."""
    if not is_glob(pattern):
        if (found := resolve(tree, pattern)) is not None and found.entry.kind is Kind.FILE:
            yield pattern
        return
    rule, folder = translate(pattern), literal_folder(pattern)
    yield from (name for name in _below(tree, folder) if rule.fullmatch(name))


def _below(tree: TreeSource, folder: str) -> Iterator[str]:
    found = resolve(tree, folder)
    if found is None or found.entry.kind is not Kind.DIR:
        return
    for name in tree.children(found.path):
        entry = tree.stat(join(found.path, name))
        if entry is not None and entry.kind is Kind.DIR:
            yield from _below(tree, join(folder, name))
        elif entry is not None and (entry.kind is Kind.FILE or resolve(tree, join(found.path, name)) is not None):
            yield join(folder, name)
