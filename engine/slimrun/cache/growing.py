"""A file read while it is written: an archive from an engine is indexed and hashed as it comes, not afterwards."""

from __future__ import annotations

import io
import os
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

CHUNK = 1 << 20


class Growing(io.RawIOBase):
    """Reads what `fill` writes to one open file from another thread; a read waits for the bytes it asks for, or the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at, self._size, self._done = file, 0, 0, False
        self._grown = Condition()

    def fill(self, source: BinaryIO) -> None:
        """Write all that is left of `source`; readers see the end when this returns or raises."""
        try:
            while data := source.read(CHUNK):
                self._file.write(data)
                self._file.flush()
                with self._grown:
                    self._size += len(data)
                    self._grown.notify_all()
        finally:
            with self._grown:
                self._done = True
                self._grown.notify_all()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            self._wait(None)
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._wait(self._at + len(buffer))
        count = os.preadv(self._file.fileno(), [buffer], self._at)
        self._at += count
        return count

    def _wait(self, size: int | None) -> None:
        with self._grown:
            self._grown.wait_for(lambda: self._done or (size is not None and self._size >= size))
