"""Where a file's bytes are: in memory, or in a file of this machine."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from slimrun.errors import BytesGone
from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 17
_DAMAGED = (
    "if it is the cache's, empty that with `slimrun clean --max-size 0B`; if it is an engine's, pull the image again"
)


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes held in memory: small files that slimrun itself writes, and tests."""

    data: bytes

    def open(self) -> BinaryIO:
        """A seekable reader over the bytes."""
        return io.BytesIO(self.data)

    def pieces(self) -> Iterator[bytes]:
        """All bytes, in one piece."""
        yield self.data


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes `offset` to `offset + size` of a host file: a member of an uncompressed tar, or a whole file.

    `origin` is what nobody has read is known by: the digest of a layer, and a path in it.
    """

    file: str
    offset: int
    size: int
    origin: str = ""

    def open(self) -> BinaryIO:
        """A seekable reader over just these bytes; raises BytesGone where the host file is."""
        with _there(self.file):
            raw = io.FileIO(self.file)
        return io.BufferedReader(_Window(raw, self.offset, self.size))

    def head(self, count: int) -> bytes:
        """The first bytes, without a reader: opening one costs more than this where a file is not read on."""
        return b"".join(self._pieces(min(count, self.size)))

    def pieces(self) -> Iterator[bytes]:
        """All bytes in pieces; raises BytesGone where the host file is, or ends early."""
        return self._pieces(self.size)

    def _pieces(self, left: int) -> Iterator[bytes]:
        with _there(self.file):
            number = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            at = self.offset
            while left:
                with _there(self.file):
                    piece = os.pread(number, min(left, _PIECE), at)
                if not piece:
                    msg = f"{self.file} ends inside what an earlier result points into"
                    raise BytesGone(msg, hint=_DAMAGED)
                at, left = at + len(piece), left - len(piece)
                yield piece
        finally:
            os.close(number)


@contextmanager
def _there(file: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"{file} is gone, which an earlier result points into"
        raise BytesGone(msg, hint="run again: what is gone is made anew") from error
    except OSError as error:
        msg = f"{file} cannot be read, which an earlier result points into: {error.strerror}"
        raise BytesGone(msg, hint=_DAMAGED) from error


class _Window(Stream):
    """A slice of a file as a file of its own."""

    def __init__(self, raw: io.FileIO, offset: int, size: int) -> None:
        self._raw, self._offset, self._size, self._at = raw, offset, size, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            msg = "negative seek position"
            raise ValueError(msg)
        self._at = start + offset
        return self._at

    def fill(self, buffer: memoryview) -> int:
        left = max(0, self._size - self._at)
        view = buffer[:left]
        if not view:
            return 0
        self._raw.seek(self._offset + self._at)
        with _there(str(self._raw.name)):
            count = self._raw.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


Content = Inline | Extent
