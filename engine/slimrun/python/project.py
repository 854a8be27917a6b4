"""A project of one's own as a tree of sources: what of a folder can matter to a build, the same in every checkout."""

from __future__ import annotations

from dataclasses import replace
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from slimrun.errors import BadSource
from slimrun.tree.entry import Kind
from slimrun.tree.folder import read_folder

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.errors import Where
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree

NEVER = (".git", ".hg", ".svn", "__pycache__")
# What builds leave beside the sources: a wheel made of it would depend on what was built here before.
LEFT_AT_TOP = ("build", "dist")
LEFT_ANYWHERE = (".egg-info",)
# Folders that say themselves that they are a virtual environment (PEP 405) or some tool's cache (bford.info/cachedir).
MARKS = ("pyvenv.cfg", "CACHEDIR.TAG")


def keep_project(folder: Path, cache: Cache, where: Where | None) -> Tree:
    """The tree of `read_project` with its bytes in the cache, so that a change meanwhile does not reach a build half made."""
    tree = read_project(folder, where)
    with cache.pack(f"project-{tree.digest()}") as pack:

        def kept(path: str, entry: Entry) -> Entry:
            if entry.content is None:
                return entry
            with entry.open() as stream:
                copy = pack.add(stream, mode=entry.mode)
            if copy.digest != entry.digest:
                msg = f"{folder}{path} changed while it was read"
                raise BadSource(msg, hint="run again when nothing writes to it", where=where)
            return copy

        return tree.map(kept)


def read_project(folder: Path, where: Where | None = None) -> Tree:
    """The folder's files as `files:` would copy them: modes 0755 or 0644, owner 0:0, links inside it only.

    Without what versions are kept in, byte code, virtual environments, caches, and what earlier builds left. Raises BadSource.
    """

    def wanted(path: str, is_folder: bool) -> bool:
        name = path.rpartition("/")[2]
        if not is_folder:
            return name not in NEVER
        left = name.endswith(LEFT_ANYWHERE) or path.lstrip("/") in LEFT_AT_TOP
        return not (name in NEVER or left or any((folder / path.lstrip("/") / mark).is_file() for mark in MARKS))

    def changed(path: str, entry: Entry) -> Entry:
        if entry.kind is Kind.LINK:
            if entry.target.startswith("/") or normpath(join(dirname(path), entry.target).lstrip("/")).startswith(".."):
                msg = f"{folder}{path} is a link out of the project: {entry.target}"
                raise BadSource(msg, hint="make it relative and inside, or put the file itself there", where=where)
            return entry
        executable = entry.kind is Kind.DIR or entry.mode & 0o100
        return replace(entry, mode=0o755 if executable else 0o644)

    try:
        return read_folder(folder, wanted=wanted).map(changed)
    except OSError as error:
        msg = f"{error.filename or folder} cannot be read: {error.strerror}"
        raise BadSource(msg, hint="a wheel is built of all files of the folder", where=where) from error
