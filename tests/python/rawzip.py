"""Zip archives written field by field, so that any of them can lie."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A member; what is None is what the data says. Fields with `local_` stand in the local header only."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    crc: int | None = None
    size: int | None = None
    packed: bytes | None = None
    extra: bytes = b""
    local_name: bytes | None = None
    local_size: int | None = None
    local_crc: int | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_extra: bytes = b""
    descriptor: bytes | None = None
    before: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Lies:
    """What is wrong with the archive as a whole."""

    prefix: bytes = b""
    suffix: bytes = b""
    comment: bytes = b""
    before_directory: bytes = b""
    in_directory: bytes = b""
    count: int | None = None
    shift: int = 0
    reorder: bool = False


def write(members: list[Raw], lies: Lies = Lies(), *, zip64: bool = False) -> bytes:
    """The archive's bytes."""
    out = bytearray(lies.prefix)
    central: list[bytes] = []
    for one in members:
        out += one.before
        packed = one.packed
        if packed is None:
            packed = _deflate(one.data) if one.method == 8 else one.data
        crc = zlib.crc32(one.data) if one.crc is None else one.crc
        size = len(one.data) if one.size is None else one.size
        offset = len(out)
        local = (crc, len(packed), size)
        if one.descriptor is not None:
            local = (0, 0, 0)
        local_crc = local[0] if one.local_crc is None else one.local_crc
        local_size = local[2] if one.local_size is None else one.local_size
        name = one.name if one.local_name is None else one.local_name
        method = one.method if one.local_method is None else one.local_method
        flags = one.flags if one.local_flags is None else one.local_flags
        sizes = (local_crc, local[1], local_size, len(name), len(one.local_extra))
        out += struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, flags, method, 0, 33, *sizes)
        out += name + one.local_extra + packed
        if one.descriptor is not None:
            out += one.descriptor or struct.pack("<4sIII", b"PK\x07\x08", crc, len(packed), size)
        sizes = (crc, len(packed), size, len(one.name), len(one.extra))
        rest = (0, 0, 0, one.mode << 16, offset)
        head = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 0x314, 20, one.flags, one.method, 0, 33, *sizes, *rest)
        central.append(head + one.name + one.extra)
    out += lies.before_directory
    begin = len(out)
    if lies.reorder:
        central.reverse()
    out += b"".join(central) + lies.in_directory
    length, count = len(out) - begin, len(members) if lies.count is None else lies.count
    if zip64:
        at = len(out)
        out += struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, begin)
        out += struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    shown = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if zip64 else (count, length, begin + lies.shift)
    out += struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, shown[0], *shown, len(lies.comment)) + lies.comment
    return bytes(out) + lies.suffix


def honest(members: dict[str, bytes]) -> list[Raw]:
    """Members that tell the truth."""
    return [Raw(name=path.encode(), data=data) for path, data in members.items()]


def change(members: list[Raw], index: int, **fields: object) -> list[Raw]:
    """The same members, one of them with other fields."""
    return [replace(one, **fields) if place == index else one for place, one in enumerate(members)]  # type: ignore[arg-type]


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()
