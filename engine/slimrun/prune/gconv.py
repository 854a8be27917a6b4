"""The list of character sets that iconv goes by, cut down to the modules that are there."""

from __future__ import annotations

from posixpath import basename

from slimrun.tree.entry import Kind
from slimrun.tree.tree import Tree, TreeSource

LIST = "gconv-modules"


def reduced(lists: Tree, modules: frozenset[str]) -> bytes:
    """The lines of gconv-modules files that speak of `modules` (`UTF-16`), with the aliases of their character sets.

    One file in the place of several: gconv-modules is read first, and gconv-modules.d is not needed. A gconv-modules.cache would
    come before both, and must not be there.
    """
    aliases, lines = [], []
    for _, entry in lists.files():
        for line in entry.read().decode("utf-8", "surrogateescape").splitlines():
            match line.split():
                case ["alias", name, known, *_]:
                    aliases.append((name, known))
                case ["module", source, target, module, *cost] if module.removesuffix(".so") in modules:
                    lines.append(" ".join(["module", source, target, module, *cost]))
    sets = {word for line in lines for word in line.split()[1:3]}
    kept = [f"alias {name} {known}" for name, known in aliases if known in sets]
    return "".join(f"{line}\n" for line in [*kept, *lines]).encode("utf-8", "surrogateescape")


def lists_in(tree: TreeSource, folder: str) -> Tree:
    """gconv-modules and the files of gconv-modules.d, as glibc reads them."""
    names = [f"{folder}/{LIST}"]
    names += [f"{folder}/{LIST}.d/{name}" for name in tree.children(f"{folder}/{LIST}.d")]
    entries = {name: entry for name in names if (entry := tree.stat(name)) is not None and entry.kind is Kind.FILE}
    return Tree({name: entry for name, entry in entries.items() if _is_list(name)})


def _is_list(name: str) -> bool:
    return basename(name) == LIST or name.endswith(".conf")
