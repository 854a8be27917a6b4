"""Trees out of folders of the host."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from slimrun.errors import ImageFailed
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable


def read_folder(root: Path, *, wanted: Callable[[str, bool], bool] = lambda _path, _is_folder: True) -> Tree:
    """What lies below a folder, by its path from there: `/a/b`. Links stay links, owners are 0:0, modes as on disk.

    `wanted(path, is_folder)` false leaves a path out, a folder with all below it. Sockets, devices and FIFOs are an error.
    """
    entries: dict[str, Entry] = {}
    todo = [("", root)]
    while todo:
        path, place = todo.pop()
        for item in sorted(os.scandir(place), key=lambda item: item.name):
            name = f"{path}/{item.name}"
            if not wanted(name, item.is_dir(follow_symlinks=False)):
                continue
            entries[name] = read_entry(Path(item.path))
            if entries[name].kind is Kind.DIR:
                todo.append((name, Path(item.path)))
    return Tree(entries)


def read_entry(path: Path) -> Entry:
    """One path of the host as an entry; a file is hashed now and read again later."""
    facts = path.lstat()
    mode = facts.st_mode & 0o7777
    if S_ISDIR(facts.st_mode):
        return Entry(kind=Kind.DIR, mode=mode)
    if S_ISLNK(facts.st_mode):
        return link(str(path.readlink()))
    if not S_ISREG(facts.st_mode):
        msg = f"{path} is neither a file, a folder nor a link"
        raise ImageFailed(msg, hint="leave it out with exclude")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = facts.st_size
    return Entry(kind=Kind.FILE, mode=mode, size=size, digest=digest, content=Extent(str(path.resolve()), 0, size))
