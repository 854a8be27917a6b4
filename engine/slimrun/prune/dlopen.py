"""Libraries that Python code opens by name: constants become needs of the interpreter, what is computed becomes a finding.

`ctypes.CDLL` is a dlopen on behalf of _ctypes.so, whose search paths are none but the process's: the folder of the .py does not
count (ELF.md 1.1). The standard library is not read: what it opens is ctypes' own.
"""

from __future__ import annotations

import re
from posixpath import basename, join
from typing import TYPE_CHECKING

from slimrun.elf.model import Extra, Finding
from slimrun.machine import of_kernel
from slimrun.prune.rules import scanned
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Closure
    from slimrun.python.prefix import BaseBuild
    from slimrun.python.scan import Opened
    from slimrun.tree.tree import Tree

RULE = "dlopen"
# What cffi opens is what its callers name, as with ctypes.
MACHINERY = re.compile(r"-packages/cffi/")
_FOLDERS = ("/lib/{triplet}", "/usr/lib/{triplet}", "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


class Openings:
    """What the sources of `parts` open; `whys` are their reasons, `trees` the output and the supplies, in order."""

    def __init__(
        self, build: BaseBuild, parts: Iterable[Tree], whys: Mapping[str, Why], trees: Sequence[Tree], facts: Facts
    ) -> None:
        self._build = build
        self._places: dict[str, str] = {}
        self._dynamic: dict[str, list[int]] = {}
        found: dict[str, Why] = {}
        for tree in parts:
            own = {basename(path) for path, _ in tree.files() if ".so" in basename(path)}
            for path, place in _opened(tree, facts):
                names = [name for name in place.names if _is_library(name) and basename(name) not in own]
                names += [name for stem in place.stems for name in self._found_by(stem, trees)]
                for name in names:
                    text = f"{path}:{place.line} opens {name}"
                    found.setdefault(name, Why(rule=RULE, text=text, because=whys[path]))
                    self._places.setdefault(name, f"{path}:{place.line}")
                if place.dynamic:
                    self._dynamic.setdefault(path, []).append(place.line)
        self._found = found

    @property
    def extras(self) -> tuple[Extra, ...]:
        """The constant names: each is copied where something has it, for code asks in vain as often as not."""
        program = self._build.interpreter.path
        return tuple(
            Extra(name=name, program=program, why=why, optional=True) for name, why in sorted(self._found.items())
        )

    def findings(self, closure: Closure, *, settled: bool) -> tuple[Finding, ...]:
        """Names that nothing has, and, where `prune.libraries` does not settle it, names that only the running program knows."""
        there = {edge.name for edge in closure.edges if edge.found}
        lost = [
            Finding(rule=RULE, path=place.rpartition(":")[0], text=f"line {place.rpartition(':')[2]} opens {name} at run time, "
                    "which nothing that the image is made from has")
            for name, place in sorted(self._places.items()) if name not in there
        ]  # fmt: skip
        dynamic = {} if settled else self._dynamic
        return (
            *lost,
            *(Finding(rule=RULE, path=path, text=_computed(lines)) for path, lines in sorted(dynamic.items())),
        )

    def _found_by(self, stem: str, trees: Sequence[Tree]) -> tuple[str, ...]:
        """The soname that find_library would answer: of the first tree that has any, the highest."""
        rule = re.compile(rf"lib{re.escape(stem)}\.so\.[0-9][0-9.]*")
        triplet = of_kernel(self._build.interpreter.arch).triplet
        for tree in trees:
            names = {
                name
                for folder in _FOLDERS
                if (real := resolve(tree, folder.format(triplet=triplet))) is not None
                for name in tree.children(real.path)
                if rule.fullmatch(name)
                and (there := resolve(tree, join(real.path, name)))
                and there.entry.kind is Kind.FILE
            }
            if names:
                # libssl.so.3, not the libssl.so.3.0.17 that it may lead to: the shortest is the soname.
                shortest = min(name.count(".") for name in names)
                return (max((name for name in names if name.count(".") == shortest), key=_version),)
        return ()


def _opened(tree: Tree, facts: Facts) -> Iterator[tuple[str, Opened]]:
    for path, entry in tree.files():
        if path.endswith(".py") and not MACHINERY.search(path):
            yield from ((path, place) for place in scanned(entry, facts).opened)


def _is_library(name: str) -> bool:
    """Whether Linux could open it: names for other systems stand beside it in the same code."""
    return re.search(r"\.so(\.[0-9.]+)?$", name) is not None and ("/" not in name or name.startswith("/"))


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.rpartition(".so.")[2].split(".") if part)


def _computed(lines: Sequence[int]) -> str:
    if lines == [0]:
        return "opens libraries, and is in no syntax that slimrun reads: name them with prune.libraries"
    where = f"line {lines[0]} opens" if len(lines) == 1 else f"lines {', '.join(map(str, sorted(lines)))} open"
    return f"{where} a library whose name is computed: if it is one of the system's, name it with prune.libraries"
