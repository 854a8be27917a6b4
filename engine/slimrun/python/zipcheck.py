"""A zip archive read so strictly that no other reader can see another one in the same bytes.

Every byte belongs to a member or to the directory, each member's two headers agree, names are plain and occur once.
Otherwise a wheel can show one content to a scanner and another to an installer (CVE-2025-54368). APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import io
import re
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

EOCD, EOCD64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
CENTRAL, LOCAL, DESCRIPTOR = b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08"
MAX_MEMBERS = 200_000
MAX_DIRECTORY = 64 << 20
MAX_NAME, MAX_PART = 4096, 255
STORED, DEFLATED = 0, 8
HAS_DESCRIPTOR, IS_UTF8 = 0x8, 0x800
# Compression hints, descriptor, UTF-8; the others (encryption, patches, masked headers) are nothing a wheel needs.
KNOWN_FLAGS = 0x6 | HAS_DESCRIPTOR | IS_UTF8
UNICODE_PATH = 0x7075  # a second name, which some readers prefer
_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\\]+")


class BadZip(ValueError):
    """What is wrong with an archive, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive; `start` is where its compressed bytes begin, sizes are what both headers claim."""

    name: str
    size: int
    packed: int
    crc: int
    method: int
    executable: bool
    start: int


@dataclass(frozen=True, slots=True)
class _Header:
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int


def members(stream: BinaryIO) -> tuple[Member, ...]:
    """The files (folders are left out) in archive order; raises BadZip. Nothing is inflated."""
    begin, length, count = _directory(stream)
    data = _at(stream, begin, length)
    headers: list[_Header] = []
    place = 0
    for _ in range(count):
        header, place = _central(data, place)
        headers.append(header)
    if place != length:
        _bad("its directory has bytes that belong to no member")
    headers.sort(key=lambda one: one.offset)
    found: list[Member] = []
    seen: set[str] = set()
    ends = {0}
    for header in headers:
        if header.offset not in ends:
            _bad("it has bytes that belong to no member")
        start, ends = _local(stream, header)
        name = checked_name(header)
        if name.rstrip("/") in seen:
            _bad(f"it has {name!r} twice")
        seen.add(name.rstrip("/"))
        if not name.endswith("/"):
            found.append(
                Member(
                    name=name,
                    size=header.size,
                    packed=header.packed,
                    crc=header.crc,
                    method=header.method,
                    executable=bool(header.mode & 0o111),
                    start=start,
                )
            )
        elif header.size:
            _bad(f"the folder {name!r} has bytes")
    if begin not in ends:
        _bad("it has bytes that belong to no member")
    _no_file_is_folder(member.name for member in found)
    return tuple(found)


def checked_name(header: _Header) -> str:
    """A member's name: relative, normalised, without control characters; raises BadZip."""
    try:
        name = header.raw.decode("utf-8" if header.flags & IS_UTF8 else "ascii")
    except UnicodeDecodeError:
        _bad(f"the name {header.raw!r} has an encoding that readers disagree about")
    parts = name.removesuffix("/").split("/")
    if not _PLAIN.fullmatch(name) or any(part in ("", ".", "..") for part in parts) or re.match(r"[A-Za-z]:", name):
        _bad(f"the name {name!r} leads outside, or is not a plain path")
    if len(header.raw) > MAX_NAME or any(len(part.encode()) > MAX_PART for part in parts):
        _bad(f"the name {name[:60]!r}… is too long")
    kind = stat.S_IFMT(header.mode)
    if kind not in (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG):
        _bad(f"{name!r} is a {'symbolic link' if kind == stat.S_IFLNK else 'special file'}")
    return name


def _directory(stream: BinaryIO) -> tuple[int, int, int]:
    """Where the central directory begins, its length, and how many members it has."""
    size = stream.seek(0, io.SEEK_END)
    if size < 22 or _at(stream, size - 22, 4) != EOCD:
        _bad("it does not end as a zip archive without comment does")
    disk, start_disk, here, count, length, begin, comment = struct.unpack("<HHHHIIH", _at(stream, size - 18, 18))
    if disk or start_disk or here != count or comment:
        _bad("it has several parts, or a comment")
    end = size - 22
    if end >= 20 and _at(stream, end - 20, 4) == LOCATOR64:
        first, at64, disks = struct.unpack("<IQI", _at(stream, end - 16, 16))
        if first or disks != 1 or at64 > end - 76 or _at(stream, at64, 4) != EOCD64:
            _bad("its zip64 directory is damaged")
        fields = struct.unpack("<QHHIIQQQQ", _at(stream, at64 + 4, 52))
        if fields[0] + 12 != end - 20 - at64 or fields[3] or fields[4] or fields[5] != fields[6]:
            _bad("its zip64 directory is damaged")
        both = ((count, fields[6], _FULL16), (length, fields[7], _FULL32), (begin, fields[8], _FULL32))
        if any(old not in (new, full) for old, new, full in both):
            _bad("its two directories disagree")
        count, length, begin, end = fields[6], fields[7], fields[8], at64
    if begin + length != end:
        _bad("its directory is not where it says")
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        _bad(f"it has more than {MAX_MEMBERS} members")
    return begin, length, count


def _central(data: bytes, at: int) -> tuple[_Header, int]:
    if data[at : at + 4] != CENTRAL or len(data) < at + 46:
        _bad("its directory is damaged")
    fields = struct.unpack("<HHHHHHIIIHHHHHII", data[at + 4 : at + 46])
    flags, method, crc, packed, size = fields[2], fields[3], fields[6], fields[7], fields[8]
    name_size, extra_size, comment_size, disk, mode, offset = *fields[9:13], fields[14] >> 16, fields[15]
    name_end = at + 46 + name_size
    extra = data[name_end : name_end + extra_size]
    end = name_end + extra_size + comment_size
    if end > len(data) or disk:
        _bad("its directory is damaged")
    packed, size, offset = _widened(extra, size, packed, offset)
    return _Header(data[at + 46 : name_end], flags, method, crc, packed, size, offset, mode), end


def _local(stream: BinaryIO, header: _Header) -> tuple[int, set[int]]:
    """Where the member's bytes begin, and where it may end: a descriptor comes in four forms, of which one must fit."""
    shown = header.raw.decode("utf-8", "replace")
    head = _at(stream, header.offset, 30)
    if head[:4] != LOCAL:
        _bad(f"{shown!r} is not where the directory says")
    _, flags, method, _, _, crc, packed, size, name_size, extra_size = struct.unpack("<HHHHHIIIHH", head[4:])
    name = _at(stream, header.offset + 30, name_size)
    extra = _at(stream, header.offset + 30 + name_size, extra_size)
    packed, size, _ = _widened(extra, size, packed, 0)
    if flags & ~KNOWN_FLAGS or method not in (STORED, DEFLATED) or (method == STORED and header.size != header.packed):
        _bad(f"{shown!r} is encrypted, or packed in a way that wheels do not use")
    sizes = (crc, packed, size)
    late = bool(flags & HAS_DESCRIPTOR) and sizes == (0, 0, 0)
    true = (header.crc, header.packed, header.size)
    if (name, flags, method) != (header.raw, header.flags, header.method) or (sizes != true and not late):
        _bad(f"the two headers of {shown!r} disagree")
    start = header.offset + 30 + name_size + extra_size
    end = start + header.packed
    if not flags & HAS_DESCRIPTOR:
        return start, {end}
    layouts = ("<III", "<IQQ") if max(true) <= _FULL32 else ("<IQQ",)
    forms = [mark + struct.pack(layout, *true) for mark in (DESCRIPTOR, b"") for layout in layouts]
    ends = {end + len(form) for form in forms if _at(stream, end, len(form), short=True) == form}
    if not ends:
        _bad(f"the sizes after {shown!r} are not those of the directory")
    return start, ends


def _widened(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Packed size, size and offset, with zip64's values where the 32 bits are full."""
    values: list[int] = []
    at, seen = 0, set()
    # Up to three bytes of padding after the last field are common (zipalign).
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if len(body) != length or kind in seen or kind == UNICODE_PATH:
            _bad("a member's extra field is damaged, or names it a second time")
        seen.add(kind)
        if kind == 1:
            values = [number for (number,) in struct.iter_unpack("<Q", body[: length // 8 * 8])]
        at += 4 + length
    found = []
    for old in (size, packed, offset):
        if old == _FULL32:
            if not values:
                _bad("a member's zip64 sizes are missing")
            old = values.pop(0)
        found.append(old)
    return found[1], found[0], found[2]


def _no_file_is_folder(names: Iterable[str]) -> None:
    files = set(names)
    for name in sorted(files):
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if (folder := "/".join(parts[:depth])) in files:
                _bad(f"{folder!r} is a file and a folder")


def _at(stream: BinaryIO, offset: int, length: int, *, short: bool = False) -> bytes:
    stream.seek(offset)
    data = stream.read(length)
    if len(data) != length and not short:
        _bad("it is cut off")
    return data


def _bad(text: str) -> NoReturn:
    raise BadZip(text)
