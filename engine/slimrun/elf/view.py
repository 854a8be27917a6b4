"""A tree being added to, and the way of a supply's file into it."""

from __future__ import annotations

from dataclasses import replace
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.tree.entry import Kind, link
from slimrun.tree.resolve import MAX_LINKS, resolve
from slimrun.tree.tree import ROOT

if TYPE_CHECKING:
    from typing import BinaryIO

    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree, TreeSource


class View:
    """A TreeSource: a Tree with paths laid over it and taken out of it; `changes` counts them."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.added: dict[str, Entry] = {}
        self.removed: set[str] = set()
        self.changes = 0
        self._children: dict[str, set[str]] = {}

    def stat(self, path: str) -> Entry | None:
        """As TreeSource.stat; folders above an added path are there."""
        entry = self.added.get(path)
        if entry is not None:
            return entry
        found = None if path in self.removed else self.tree.stat(path)
        return ROOT if found is None and path in self._children else found

    def children(self, path: str) -> tuple[str, ...]:
        """As TreeSource.children."""
        own = self.tree.children(path)
        if self.removed:
            own = tuple(name for name in own if join(path, name) not in self.removed)
        added = self._children.get(path)
        return tuple(sorted({*own, *added})) if added else own

    def open(self, path: str) -> BinaryIO:
        """As TreeSource.open."""
        entry = self.stat(path)
        if entry is None:
            raise KeyError(path)
        return entry.open()

    def put(self, path: str, entry: Entry) -> bool:
        """Lay an entry over the tree; false where the same is there already."""
        below = self.stat(path)
        same = below is not None and (below.kind, below.target) == (entry.kind, entry.target)
        if below is not None and same and below.same_bytes(entry):
            return False
        self.added[path] = entry
        self.changes += 1
        while path != "/":
            self._children.setdefault(dirname(path), set()).add(basename(path))
            path = dirname(path)
        return True

    def remove(self, path: str) -> None:
        """Take a path of the tree out."""
        self.removed.add(path)
        self.changes += 1


def land(view: View, folder: str, depth: int = MAX_LINKS) -> str:
    """Where `folder` lies in `view`, its folder links followed even before what they lead to exists."""
    here = "/"
    for part in (part for part in folder.split("/") if part not in ("", ".")):
        if part == "..":
            here = dirname(here)
            continue
        step = join(here, part)
        entry = view.stat(step)
        if entry is not None and entry.kind is Kind.LINK and depth > 0:
            step = land(view, join(here, entry.target), depth - 1)
        here = step
    return here


def place(view: View, source: TreeSource, path: str) -> tuple[str, tuple[str, ...]]:
    """Lay the file that `path` leads to in `source` over `view`: where it now is, and every path put.

    It keeps its folder, mapped through the view's own folder links; folder links of the source come along where the view has
    nothing of that name (`/lib -> usr/lib` into an empty image), file links always.
    """
    found = resolve(source, path)
    if found is None:
        raise KeyError(path)
    put: list[str] = []
    names: list[str] = []
    for step in found.links:
        entry, leads = source.stat(step), resolve(source, step)
        if entry is None or leads is None:
            continue
        if leads.entry.kind is not Kind.DIR:
            names.append(step)
        elif view.stat(there := join(land(view, dirname(step)), basename(step))) is None and view.put(there, entry):
            put.append(there)
    real = join(land(view, dirname(found.path)), basename(found.path))
    # Names of one file (hard links) in another tree mean nothing here.
    if view.put(real, replace(found.entry, inode="")):
        put.append(real)
    # Last first: what a link leads to is there before the link is looked at.
    for step in reversed(names):
        entry = source.stat(step)
        there = join(land(view, dirname(step)), basename(step))
        if there != real and entry is not None and view.put(there, entry):
            put.append(there)
        put += lead(view, there, real)
    return real, tuple(put)


def lead(view: View, name: str, real: str) -> tuple[str, ...]:
    """Make `name` lead to `real`: nothing where it does, else a link in its place; the paths put."""
    leads = resolve(view, name)
    if leads is not None and leads.path == real:
        return ()
    there = join(land(view, dirname(name)), basename(name))
    if there == real or not view.put(there, link(real)):
        return ()
    return (there,)
