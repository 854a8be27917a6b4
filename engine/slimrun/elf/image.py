"""The bytes of one ELF file behind bounds: nothing is read that lies outside the file, and nothing without a cap."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from slimrun.errors import BadElf
from slimrun.why import printable

if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC = b"\x7fELF"
# Headers, .dynsym, .dynstr and the version tables of most libraries lie in the first pages: one read serves them all.
HEAD = 1 << 16
MAX_READ = 1 << 20
# Of ELF.md 6.1: what a name may be at most (PATH_MAX, NAME_MAX), and all names of one file together.
MAX_NAME = 4096
MAX_COMPONENT = 255
MAX_NAMES = 1 << 20
WHOLE_STRTAB = 1 << 17

PT_LOAD = 1


class Segment(NamedTuple):
    """A program header."""

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


class Header(NamedTuple):
    """What is used of the ELF header."""

    ident: bytes
    type: int
    machine: int
    version: int
    phoff: int
    phentsize: int
    phnum: int


class Image:
    """An open file with its header and program headers read and checked; raises BadElf naming `path`."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self.path = path
        self._stream = stream
        self.size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self.head = stream.read(HEAD)
        ident = self.head[:16]
        if len(ident) < 16:
            self.bad("the file is shorter than an ELF header")
        if ident[4] not in (1, 2) or ident[5] not in (1, 2) or ident[6] != 1:
            self.bad(f"unknown class {ident[4]}, byte order {ident[5]} or version {ident[6]}")
        self.bits = 32 * ident[4]
        self.order = "<" if ident[5] == 1 else ">"
        self.header = self._header(ident)
        self.segments = self._segments()
        self._loads = tuple(part for part in self.segments if part.type == PT_LOAD)
        for load in self._loads:
            if load.offset + load.filesz > self.size:
                self.bad(f"a PT_LOAD ends at {load.offset + load.filesz}, the file at {self.size}")

    def bad(self, why: str) -> NoReturn:
        """Give up on this file."""
        msg = f"{self.path}: {why}"
        raise BadElf(
            printable(msg), hint="the file is damaged or hostile; take it out of the selection, or get it anew"
        )

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes of the file."""
        if count > MAX_READ:
            self.bad(f"a table of {count} bytes")
        end = offset + count
        if end <= len(self.head):
            return self.head[offset:end]
        if end > self.size:
            self.bad(f"a table ends at {end}, the file at {self.size}")
        self._stream.seek(offset)
        data = self._stream.read(count)
        if len(data) != count:
            self.bad("the file ends early")
        return data

    def unpack(self, layout: struct.Struct, offset: int) -> tuple[int, ...]:
        """The fields of one record."""
        if offset + layout.size <= len(self.head):
            return layout.unpack_from(self.head, offset)
        return layout.unpack(self.read(offset, layout.size))

    def offset_of(self, address: int, what: str) -> int:
        """Where in the file the loader finds an address, through the PT_LOADs alone; the last mapping wins."""
        load = next((part for part in reversed(self._loads) if 0 <= address - part.vaddr < part.filesz), None)
        if load is None:
            self.bad(f"{what} at address {address:#x} lies in no PT_LOAD")
        return load.offset + address - load.vaddr

    def room_after(self, offset: int) -> int:
        """How many bytes a PT_LOAD holds from this file offset on."""
        ends = [part.offset + part.filesz for part in self._loads if part.offset <= offset < part.offset + part.filesz]
        return max(ends, default=offset) - offset

    def _header(self, ident: bytes) -> Header:
        layout = struct.Struct(self.order + ("16xHHIQQQIHHHHHH" if self.bits == 64 else "16xHHIIIIIHHHHHH"))
        if layout.size > len(self.head):
            self.bad("the ELF header is cut off")
        kind, machine, version, _, phoff, _, _, _, phentsize, phnum, *_ = layout.unpack_from(self.head)
        if version != 1:
            self.bad(f"unknown e_version {version}")
        if phnum == 0xFFFF:
            self.bad("PN_XNUM program headers, which no loader reads")
        return Header(ident, kind, machine, version, phoff, phentsize, phnum)

    def _segments(self) -> tuple[Segment, ...]:
        header = self.header
        if header.phnum == 0:
            return ()
        layout = struct.Struct(self.order + ("IIQQ8xQQQ" if self.bits == 64 else "III4xIIII"))
        if header.phentsize != layout.size:
            self.bad(f"e_phentsize is {header.phentsize}, not {layout.size}")
        rows = layout.iter_unpack(self.read(header.phoff, header.phnum * layout.size))
        if self.bits == 64:
            return tuple(Segment(*row) for row in rows)
        return tuple(Segment(row[0], row[5], row[1], row[2], row[3], row[4], row[6]) for row in rows)


class Strings:
    """A string table; each string is decoded once, whatever number of records points at it."""

    def __init__(self, image: Image, offset: int, size: int) -> None:
        self._image, self._offset, self._size = image, offset, size
        self._table = image.read(offset, size) if size <= WHOLE_STRTAB else None
        self._known: dict[int, str] = {}
        self._budget = MAX_NAMES

    def at(self, index: int, what: str) -> str:
        """The string at `index`; `what` is the record that points at it, for the error."""
        if index not in self._known:
            self._known[index] = self._read(index, what)
        return self._known[index]

    def _read(self, index: int, what: str) -> str:
        if index >= self._size:
            self._image.bad(f"{what} points at {index:#x}, the string table has {self._size:#x} bytes")
        if self._table is not None:
            end = self._table.find(b"\0", index, index + MAX_NAME + 1)
            raw = self._table[index:end] if end >= 0 else b""
        else:
            data = self._image.read(self._offset + index, min(MAX_NAME + 1, self._size - index))
            end = data.find(b"\0")
            raw = data[:end] if end >= 0 else b""
        if end < 0:
            self._image.bad(f"{what} is longer than {MAX_NAME} bytes or does not end")
        self._budget -= len(raw)
        if self._budget < 0:
            self._image.bad(f"the names of the dynamic table exceed {MAX_NAMES} bytes")
        return raw.decode("utf-8", "surrogateescape")
