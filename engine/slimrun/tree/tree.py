"""An immutable file system: a sorted mapping from absolute path to entry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from posixpath import join
from types import MappingProxyType
from typing import Any, BinaryIO, Protocol

from slimrun.tree.entry import Entry, Kind, folder, from_row
from slimrun.tree.resolve import Resolved, Stats, resolve

ROOT = folder()
Row = tuple[Any, ...]


class TreeSource(Stats, Protocol):
    """What the rest of the program needs of a file system: a container's, an image's, a folder's, a test's dict."""

    def children(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; () where it is not a folder."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A seekable reader over the bytes of the file at exactly this path; raises KeyError where there is none."""
        ...


class Tree(Mapping[str, Entry]):
    """Absolute, normalised paths in sorted order, each with its entry; `/` itself is there without being listed.

    Folders above an entry need not be listed either: they count as 0755, owner 0:0. Paths are `str`, not PurePosixPath
    (docs/design.md, 2026-11-24). A Tree is a plain value: comparing, hashing by `digest()` and pickling work.
    """

    __slots__ = ("_children", "_entries")

    def __init__(self, entries: Mapping[str, Entry] = MappingProxyType({})) -> None:
        self._entries = {path: entries[path] for path in sorted(entries)}
        self._children: dict[str, tuple[str, ...]] | None = None

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        return self._entries == other._entries if isinstance(other, Tree) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Tree of {len(self)} paths>"

    def __getstate__(self) -> list[Row]:
        return [(path, *entry.row()) for path, entry in self._entries.items()]

    def __setstate__(self, rows: list[Row]) -> None:
        self._entries, self._children = {row[0]: from_row(row[1:]) for row in rows}, None

    def stat(self, path: str) -> Entry | None:
        """The entry at exactly this path; implied folders answer as 0755."""
        entry = self._entries.get(path)
        if entry is None and path in self._index():
            return ROOT
        return entry

    def children(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted."""
        return self._index().get(path, ())

    def open(self, path: str) -> BinaryIO:
        """A reader over the file at exactly this path; KeyError where there is none."""
        return self._entries[path].open()

    def read(self, path: str) -> bytes:
        """All bytes of the file at exactly this path; KeyError where there is none."""
        return self._entries[path].read()

    def resolve(self, path: str) -> Resolved | None:
        """Where `path` leads inside this tree, links followed; None where a component is missing or not a folder."""
        return resolve(self, path)

    def under(self, *folders: str) -> Tree:
        """Only what lies in these folders, and the folders themselves."""
        prefixes = tuple(f"{path.rstrip('/')}/" for path in folders)
        return self.only(lambda path, _: f"{path}/".startswith(prefixes))

    def only(self, wanted: Callable[[str, Entry], bool]) -> Tree:
        """The entries for which `wanted(path, entry)` is true."""
        return _from_sorted({path: entry for path, entry in self._entries.items() if wanted(path, entry)})

    def without(self, paths: Iterable[str]) -> Tree:
        """All entries but these."""
        gone = frozenset(paths)
        return self.only(lambda path, _: path not in gone)

    def map(self, change: Callable[[str, Entry], Entry]) -> Tree:
        """The same paths, each entry changed."""
        return _from_sorted({path: change(path, entry) for path, entry in self._entries.items()})

    def merge(self, *uppers: Tree) -> Tree:
        """This tree with others laid over it: the last one's entry wins, and what replaces a folder hides its content."""
        layers = [tree for tree in (self, *uppers) if tree]
        if len(layers) < 2:  # and keep the index that it may have by now
            return layers[0] if layers else self
        merged = dict(layers[0]._entries)
        for upper in layers[1:]:
            for path, entry in upper.items():
                below = merged.get(path)
                if below is not None and below.kind is Kind.DIR and entry.kind is not Kind.DIR:
                    _drop_under(merged, path)
                merged[path] = entry
        return Tree(merged)

    def files(self) -> Iterator[tuple[str, Entry]]:
        """The files (not folders, links or devices) in path order."""
        return ((path, entry) for path, entry in self._entries.items() if entry.kind is Kind.FILE)

    def size(self) -> int:
        """Bytes of all files, a file with several names counted once."""
        seen: dict[tuple[str, str], int] = {}
        for path, entry in self.files():
            seen[(entry.inode, entry.digest) if entry.inode else (path, "")] = entry.size
        return sum(seen.values())

    def dump(self) -> dict[str, str]:
        """Path to one line of text, for tests and differences that explain themselves."""
        return {path: entry.dump() for path, entry in self._entries.items()}

    def digest(self) -> str:
        """The sha256 hex of everything that can reach an image: names, metadata, what contents are."""
        total = hashlib.sha256()
        for path, entry in self._entries.items():
            total.update(repr((path, *entry.facts())).encode("utf-8", "surrogateescape"))
        return total.hexdigest()

    def _index(self) -> dict[str, tuple[str, ...]]:
        if self._children is None:
            found: dict[str, set[str]] = {"/": set()}
            for path, entry in self._entries.items():
                if entry.kind is Kind.DIR:
                    found.setdefault(path, set())
                child = path
                while child:  # upwards, until a folder is met that has been told of this one
                    parent, _, name = child.rpartition("/")
                    names = found.setdefault(parent or "/", set())
                    if name in names:
                        break
                    names.add(name)
                    child = parent
            self._children = {path: tuple(sorted(names)) for path, names in found.items()}
        return self._children


def _from_sorted(entries: dict[str, Entry]) -> Tree:
    tree = Tree.__new__(Tree)
    tree._entries, tree._children = entries, None
    return tree


def _drop_under(entries: dict[str, Entry], path: str) -> None:
    prefix = join(path, "")
    for below in [name for name in entries if name.startswith(prefix)]:
        del entries[below]
