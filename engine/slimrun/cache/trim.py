"""Cut the cache down to a size, what was used longest ago first, and never what a running build holds.

Whoever uses something of the cache sets its time (store.py), and a run holds a lock on a file of its own below `runs/` for as
long as it lasts. So what was used since the oldest run that is still alive began is that run's, or may be, and stays; a run
finds everything else either whole or absent, and makes again what is absent.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.cache.store import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RUNS, _STAGING, _LOCKS = "runs", "staging", "locks"
# What is remembered of images by name: small, and nothing could make it again.
_MEMORY = ("last", "last-run")
# Unpacked images (backend/sandbox.py), which the local backend removes: it takes more than unlinking.
_UNPACKED = "root-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """What was removed, in things and bytes, what is left, and how much of it stays for runs that are at work."""

    count: int
    freed: int
    size: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """What stands or falls together: a blob, or record, values and pack of one key; `used` in nanoseconds."""

    key: str
    used: int
    size: int
    paths: tuple[Path, ...]


@contextmanager
def running(root: Path) -> Iterator[int]:
    """Say for the length of the block that a run is at work; gives the time of its beginning, in nanoseconds.

    The time is that of a file, since the clock of file systems lags behind the machine's by some milliseconds.
    """
    with writing(root):
        folder = root / _RUNS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        stream = path.open("wb")
    try:
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield os.fstat(stream.fileno()).st_mtime_ns
    finally:
        path.unlink(missing_ok=True)


def trim(root: Path, most: int | None) -> Trimmed:
    """Remove until at most so many bytes are left (None: only what killed runs left half-written); answers with what was done.

    Raises RequirementNotMet where the cache may not be written.
    """
    if not root.is_dir():
        return Trimmed(count=0, freed=0, size=0, held=0)
    with running(root) as begun:
        before = min([begun, *_live(root, begun)])
        count = freed = 0
        for path in _children(root / _STAGING):
            used, size = _facts(path)
            if used < before and not path.name.startswith(_UNPACKED):
                _remove(path)
                count, freed = count + 1, freed + size
        items = sorted(_items(root), key=lambda item: (item.used, item.key))
        size = sum(item.size for item in items)
        for item in items:
            if most is None or size <= most:
                break
            if item.used < before and _drop(item, root, before):
                count, freed, size = count + 1, freed + item.size, size - item.size
        held = sum(item.size for item in items if item.used >= before) if before < begun else 0
        return Trimmed(count=count, freed=freed, size=size, held=held)


def size_of(root: Path) -> int:
    """The bytes that a cache takes."""
    return _facts(root)[1]


def _live(root: Path, own: int) -> Iterator[int]:
    """When each other run that is alive began; files of runs that died are removed."""
    for path in _children(root / _RUNS):
        with suppress(FileNotFoundError), path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield os.fstat(stream.fileno()).st_mtime_ns
            else:
                # One that has opened its file and not yet locked it is younger than this look.
                if os.fstat(stream.fileno()).st_mtime_ns < own:
                    path.unlink(missing_ok=True)


def _items(root: Path) -> Iterator[_Item]:
    by_key: dict[str, list[Path]] = {}
    kinds = [folder for folder in _children(root / "records") if folder.name not in _MEMORY]
    for folder in (*kinds, *_children(root / "values"), root / "packs"):
        for path in _children(folder):
            by_key.setdefault(path.name.removesuffix(".json"), []).append(path)
    for key, paths in by_key.items():
        yield _item(key, tuple(paths))
    for path in _children(root / "blobs" / "sha256"):
        yield _item(path.name, (path,))
    for folder in _children(root):
        if folder.name not in ("records", "values", "packs", "blobs", _RUNS, _STAGING, _LOCKS) and folder.is_dir():
            for path in _children(folder):
                yield _item(f"{folder.name}/{path.name}", (path,))


def _item(key: str, paths: tuple[Path, ...]) -> _Item:
    facts = [_facts(path) for path in paths]
    return _Item(key=key, used=max(used for used, _ in facts), size=sum(size for _, size in facts), paths=paths)


def _drop(item: _Item, root: Path, before: int) -> bool:
    """Remove an item unless somebody holds its stage or has used it since it was looked at; whether it is gone.

    A record goes before the values and the pack that it speaks of.
    """
    with _held(root / _LOCKS / f"stage-{item.key}") as free:
        if not free or any(_facts(path)[0] >= before for path in item.paths):
            return False
        for path in item.paths:
            _remove(path)
    return not any(path.exists() for path in item.paths)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold a stage's lock if nobody has it, and remove the lock; False where it is held.

    Two runs that then hold one name's lock, of an old and of a new file, at worst make one result twice.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        yield True
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        path.unlink(missing_ok=True)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _facts(path: Path) -> tuple[int, int]:
    """When it was last used, in nanoseconds, and how many bytes it takes; of a folder, all that is in it."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return 0, 0
    if not stat.S_ISDIR(facts.st_mode):
        return facts.st_mtime_ns, facts.st_size
    inner = [_facts(child) for child in _children(path)]
    return max([facts.st_mtime_ns, *(used for used, _ in inner)]), sum(size for _, size in inner)


def _remove(path: Path) -> None:
    with writing(path.parent):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
