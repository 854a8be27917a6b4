"""Merged /usr: where packages still ship /lib/…, every Debian system and image since bullseye has it in /usr/lib.

Suites before trixie have packages that ship both forms; base-files of trixie ships the links themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.errors import FileConflict
from slimrun.tree.entry import Kind, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.tree.entry import Entry

_ALWAYS = ("bin", "lib", "sbin")
_FOLDERS = frozenset({*_ALWAYS, "lib32", "lib64", "libo32", "libx32"})


def merged_path(path: str) -> str:
    """`/lib/x` → `/usr/lib/x`; other paths as they are, and `/lib` itself too."""
    head, _, rest = path[1:].partition("/")
    return f"/usr{path}" if rest and head in _FOLDERS else path


def merged(tree: Tree, *, what: str) -> Tree:
    """One package's tree with merged paths; raises FileConflict where two of its files become one."""
    entries: dict[str, Entry] = {}
    for path, entry in tree.items():
        is_top = path[1:] in _FOLDERS
        if is_top and entry.kind is Kind.LINK:
            entries[path] = entry  # base-files of trixie
            continue
        new = f"/usr{path}" if is_top else merged_path(path)
        # A link in one folder to the same name in the other, for the time before the merge, is the file itself after it.
        if entry.kind is Kind.LINK and entry.target.startswith("/") and merged_path(entry.target) == new:
            continue
        below = entries.get(new)
        if below is not None and (below.kind, entry.kind) != (Kind.DIR, Kind.DIR):
            msg = f"{what} has two files for {new}"
            raise FileConflict(msg, hint="use another version of the package")
        entries[new] = entry
    return Tree(entries)


def top_links(trees: Iterable[Tree]) -> Tree:
    """/bin, /lib, /sbin, and /lib64 and its like where something lies in them; not those that a package ships itself."""
    paths = {path for tree in trees for path in tree}
    used = {path.split("/")[2] for path in paths if path.startswith("/usr/") and path.count("/") > 2}
    wanted = {*_ALWAYS, *(used & _FOLDERS)}
    return Tree({f"/{name}": link(f"usr/{name}") for name in wanted if f"/{name}" not in paths})
