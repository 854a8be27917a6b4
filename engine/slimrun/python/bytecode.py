"""Byte code of an image's sources: which files, under which names, and what pyc_maker.py says of them.

Never the .pyc that a base build or a wheel brings: its times void it once copied, and it differs by hash seed. Always unchecked
and named by hash (PEP 552): the same bytes whenever they are made, and no look at the source when a module is loaded.
"""

from __future__ import annotations

import binascii
import re
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING, Any

from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.tree import Tree

# Environment of whoever compiles: the order of a set's items is part of a .pyc.
ENV = (("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONWARNINGS", "ignore"))
OPTIONS = ("-S", "-c")
_MAGIC = re.compile(rb"^MAGIC_NUMBER = \((\d+)\)\.to_bytes", re.MULTILINE)
_DONE = re.compile(r"done (\S+) (zlib|plain) (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Byte code by its source's path, none for what does not compile; `tag` is in the names of `__pycache__` (cpython-311)."""

    tag: str
    code: tuple[tuple[str, bytes], ...]


def sources(tree: Tree, interpreter: Interpreter) -> tuple[str, ...]:
    """What `import` finds in a tree: .py files of the standard library and of site-packages."""
    folders = (f"{interpreter.stdlib}/", f"{interpreter.site_packages}/", f"{dirname(interpreter.stdlib)}/python3/")
    return tuple(path for path, _ in tree.files() if path.endswith(".py") and path.startswith(folders))


def pyc_name(source: str, tag: str) -> str:
    """Beside the source, as the interpreter would write it."""
    return join(dirname(source), "__pycache__", f"{basename(source).removesuffix('.py')}.{tag}.pyc")


def magic_number(tree: Tree, interpreter: Interpreter) -> int | None:
    """What the byte code of an interpreter begins with, as its own sources say; None where they do not (3.14 and later)."""
    found = resolve(tree, f"{interpreter.stdlib}/importlib/_bootstrap_external.py")
    said = _MAGIC.search(found.entry.read()) if found is not None else None
    return int(said[1]) if said else None


def program() -> str:
    """The text of pyc_maker.py, read from wherever the package is, a zip too."""
    name = "slimrun.python.pyc_maker"
    spec = find_spec(name)
    loader: Any = spec.loader if spec else None
    return str(loader.get_source(name))


def parse(paths: Sequence[str], output: str) -> Compiled | None:
    """What pyc_maker.py printed of `paths`, None where it is not whole."""
    done = _DONE.fullmatch(output.rstrip("\n").rpartition("\n")[2])
    if done is None or int(done[3]) != len(paths):
        return None
    texts: dict[int, list[str]] = {}
    for line in output.splitlines()[:-1]:
        number, _, text = line.partition(" ")
        if not number.isdecimal() or int(number) >= len(paths):
            return None
        texts.setdefault(int(number), []).append(text)
    try:
        code = {number: binascii.a2b_base64("".join(parts), strict_mode=True) for number, parts in texts.items()}
        if done[2] == "zlib":
            code = {number: zlib.decompress(data) for number, data in code.items()}
    except (binascii.Error, zlib.error):
        return None
    return Compiled(tag=done[1], code=tuple((paths[number], data) for number, data in sorted(code.items())))


def batches(paths: Sequence[str], sizes: Sequence[int], limit: int) -> Iterator[tuple[str, ...]]:
    """The paths in groups of at most `limit` bytes of sources, for an answer of a bounded size."""
    group: list[str] = []
    total = 0
    for path, size in zip(paths, sizes, strict=True):
        if group and total + size > limit:
            yield tuple(group)
            group, total = [], 0
        group.append(path)
        total += size
    if group:
        yield tuple(group)
