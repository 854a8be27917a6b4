"""A folder of content-addressed blobs, packs of files, and small JSON records.

    blobs/sha256/<hex>      bytes by their digest: layers, wheels
    packs/<key>             the bytes of many files one after another; the record of the same key says where each begins
    records/<kind>/<key>    JSON: pins, what a stage's result was
    values/<kind>/<key>     stage results, trees (see values.py)
    locks/<key>             held with flock while a key is being made, so that two runs make it once
    runs/<process>          held with flock by each run, so that nothing it uses is trimmed (see trim.py)

Everything is written under a staging name and renamed. Keys are hex digests or words of [a-z0-9._-].
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import IO, TYPE_CHECKING, Any

from slimrun.cache import values
from slimrun.cache.writers import Blob, Pack
from slimrun.errors import BadArchive, DiskFull, RequirementNotMet
from slimrun.tree.content import Extent
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK_POLL = 0.05
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Cache:
    """The cache below `root`; made on first write, safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def blob_path(self, digest: str) -> Path:
        """Where the blob with this bare sha256 hex is or would be."""
        return self.root / "blobs" / "sha256" / _checked(digest)

    def has_blob(self, digest: str) -> bool:
        """Whether the whole blob is here; asking counts as using it."""
        return _used(self.blob_path(digest))

    @contextmanager
    def new_blob(self, *, expected: str = "", what: str = "") -> Iterator[Blob]:
        """A writer whose bytes become a blob when the block ends; with `expected`, another digest is BadArchive."""
        with self._staged() as (stream, staged):
            blob = Blob(self, stream)
            yield blob
            if expected and blob.digest != expected:
                msg = f"{what or 'a download'} has sha256 {blob.digest}, expected {expected}"
                raise BadArchive(msg, hint="run again; if it stays, the source was changed after it was pinned")
            self._publish(stream, staged, self.blob_path(blob.digest))

    @contextmanager
    def pack(self, key: str) -> Iterator[Pack]:
        """A writer for the bytes of many files, which are readable under its entries once the block has ended."""
        final = self.root / "packs" / _checked(key)
        with self._staged() as (stream, staged):
            yield Pack(stream, final)
            self._publish(stream, staged, final)

    def load(self, kind: str, key: str) -> Any:
        """The JSON value recorded under this kind and key, or None; a damaged record counts as absent."""
        path = self._record(kind, key)
        try:
            return json.loads(path.read_bytes()) if _used(path) else None
        except (FileNotFoundError, ValueError):
            return None

    def has(self, kind: str, key: str) -> bool:
        """Whether there is a record of this kind and key, without reading it."""
        return _used(self._record(kind, key))

    def save(self, kind: str, key: str, value: object) -> Path:
        """Record a JSON value under this kind and key, replacing what was there; answers with the record's file."""
        final = self._record(kind, key)
        with self._staged() as (stream, staged):
            stream.write(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())
            self._publish(stream, staged, final)
        return final

    def load_value(self, kind: str, key: str) -> Any:
        """The value that `save_value` kept, or None; damaged, or with bytes that are gone, it counts as absent."""
        path = self._value(kind, key)
        try:
            value = values.loads(path.read_bytes()) if _used(path) else None
        except (FileNotFoundError, ValueError):
            return None
        return value if self._whole(value) else None

    def save_value(self, kind: str, key: str, value: object) -> None:
        """Keep a value of slimrun's own types (dataclasses, tuples, trees) under this kind and key."""
        final = self._value(kind, key)
        with self._staged() as (stream, staged):
            stream.write(values.dumps(value))
            self._publish(stream, staged, final)

    def forget(self, kind: str, key: str) -> None:
        """Remove a record, if it is there."""
        self._record(kind, key).unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold this key against other processes and threads; waits for whoever has it. A process that dies lets go of it.

        `waiting` is called now and then until the key is free, and may raise.
        """
        folder = self._folder("locks")
        with (folder / _checked(key)).open("wb") as stream:
            while waiting is not None:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waiting()
                    time.sleep(LOCK_POLL)
            else:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def holds(self, file: str) -> bool:
        """Whether a host file is the cache's own."""
        return file.startswith(f"{self.root}/")

    def scratch(self) -> Path:
        """A folder for staging files, on the cache's own file system."""
        return self._folder("staging")

    def _record(self, kind: str, key: str) -> Path:
        return self.root / "records" / _checked(kind) / f"{_checked(key)}.json"

    def _value(self, kind: str, key: str) -> Path:
        return self.root / "values" / _checked(kind) / _checked(key)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _whole(self, value: object) -> bool:
        """Whether a value has all its fields (an older slimrun's may not), and its trees the host files that they point into.

        Those of ours are used by asking; what lies in an engine's layers is only looked at.
        """
        files: set[str] = set()
        known: set[int] = set()  # reasons share their tails
        todo = [value]
        while todo:
            item = todo.pop()
            if id(item) in known:
                continue
            known.add(id(item))
            if isinstance(item, Tree):
                files.update(entry.content.file for _, entry in item.files() if isinstance(entry.content, Extent))
            elif isinstance(item, tuple):
                todo += item
            elif is_dataclass(item):
                if not all(hasattr(item, field.name) for field in fields(item)):
                    return False
                if isinstance(item, Extent):
                    files.add(item.file)
                todo += (getattr(item, field.name) for field in fields(item))
        return all(_used(Path(file)) if self.holds(file) else os.access(file, os.R_OK) for file in files)

    @contextmanager
    def _staged(self) -> Iterator[tuple[IO[bytes], Path]]:
        """A file to write, and its name until `_publish` gives it its own. Folders are there already but for the first time."""
        with writing(self.root):
            try:
                number, name = mkstemp(dir=self.root / "staging")
            except FileNotFoundError:
                number, name = mkstemp(dir=self.scratch())
            try:
                with os.fdopen(number, "wb") as stream:
                    yield stream, Path(name)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _publish(self, stream: IO[bytes], staged: Path, final: Path) -> None:
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        try:
            staged.rename(final)
        except FileNotFoundError:
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(final)


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turn what a file system says while writing below `where` into an error for a person."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            msg = f"no space left while writing below {where}"
            raise DiskFull(msg, hint="free some space, or set cache.dir in slim.yaml to another disk") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            msg = f"cannot write below {where}: {error.strerror}"
            raise RequirementNotMet(msg, hint="set cache.dir in slim.yaml to a folder that you can write") from error
        raise


def _used(path: Path) -> bool:
    """Whether a file is there; its time becomes that of its last use, before it is read, so that trim.py sees it in time."""
    try:
        os.utime(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:  # somebody else's cache, which we may read
        return path.is_file()
    return True


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        msg = f"not a cache key: {key!r}"
        raise ValueError(msg)
    return key
