"""What of CPython no running program reads: named groups, one table, with what each is and what its absence breaks.

Evidence: ELF.md section 5 (bytes measured one step after another, imports checked after each). Module-level pruning by import
scans is not safe; whole named groups are.
"""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import dirname
from typing import TYPE_CHECKING

from slimrun.prune.globs import Matcher
from slimrun.python.scan import scan

if TYPE_CHECKING:
    from slimrun.elf.facts import Facts
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.scan import Scanned
    from slimrun.tree.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Paths that go from level `safe` on; patterns know {prefix}, {stdlib}, {dynload}, {scripts} and {site}.

    They stay where a wheel imports one of `modules`.
    """

    name: str
    text: str
    breaks: str
    patterns: tuple[str, ...]
    modules: tuple[str, ...] = ()


GROUPS = (
    Group(
        name="site",
        text="a distribution of the base build: distributions come from `wheels` alone",
        breaks="pip and setuptools in the image",
        patterns=("{site}/*",),
    ),
    Group(
        name="headers",
        text="a header or build file, read only by compilers",
        breaks="building extension modules in the image",
        patterns=(
            "{prefix}/include",
            "{prefix}/lib/pkgconfig",
            "{stdlib}/config-*",
            "{stdlib}/config",
            "{prefix}/**/*.a",
            "{scripts}/python*-config",
        ),
    ),
    Group(
        name="tests",
        text="a test of the standard library",
        breaks="python -m test, test.support",
        patterns=(
            "{stdlib}/test",
            "{stdlib}/*/test",
            "{stdlib}/*/tests",
            "{stdlib}/idlelib/idle_test",
            "{dynload}/_test*.so",
            "{dynload}/_ctypes_test*.so",
            "{dynload}/_xxtestfuzz*.so",
            "{dynload}/_xxsubinterpreters*.so",
            "{dynload}/xxlimited*.so",
            "{dynload}/xxsubtype*.so",
        ),
    ),
    Group(
        name="idle",
        text="IDLE or the turtle demonstrations",
        breaks="idle, turtledemo",
        patterns=("{stdlib}/idlelib", "{stdlib}/turtledemo", "{scripts}/idle*"),
    ),
    Group(
        name="tk",
        text="the Tk interface",
        breaks="tkinter, turtle",
        patterns=("{stdlib}/tkinter", "{stdlib}/turtle.py", "{dynload}/_tkinter*.so"),
    ),
    Group(
        name="ensurepip",
        text="pip's installer",
        breaks="ensurepip, venv with pip",
        patterns=("{stdlib}/ensurepip", "{scripts}/pip*", "{scripts}/easy_install*", "{scripts}/wheel*"),
        modules=("ensurepip",),
    ),
    Group(
        name="lib2to3",
        text="the translator from Python 2",
        breaks="lib2to3, which Python 3.13 has no more, and the 2to3 command",
        patterns=("{stdlib}/lib2to3", "{scripts}/2to3*"),
        modules=("lib2to3",),
    ),
    Group(
        name="docs",
        text="documentation",
        breaks="the topics of help()",
        modules=("pydoc_data",),
        patterns=("{stdlib}/pydoc_data", "{prefix}/share/man", "{prefix}/share/doc", "{scripts}/pydoc*"),
    ),
    Group(
        name="bytecode",
        text="byte code of the base build: its times void it once copied; prune.bytecode has it made anew",
        breaks="start-up time where the root is read-only",
        patterns=("{stdlib}/**/__pycache__", "{stdlib}/**/*.pyc"),
    ),
)

MODULES = frozenset(module for group in GROUPS for module in group.modules)


class Rules:
    """The table for one interpreter."""

    def __init__(self, interpreter: Interpreter) -> None:
        names = {
            "prefix": interpreter.prefix,
            "stdlib": interpreter.stdlib,
            "dynload": interpreter.dynload,
            "scripts": dirname(interpreter.path),
            "site": interpreter.site_packages,
        }
        self._groups = tuple(
            (group, Matcher(pattern.format(**names) for pattern in group.patterns)) for group in GROUPS
        )

    def group(self, path: str) -> Group | None:
        """The first group that a path belongs to."""
        return next((group for group, matcher in self._groups if matcher.match(path)), None)


def scanned(source: Entry, facts: Facts) -> Scanned:
    """What a Python source opens at run time, and which modules of named groups it imports; read once in a run."""
    return facts.once("scan", source, lambda data: scan(data, MODULES))
