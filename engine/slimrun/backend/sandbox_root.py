"""A tree on disk, for as long as its commands run: written below the cache by whoever runs slimrun, then removed.

A copy and not a mount of layers: it needs no privilege and no file system of a certain kind.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from posixpath import dirname
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from slimrun.cache.store import writing
from slimrun.cache.writers import CHUNK
from slimrun.errors import BadArchive, RequirementNotMet
from slimrun.tree.entry import Kind, file
from slimrun.tree.resolve import MAX_LINKS
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.tree.entry import Entry

# setuid and setgid have no effect where nothing can gain privileges; on the host they would.
_MODE = 0o1777
# As an engine does it: without them `localhost` has no address. The kernel's own folders are mounted.
_HOSTS = Tree(
    {
        "/etc/hosts": file(b"127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
        "/etc/hostname": file(b"slimrun\n"),
        "/etc/resolv.conf": file(b""),
    }
)
KERNEL = ("/dev", "/proc")


class Root:
    """The unpacked file system below `folder`/root; `owners` keeps the owners of files, which only root can."""

    def __init__(self, tree: Tree, scratch: Path, *, name: str, owners: bool) -> None:
        self.folder = Path(mkdtemp(prefix=name, dir=scratch))
        self.path = self.folder / "root"
        self._tree = tree.only(lambda path, _: not path.startswith(tuple(f"{item}/" for item in KERNEL))).merge(_HOSTS)
        try:
            with writing(self.folder):
                _write(self._tree, self.path, owners=owners)
            for path in KERNEL:
                self.mount_point(path)
        except BaseException:
            self.remove()
            raise

    def mount_point(self, path: str) -> str:
        """A folder of the image, links followed inside it, made where it is missing; raises BadArchive where it is a file."""
        real = _real(self._tree, path)
        if real.startswith(tuple(f"{item}/" for item in KERNEL)):
            return real  # made once those are mounted
        (self.path / real.lstrip("/")).mkdir(mode=0o755, parents=True, exist_ok=True)
        return real

    def remove(self) -> None:
        """Remove the folder."""
        remove_root(self.folder)


def remove_root(folder: Path) -> None:
    """Remove a folder whose own folders may be closed to their owner."""
    for place, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(place) / name
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _real(tree: Tree, path: str) -> str:
    """Where `path` would be: links are followed, also those that lead to nothing yet, which on disk would lead to the host."""
    here: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            here = here[:-1]
            continue
        entry = tree.stat("/" + "/".join([*here, part]))
        if entry is not None and entry.kind is Kind.LINK:
            links += 1
            here = [] if entry.target.startswith("/") else here
            todo += entry.target.split("/")[::-1]
        else:
            here.append(part)
        if links > MAX_LINKS or (entry is not None and entry.kind not in (Kind.DIR, Kind.LINK)):
            msg = f"{path} of the image is no folder, and something is to be mounted there"
            raise BadArchive(msg)
    return "/" + "/".join(here)


def _write(tree: Tree, root: Path, *, owners: bool) -> None:
    first: dict[Entry, Path] = {}
    folders: list[tuple[Path, int]] = []
    root.mkdir(mode=0o755)
    made = {"/"}
    for path, entry in _with_folders(tree).items():
        if dirname(path) not in made:
            msg = f"{path} of the image lies below something that is no folder"
            raise BadArchive(msg)
        place = root / path.lstrip("/")
        same = first.setdefault(replace(entry, content=None), place) if entry.inode else place
        if same != place:
            place.hardlink_to(same)
            continue
        match entry.kind:
            case Kind.DIR:
                place.mkdir(mode=0o700)
                folders.append((place, entry.mode))
                made.add(path)
            case Kind.LINK:
                place.symlink_to(entry.target)
            case Kind.FILE:
                _copy(entry, place)
            case Kind.FIFO:
                os.mkfifo(place, entry.mode & _MODE)
            case _:
                continue  # devices: /dev is mounted
        if owners and (entry.uid, entry.gid) != (0, 0):
            _give(place, entry)
        if entry.kind is Kind.FILE:
            place.chmod(entry.mode & _MODE)
    for place, mode in reversed(folders):
        place.chmod(mode & _MODE)


def _give(place: Path, entry: Entry) -> None:
    try:
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
        msg = f"the image has files of user {entry.uid}, an id that this root may not give ({error.strerror})"
        raise RequirementNotMet(
            msg, hint="run slimrun as an ordinary user, or with more ids in /proc/self/uid_map"
        ) from error


def _with_folders(tree: Tree) -> Tree:
    """The tree with every folder that its paths imply."""
    above = {parent for path in tree for parent in _above(path) if parent not in tree}
    return Tree({**tree, **{path: entry for path in above if (entry := tree.stat(path)) is not None}})


def _above(path: str) -> list[str]:
    parents = []
    while (path := dirname(path)) != "/":
        parents.append(path)
    return parents


def _copy(entry: Entry, place: Path) -> None:
    with (
        entry.open() as source,
        os.fdopen(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR), "wb") as target,
    ):
        shutil.copyfileobj(source, target, CHUNK)
