"""A stored layer → its uncompressed tar as a blob: gzip, zstd or plain, told apart by their first bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from typing import TYPE_CHECKING, BinaryIO, NoReturn, cast

import requests

from slimrun.errors import BadArchive, DownloadFailed
from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.cache.store import Cache
    from slimrun.oci.manifest import Descriptor

CHUNK = 1 << 18
# A layer may be this long and this many times its compressed length: 1 GiB of zeros passes, a bomb does not.
_FREE, _RATIO, _MOST = 1 << 30, 100, 64 << 30
# zstd's own default is 128 MiB for each layer that is being read; its levels up to 19 ask for 8.
_ZSTD_WINDOW = 1 << 25
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # bytes 1 to 3; byte 0 is 0x50 to 0x5f (RFC 8878, 3.1.2)


class CutShort(requests.exceptions.ChunkedEncodingError):
    """A blob ended before its size: as when a server breaks off, asking again may help."""


class Checked(Stream):
    """A blob as it arrives, hashed and counted, never longer than its descriptor says."""

    def __init__(self, chunks: Iterable[bytes], blob: Descriptor, *, what: str) -> None:
        self._chunks, self._blob, self._what = iter(chunks), blob, what
        self._hash, self._size, self._left = hashlib.sha256(), 0, memoryview(b"")

    def fill(self, buffer: memoryview) -> int:
        if not self._left:
            self._left = memoryview(self._next())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def finish(self) -> None:
        """Read what is left, then check size and digest; a blob that ended early may be asked for again."""
        while self._next():
            pass
        if self._size < self._blob.size:
            raise CutShort
        if self._hash.hexdigest() != self._blob.digest:
            self._wrong(f"has sha256 {self._hash.hexdigest()}, expected {self._blob.digest}")

    def _next(self) -> bytes:
        data = next(self._chunks, b"")
        self._hash.update(data)
        self._size += len(data)
        if self._size > self._blob.size:
            self._wrong(f"is longer than the {self._blob.size} bytes that its manifest says")
        return data

    def _wrong(self, text: str) -> NoReturn:
        msg = f"{self._what} {text}"
        raise DownloadFailed(msg, hint="run again; if it stays, the registry or a mirror is damaged: do not use it")


def keep_layer(source: Checked, diff_id: str, stored: Descriptor, cache: Cache, *, what: str) -> None:
    """Inflate a layer into the blob `diff_id`; both digests are checked before anything is published.

    Raises BadArchive, DownloadFailed, and what the source raises.
    """
    limit = min(_FREE + _RATIO * stored.size, _MOST)
    broken: Exception | None = None
    with cache.new_blob(expected=diff_id, what=f"{what}, inflated,") as blob:
        try:
            with _inflated(source) as stream:
                while data := stream.read(CHUNK):
                    blob.write(data)
                    if blob.size > limit:
                        msg = f"{what} grows to more than {limit} bytes from {stored.size}"
                        raise BadArchive(msg, hint="it is made to fill disks: do not use this image")
        except (gzip.BadGzipFile, zlib.error, EOFError, _ZstdBroken) as error:
            broken = error
        source.finish()  # of a blob that is cut or damaged, say that, not what its decoder made of it
        if broken is not None:
            msg = f"{what} cannot be inflated: {broken}"
            raise BadArchive(msg) from broken


class _ZstdBroken(Exception):
    """zstandard's own error, under a name that exists before zstandard is loaded."""


def _inflated(source: Checked) -> BinaryIO:
    buffered = io.BufferedReader(source, CHUNK)
    magic = buffered.peek(4)[:4]
    if magic.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=buffered, mode="rb"))  # members one after another, too
    if magic == _ZSTD or magic[1:] == _ZSTD_SKIPPABLE:
        return cast("BinaryIO", _Zstd(buffered))
    return buffered


class _Zstd(Stream):
    """All frames of a zstd stream, whose window is bounded."""

    def __init__(self, source: BinaryIO) -> None:
        import zstandard  # few images have such layers

        self._error = zstandard.ZstdError
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._stream = decoder.stream_reader(source, read_size=CHUNK, read_across_frames=True, closefd=False)

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except self._error as error:
            raise _ZstdBroken(str(error)) from error
