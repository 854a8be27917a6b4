"""Following symbolic links inside a tree, as the kernel does below a root (openat2 with RESOLVE_IN_ROOT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from slimrun.tree.entry import Entry


class Stats(Protocol):
    """A file system as far as following links needs it."""

    def stat(self, path: str) -> Entry | None:
        """The entry at exactly this path (a link is not followed), or None."""
        ...


# MAXSYMLINKS of the kernel's include/linux/namei.h: the 41st link is ELOOP.
MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Resolved:
    """The path that is really opened, its entry, and every link on the way (each must exist for the name to work)."""

    path: str
    entry: Entry
    links: tuple[str, ...]


def resolve(tree: Stats, path: str) -> Resolved | None:
    """Where `path` leads, or None as for ENOENT, ENOTDIR and ELOOP.

    Absolute links start at the tree's root, `..` above it stays there, and `file/.` or `file/` is not a folder.
    """
    todo = _parts(path)
    here: list[str] = []
    entry = tree.stat("/")
    links: list[str] = []
    while todo:
        part = todo.pop()
        if entry is None or entry.kind is not Kind.DIR:
            return None
        if part == ".":
            continue
        if part == "..":
            here = here[:-1]
            entry = tree.stat(_absolute(here))
            continue
        step = _absolute([*here, part])
        entry = tree.stat(step)
        if entry is None:
            return None
        if entry.kind is Kind.LINK:
            links.append(step)
            if len(links) > MAX_LINKS or not entry.target:
                return None
            if entry.target.startswith("/"):
                here = []
            todo += _parts(entry.target)
            entry = tree.stat(_absolute(here))
            continue
        here.append(part)
    if entry is None:
        return None
    return Resolved(_absolute(here), entry, tuple(links))


def _parts(path: str) -> list[str]:
    """The components, last first; a trailing slash asks for a folder, as `.` does."""
    parts = [part for part in path.split("/") if part]
    if path.endswith("/"):
        parts.append(".")
    return parts[::-1]


def _absolute(parts: list[str]) -> str:
    return "/" + "/".join(parts)
