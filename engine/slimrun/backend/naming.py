"""Paths of an image's file system as an engine names them, for images that are read without one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.tree.resolve import Stats
    from slimrun.tree.tree import Tree


def real_path(source: Stats, path: str) -> str | None:
    """The path with no link above it; None where the folder that it is in is not there."""
    parent = resolve(source, dirname(path))
    return join(parent.path, basename(path)) if parent else None


def leads(source: Stats, path: str) -> str | None:
    """The path, or where a link leads in the end, as an engine reports it; None where nothing is there."""
    real = real_path(source, path)
    entry = source.stat(real) if real else None
    if real is None or entry is None:
        return None
    if entry.kind is not Kind.LINK:
        return path
    found = resolve(source, path)
    return found.path if found else join(dirname(real), entry.target)


def own_names(tree: Tree) -> Tree:
    """Hard links among these paths alone, each group known by the name that an archive of the folder has first."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for path, entry in tree.items():
        if entry.inode:
            names[entry.inode].append(path)
    first = {inode: min(paths, key=_walking) if len(paths) > 1 else "" for inode, paths in names.items()}
    return tree.map(lambda _, entry: replace(entry, inode=first[entry.inode]) if entry.inode else entry)


def _walking(path: str) -> list[str]:
    """The order of a walk: by name in each folder."""
    return path.split("/")
