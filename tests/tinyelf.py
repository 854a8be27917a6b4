"""ELF files of a few hundred bytes, with the dynamic table that a row asks for and nothing else."""

from __future__ import annotations

import struct

DT_NEEDED, DT_SONAME, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_RUNPATH = 1, 14, 4, 5, 6, 10, 29
DT_VERSYM, DT_VERDEF, DT_VERNEED = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFE
X86_64 = 62
BASE = 64 + 3 * 56
Wants = tuple[tuple[str, tuple[str, ...]], ...]


def shared(
    *,
    soname: str = "",
    needs: tuple[str, ...] = (),
    runpath: str = "",
    wants: Wants = (),
    offers: tuple[str, ...] = (),
    machine: int = X86_64,
    align: int = 0x1000,
    tail: bytes = b"",
    imports: tuple[str, ...] = (),
    exports: tuple[str, ...] = (),
) -> bytes:
    """A shared library for x86-64; `wants` are versions by library, `offers` those that it defines."""
    return _elf(soname, needs, runpath, "", wants, offers, machine, align, imports, exports) + tail


def program(
    *,
    needs: tuple[str, ...] = ("libc.so.6",),
    interp: str = "/lib64/ld-linux-x86-64.so.2",
    wants: Wants = (),
    machine: int = X86_64,
) -> bytes:
    """A position-independent program for x86-64."""
    return _elf("", needs, "", interp, wants, (), machine, 0x1000)


def _elf(
    soname: str,
    needs: tuple[str, ...],
    runpath: str,
    interp: str,
    wants: Wants,
    offers: tuple[str, ...],
    machine: int,
    align: int,
    imports: tuple[str, ...] = (),
    exports: tuple[str, ...] = (),
) -> bytes:
    strings, rows = b"\0", []

    def index(text: str) -> int:
        nonlocal strings
        strings += text.encode() + b"\0"
        return len(strings) - len(text) - 1

    for tag, text in [(DT_NEEDED, name) for name in needs] + [(DT_SONAME, soname), (DT_RUNPATH, runpath)]:
        if text:
            rows.append((tag, index(text)))
    need = [(index(library), [index(version) for version in versions]) for library, versions in wants]
    defined = [index(version) for version in offers]
    symbols = [(index(name), 0) for name in imports] + [(index(name), 1) for name in exports]
    start = BASE + len(interp) + 1
    at = -(-(start + len(strings)) // 8) * 8
    records = b""
    for tag, table in ((DT_VERNEED, _verneed(need)), (DT_VERDEF, _verdef(defined))):
        if table:
            rows += [(tag, at + len(records)), *([(DT_VERSYM, at)] if tag == DT_VERDEF else [])]
            records += table
    if symbols:
        records = records.ljust(-(-len(records) // 8) * 8, b"\0")
        rows += [(DT_SYMTAB, at + len(records)), (DT_HASH, at + len(records) + 24 * (len(symbols) + 1))]
        records += _symbols(symbols)
    records = records.ljust(-(-len(records) // 8) * 8, b"\0")
    rows += [(DT_STRTAB, start), (DT_STRSZ, len(strings)), (0, 0)]
    table = b"".join(struct.pack("<QQ", *row) for row in rows)
    end = at + len(records) + len(table)
    parts = [_segment(1, 0, end, align), _segment(2, at + len(records), len(table), 8)]
    if interp:
        parts.append(_segment(3, BASE, len(interp) + 1, 1))
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<16sHHIQQQIHHHHHH", ident, 3, machine, 1, 0, 64, 0, 0, 64, 56, len(parts), 64, 0, 0)
    body = (head + b"".join(parts)).ljust(BASE, b"\0") + interp.encode() + b"\0" + strings
    return body.ljust(at, b"\0") + records + table


def _segment(kind: int, offset: int, size: int, align: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, 5, offset, offset, offset, size, size, align)


def _verneed(need: list[tuple[int, list[int]]]) -> bytes:
    """Elf64_Verneed with its Vernaux, one library after another."""
    out = b""
    for number, (library, versions) in enumerate(need):
        size = 16 + 16 * len(versions)
        out += struct.pack("<HHIII", 1, len(versions), library, 16, size if number < len(need) - 1 else 0)
        for place, version in enumerate(versions):
            out += struct.pack("<IHHII", 0, 0, 2, version, 16 if place < len(versions) - 1 else 0)
    return out


def _verdef(names: list[int]) -> bytes:
    """Elf64_Verdef with its Verdaux."""
    last = len(names) - 1
    return b"".join(
        struct.pack("<HHHHIII", 1, 0, number + 1, 1, 0, 20, 28 if number < last else 0) + struct.pack("<II", name, 0)
        for number, name in enumerate(names)
    )


def _symbols(names: list[tuple[int, int]]) -> bytes:
    """Elf64_Sym of functions, section 0 for undefined ones, and a hash table of one bucket, which says how many there are."""
    rows = b"".join(struct.pack("<IBBHQQ", name, 0x12, 0, section, 0, 0) for name, section in names)
    count = len(names) + 1
    return bytes(24) + rows + struct.pack(f"<II{1 + count}I", 1, count, *[0] * (1 + count))
