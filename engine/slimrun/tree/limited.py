"""A stream that may not be longer than it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    from typing import BinaryIO

    from slimrun.errors import SlimrunError


class Limited(Stream):
    """Passes on at most so many bytes, then raises `error`: a few of a compressed file can become any number."""

    def __init__(self, stream: BinaryIO, limit: int, error: SlimrunError) -> None:
        self._stream, self._left, self._error = stream, limit, error

    def fill(self, buffer: memoryview) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise self._error
        buffer[: len(data)] = data
        return len(data)
