"""An image's files where an engine on this machine keeps them: the folders of its overlay2 driver, one for each layer.

They are read as the kernel lays them over each other (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
directories"), and never written. An engine would pack all that it hands over into archives.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from posixpath import join
from stat import S_IFMT, S_ISCHR, S_ISDIR
from typing import TYPE_CHECKING, BinaryIO, cast

from slimrun.backend.naming import own_names, real_path
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind
from slimrun.tree.stream import Stream
from slimrun.tree.tree import ROOT, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Put = Callable[[BinaryIO], Entry]

_OPAQUE = "trusted.overlay.opaque"
# Marks of what lies elsewhere: names that were moved, and bytes that only a lower layer has.
_ELSEWHERE = frozenset({"trusted.overlay.redirect", "trusted.overlay.metacopy"})
_CAPABILITY = "security.capability"
# Its third revision is bound to a user namespace (capabilities(7)), which no archive tells of.
_REVISION, _UNBOUND = 3, (1, 2)
_KINDS = {
    0o100000: Kind.FILE,
    0o040000: Kind.DIR,
    0o120000: Kind.LINK,
    0o020000: Kind.CHAR,
    0o060000: Kind.BLOCK,
    0o010000: Kind.FIFO,
}


class Unreadable(Exception):
    """An image's files cannot be told from its layers' folders, so that the engine has to be asked for them."""


class Overlay:
    """A file system made of folders, the topmost first; what it is asked raises Unreadable where they do not tell.

    `digests` are those of the layers, as the image's config has them, by folder.
    """

    def __init__(self, layers: Sequence[str], digests: Mapping[str, str]) -> None:
        self._layers, self._digests = tuple(layers), digests
        self._folders: dict[str, dict[str, tuple[str, ...]]] = {}

    def stat(self, path: str) -> Entry | None:
        """The entry at exactly this path, of a file without digest; None where nothing is there."""
        if path == "/":
            return ROOT
        place = self._place(path)
        with _asking():
            return _entry(place, "") if place else None

    def take(self, folder: str, put: Put | None, *, skip: Callable[[str], bool]) -> Tree:
        """A path with all below it, under the name that was asked for; an empty tree where nothing is there.

        The bytes of each file that `skip` does not pass over are given to `put`, which answers with their entry; without it
        they stay where they are, unread. Sockets are left out, as an engine leaves them out.
        """
        real = real_path(self, folder)
        if real is None:
            return Tree()
        with _asking():  # but not what `put` says of where it writes
            found = [(folder + path.removeprefix(real), place, entry) for path, place, entry in self._walk(real)]
        entries: dict[str, Entry] = {}
        for path, place, entry in found:
            if skip(path):
                continue
            entries[path] = entry
            if entry.kind is Kind.FILE and put is not None:
                kept = _taken(place, put)
                entries[path] = replace(entry, size=kept.size, digest=kept.digest, content=kept.content)
        return own_names(Tree(entries))

    def _walk(self, path: str) -> Iterator[tuple[str, str, Entry]]:
        """Each path, the place where it lies, and its entry, whose bytes lie there, too."""
        todo = [(path, self._place(path))]
        while todo:
            path, place = todo.pop()
            entry = _entry(place, self._digests[place.removesuffix(path)] + path) if place else None
            if entry is not None:
                yield path, place, entry
                if entry.kind is Kind.DIR:
                    todo += [(join(path, name), places[0]) for name, places in self._names(path).items()]

    def _place(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return next(iter(self._names(folder or "/").get(name, ())), "")

    def _names(self, folder: str) -> dict[str, tuple[str, ...]]:
        """Each name in a folder, sorted, and where it is: of a folder all that are merged, the topmost first."""
        if folder not in self._folders:
            above, _, name = folder.rpartition("/")
            places = self._layers if folder == "/" else self._names(above or "/").get(name, ())
            with _asking():
                self._folders[folder] = _merged(places)
        return self._folders[folder]


def _merged(folders: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    hidden: set[str] = set()
    for folder in folders:
        if not S_ISDIR(os.lstat(folder).st_mode):  # all but the first are folders, and the first may be anything
            break
        with os.scandir(folder) as items:
            for item in items:
                if item.name in hidden:
                    continue
                if item.is_dir(follow_symlinks=False):
                    found.setdefault(item.name, []).append(item.path)
                    if _is_opaque(item.path):
                        hidden.add(item.name)
                else:
                    hidden.add(item.name)
                    if item.name not in found and not _is_whiteout(item):
                        found[item.name] = [item.path]
    return {name: tuple(found[name]) for name in sorted(found)}


def _is_whiteout(item: os.DirEntry[str]) -> bool:
    if item.is_file(follow_symlinks=False) or item.is_symlink():
        return False
    facts = item.stat(follow_symlinks=False)
    return S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def _is_opaque(folder: str) -> bool:
    names = os.listxattr(folder, follow_symlinks=False)
    _all_here(folder, names)
    return _OPAQUE in names and os.getxattr(folder, _OPAQUE, follow_symlinks=False) == b"y"


def _all_here(place: str, names: Sequence[str]) -> None:
    if not _ELSEWHERE.isdisjoint(names):
        msg = f"{place} is marked as being elsewhere"
        raise Unreadable(msg)


def _entry(place: str, origin: str) -> Entry | None:
    """The entry of a place, of a file without digest, its bytes known by `origin`; None for a socket."""
    facts = os.lstat(place)
    kind = _KINDS.get(S_IFMT(facts.st_mode))
    if kind is None:
        return None
    special = kind in (Kind.CHAR, Kind.BLOCK)
    return Entry(
        kind=kind,
        mode=facts.st_mode & 0o7777,
        uid=facts.st_uid,
        gid=facts.st_gid,
        size=facts.st_size if kind is Kind.FILE else 0,
        target=str(Path(place).readlink()) if kind is Kind.LINK else "",
        inode=f"{facts.st_dev}:{facts.st_ino}" if kind is Kind.FILE and facts.st_nlink > 1 else "",
        device=(os.major(facts.st_rdev), os.minor(facts.st_rdev)) if special else (0, 0),
        xattrs=_capability(place) if kind is Kind.FILE else (),
        content=Extent(place, 0, facts.st_size, origin) if kind is Kind.FILE else None,
    )


def _capability(place: str) -> tuple[tuple[str, bytes], ...]:
    """An engine's archives have this attribute, and no other."""
    names = os.listxattr(place, follow_symlinks=False)
    _all_here(place, names)
    if _CAPABILITY not in names:
        return ()
    value = os.getxattr(place, _CAPABILITY, follow_symlinks=False)
    if value[_REVISION] not in _UNBOUND:
        msg = f"{place} has capabilities of a user namespace"
        raise Unreadable(msg)
    return ((_CAPABILITY, value),)


def _taken(place: str, put: Put) -> Entry:
    with _Reading(place) as stream:
        return put(cast("BinaryIO", stream))


class _Reading(Stream):
    """A file of a layer, whose troubles are not taken for those of the file that it is copied to."""

    def __init__(self, place: str) -> None:
        with _asking():
            self._raw = io.FileIO(place)

    def fill(self, buffer: memoryview) -> int:
        with _asking():
            return self._raw.readinto(buffer) or 0

    def close(self) -> None:
        self._raw.close()
        super().close()


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreadable(str(error)) from error
