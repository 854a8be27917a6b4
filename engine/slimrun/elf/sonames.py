"""Libraries as ldconfig has them found: by file name, and by what they call themselves, for which it makes a link."""

from __future__ import annotations

from posixpath import join
from typing import TYPE_CHECKING

from slimrun.elf.ldcache import order_key
from slimrun.elf.ldconf import is_library
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.elf.facts import Facts
    from slimrun.tree.tree import TreeSource


def as_ldconfig(
    tree: TreeSource, folders: Iterable[str], target: tuple[int, bool, int], facts: Facts
) -> dict[str, str]:
    """Paths by name and SONAME over `folders`; the first folder wins, and a file's name over a SONAME in the same one.

    Of several files of one SONAME in a folder the highest version is taken.
    """
    found: dict[str, str] = {}
    for folder in folders:
        where = resolve(tree, folder)
        names = tree.children(where.path) if where is not None and where.entry.kind is Kind.DIR else ()
        here: dict[str, str] = {}
        for name in sorted(filter(is_library, names), key=order_key):
            path = join(folder, name)
            file = resolve(tree, path)
            if file is None or file.entry.kind is not Kind.FILE:
                continue
            info = facts.sound(file.path, file.entry)
            if info is None or info.target != target:
                continue
            here[name] = path
            if info.soname and info.soname not in names:
                here[info.soname] = path
        for name, path in here.items():
            found.setdefault(name, path)
    return found
