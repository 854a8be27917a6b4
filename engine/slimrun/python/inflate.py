"""The bytes of one member of a wheel, inflated with suspicion."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, NoReturn

from slimrun.errors import BadWheel
from slimrun.python.zipcheck import DEFLATED
from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    from typing import BinaryIO

    from slimrun.python.zipcheck import Member

CHUNK = 1 << 18
_HINT = "choose another version of it, or build the wheel anew; if it was downloaded, report it to the index"


def bad_wheel(filename: str, text: str) -> BadWheel:
    """The error for a wheel that does not keep to its format."""
    return BadWheel(f"{filename}: {text}", hint=_HINT)


class Inflated(Stream):
    """Inflates a member and counts: neither more nor fewer bytes than both headers claim, and the digest of RECORD."""

    def __init__(self, stream: BinaryIO, member: Member, kind: str, digest: bytes, wheel: str) -> None:
        self._stream, self._member, self._digest, self._wheel = stream, member, digest, wheel
        self._hash = hashlib.new(kind) if kind else None
        self._inflate = zlib.decompressobj(-15) if member.method == DEFLATED else None
        self._at, self._left, self._size, self._crc = member.start, member.packed, 0, 0

    def fill(self, buffer: memoryview) -> int:
        data = self._some(len(buffer))
        if not data:
            self._ended()
            return 0
        self._size += len(data)
        if self._size > self._member.size:
            self._bad(f"{self._member.name} is longer than it claims")
        self._crc = zlib.crc32(data, self._crc)
        if self._hash:
            self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)

    def _some(self, limit: int) -> bytes:
        if self._inflate is None:
            return self._packed(limit)
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._packed(CHUNK)
            try:
                data = self._inflate.decompress(packed, limit)
            except zlib.error as error:
                self._bad(f"{self._member.name} cannot be unpacked: {error}", error)
            if data:
                return data
            if not packed:
                self._bad(f"{self._member.name} is cut off")
        return b""

    def _packed(self, limit: int) -> bytes:
        # The members of a wheel share one file, and may be read in turns.
        self._stream.seek(self._at)
        data = self._stream.read(min(limit, self._left))
        self._at += len(data)
        self._left -= len(data)
        return data

    def _ended(self) -> None:
        unused = self._left or (self._inflate is not None and self._inflate.unused_data)
        if unused or self._size != self._member.size or self._crc != self._member.crc:
            self._bad(f"{self._member.name} has not the size and checksum that it claims")
        if self._hash and self._hash.digest() != self._digest:
            self._bad(f"{self._member.name} is not the file that RECORD lists")

    def _bad(self, text: str, cause: Exception | None = None) -> NoReturn:
        raise bad_wheel(self._wheel, text) from cause
