"""`files`: what a recipe copies from its repository into the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from posixpath import basename, join, normpath
from typing import TYPE_CHECKING

from slimrun.errors import FileConflict, ImageFailed
from slimrun.plan.part import Part
from slimrun.prune.globs import translate
from slimrun.tree.entry import Entry, Kind, folder
from slimrun.tree.folder import read_entry, read_folder
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slimrun.cache.writers import Pack
    from slimrun.errors import Where
    from slimrun.recipe.model import FileCopy

NEVER = (".git", "__pycache__")


def copy_files(copies: Sequence[FileCopy]) -> Part:
    """The tree that `files` make, modes 0755 or 0644 and owner 0:0 unless a copy says otherwise.

    A copy whose `to` ends with a slash puts a file into that folder. Raises FileConflict where two copies write one path, and
    ImageFailed for a link that leads out of the copied folder.
    """
    entries: dict[str, Entry] = {}
    whys: dict[str, Why] = {}
    placed: dict[str, Where] = {}
    for copy in copies:
        why = Why(rule="files", text=f"files: {copy.source or 'an empty folder'} to {copy.to}", where=copy.where)
        try:
            found = _one(copy)
        except OSError as error:
            msg = f"{error.filename or copy.source} cannot be read: {error.strerror}"
            raise ImageFailed(msg, where=copy.where, hint="it was there when the recipe was read: run again") from error
        except ImageFailed as error:
            error.where = error.where or copy.where
            raise
        for path, entry in found.items():
            known = entries.get(path)
            if known is not None and not known.kind is entry.kind is Kind.DIR:
                msg = f"two entries of files write {path}: here and at {placed[path]}"
                raise FileConflict(msg, where=copy.where, hint="give one of them another `to`, or `exclude` the file")
            entries[path], whys[path], placed[path] = entry, why, copy.where
    return Part(tree=Tree(entries), whys=tuple(sorted(whys.items())))


def keep_bytes(part: Part, pack: Pack) -> Part:
    """The same part with its bytes in the cache, so that a later change on the host does not reach an image half made.

    Raises ImageFailed where a file changed since it was hashed.
    """
    return replace(part, tree=part.tree.map(pack.keep))


def _one(copy: FileCopy) -> dict[str, Entry]:
    uid, gid = (int(number) for number in copy.owner.split(":"))
    to = normpath(copy.to)
    if copy.source is None:
        mode = int(copy.mode, 8) if copy.mode else 0o755
        return {to: folder(mode, uid=uid, gid=gid)}
    source = copy.base / copy.source
    if not source.is_dir():
        target = join(to, basename(source)) if copy.to.endswith("/") else to
        entry = read_entry(source.resolve())
        return {target: replace(entry, mode=_mode(copy, entry), uid=uid, gid=gid)}
    tree = read_folder(source, wanted=_wanted(copy))
    found = {} if to == "/" else {to: folder(uid=uid, gid=gid)}
    for path, entry in tree.items():
        if entry.kind is Kind.LINK and _escapes(path, entry.target):
            msg = f"{source}{path} is a link out of the folder: {entry.target}"
            raise ImageFailed(msg, where=copy.where, hint="make it relative and inside, or leave it out with `exclude`")
        changed = entry if entry.kind is Kind.LINK else replace(entry, mode=_mode(copy, entry))
        found[join(to, path.lstrip("/"))] = replace(changed, uid=uid, gid=gid)
    return found


def _mode(copy: FileCopy, entry: Entry) -> int:
    """Modes of a checkout differ by umask: only the owner's execute bit means something (git keeps no more)."""
    if entry.kind is Kind.DIR:
        return 0o755
    if copy.mode:
        return int(copy.mode, 8)
    return 0o755 if entry.mode & 0o100 else 0o644


def _wanted(copy: FileCopy) -> Callable[[str, bool], bool]:
    """As .gitignore has it: a name alone is meant at any depth, and `build/` only where it is a folder."""
    patterns = [
        (translate(f"/{name}" if "/" in name else f"/**/{name}"), name != pattern)
        for pattern in copy.exclude
        if (name := pattern.rstrip("/"))
    ]

    def wanted(path: str, is_folder: bool) -> bool:
        if Path(path).name in NEVER:
            return False
        return not any(rule.fullmatch(path) and (is_folder or not only_folder) for rule, only_folder in patterns)

    return wanted


def _escapes(path: str, target: str) -> bool:
    """Whether a relative link leaves the copied folder; an absolute one is a path of the image and stays as it is."""
    return not target.startswith("/") and normpath(join(path, "..", target).lstrip("/")).startswith("..")
