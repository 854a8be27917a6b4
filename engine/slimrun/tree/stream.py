"""Streams of our own: one typed place where Python asks for bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Stream(io.RawIOBase):
    """A stream that is read; a subclass fills a buffer as far as it can, and answers with the count, 0 at the end."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self.fill(memoryview(buffer))

    def fill(self, buffer: memoryview) -> int:
        """Put the next bytes into `buffer`."""
        raise NotImplementedError
