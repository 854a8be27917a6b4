"""What writes into the cache: a blob by its digest, and a pack of many files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import IO, TYPE_CHECKING, cast

from slimrun.errors import ImageFailed
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase
    from pathlib import Path
    from typing import BinaryIO

    from slimrun.cache.store import Cache

CHUNK = 1 << 20
_PIECE = 1 << 17


class Blob:
    """Counts and hashes what is written to it."""

    def __init__(self, cache: Cache, stream: IO[bytes]) -> None:
        self._cache, self._stream, self._hash = cache, stream, hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """The sha256 hex of the bytes written so far."""
        return self._hash.hexdigest()

    @property
    def path(self) -> Path:
        """Where the blob will be when the block has ended well."""
        return self._cache.blob_path(self.digest)

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        self._hash.update(data)
        self.size += len(data)
        return self._stream.write(data)

    def copy(self, source: BinaryIO) -> None:
        """Append all that is left of a stream."""
        while data := source.read(CHUNK):
            self.write(data)


class Pack:
    """Appends files and returns their entries; the entries' bytes are there once the pack's block has ended."""

    def __init__(self, stream: IO[bytes], final: Path) -> None:
        self._stream, self._final, self._at = stream, str(final), 0
        self._buffer = memoryview(bytearray(_PIECE))

    def add(self, data: bytes | BinaryIO, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Entry:
        """A file with these bytes, or with all that is left of a stream."""
        start, total = self._at, hashlib.sha256()
        for chunk in (data,) if isinstance(data, bytes) else self._pieces(data):
            total.update(chunk)
            self._at += self._stream.write(chunk)
        size = self._at - start
        content = Extent(self._final, start, size)
        return Entry(kind=Kind.FILE, mode=mode, uid=uid, gid=gid, size=size, digest=total.hexdigest(), content=content)

    def keep(self, path: str, entry: Entry) -> Entry:
        """The same entry with its digest, its bytes in this pack; raises ImageFailed where they are no longer those it had."""
        if not isinstance(entry.content, Extent):
            return entry
        with entry.open() as stream:
            copy = self.add(stream)
        if copy.size != entry.size or entry.digest not in ("", copy.digest):
            msg = f"{entry.content.file} changed while it was copied to {path}"
            raise ImageFailed(msg, hint="run again when nothing writes to it")
        return replace(entry, digest=copy.digest, content=copy.content)

    def _pieces(self, data: BinaryIO) -> Iterator[memoryview]:
        """What is left of a stream, piece by piece in one buffer, which stays in the processor's cache."""
        while count := cast("BufferedIOBase", data).readinto(self._buffer):
            yield self._buffer[:count]
