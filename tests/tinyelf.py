"""ELF files of a few hundred bytes, with the dynamic table that a row asks for and nothing else."""

from __future__ import annotations

import struct

DT_NEEDED, DT_SONAME, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_RUNPATH = 1, 14, 5, 6, 10, 29
X86_64 = 62
BASE = 64 + 3 * 56


def shared(*, soname: str = "", needs: tuple[str, ...] = (), runpath: str = "", tail: bytes = b"") -> bytes:
    """A shared library for x86-64."""
    return _elf(soname, needs, runpath, "", tail)


def program(*, needs: tuple[str, ...] = ("libc.so.6",), interp: str = "/lib64/ld-linux-x86-64.so.2") -> bytes:
    """A position-independent program for x86-64."""
    return _elf("", needs, "", interp, b"")


def _elf(soname: str, needs: tuple[str, ...], runpath: str, interp: str, tail: bytes) -> bytes:
    strings, rows = b"\0", []
    for tag, text in [(DT_NEEDED, name) for name in needs] + [(DT_SONAME, soname), (DT_RUNPATH, runpath)]:
        if text:
            rows.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    start = BASE + len(interp) + 1
    rows += [(DT_STRTAB, start), (DT_STRSZ, len(strings)), (0, 0)]
    at = -(-(start + len(strings)) // 8) * 8
    table = b"".join(struct.pack("<QQ", *row) for row in rows)
    end = at + len(table)
    parts = [_segment(1, 0, end, 0x1000), _segment(2, at, len(table), 8)]
    if interp:
        parts.append(_segment(3, BASE, len(interp) + 1, 1))
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<16sHHIQQQIHHHHHH", ident, 3, X86_64, 1, 0, 64, 0, 0, 64, 56, len(parts), 64, 0, 0)
    body = (head + b"".join(parts)).ljust(BASE, b"\0") + interp.encode() + b"\0" + strings
    return body.ljust(at, b"\0") + table + tail


def _segment(kind: int, offset: int, size: int, align: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, 5, offset, offset, offset, size, size, align)
