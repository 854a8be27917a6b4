"""Symbols and debugging sections cut off an ELF file, in pure Python: the same bytes with every backend.

GNU strip is not used: it lays files out anew, and breaks those that patchelf has rewritten without saying so (ELF.md section 5:
4 of 185 wheel files, numpy's OpenBLAS among them). Here no offset moves. The sections that stay are the allocated ones, at
their old numbers, for .dynsym refers to them by number; py-spy and gdb find .bss and .text through them.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import NamedTuple

from slimrun.elf.image import Image
from slimrun.elf.info import ElfType
from slimrun.elf.reader import read_elf
from slimrun.errors import BadElf

SHF_ALLOC, SHF_INFO_LINK = 0x2, 0x40
SHT_NULL, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 0, 3, 4, 8, 9
SHN_LORESERVE = 0xFF00
ALIGN = 8
NAME = ".shstrtab"
# Linkers end a file with padding at most; more than this after the last known byte is a payload (AppImage, PyInstaller).
SLACK = 64


class Section(NamedTuple):
    """A section header; `name` is an offset into the table of names."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a class keeps its section table: the record, and e_shoff and the trailing e_shentsize, e_shnum, e_shstrndx."""

    record: struct.Struct
    offset: struct.Struct
    offset_at: int
    counts_at: int


def strip(data: bytes) -> bytes | None:
    """The file without what no process maps, or None where that is not smaller or not provably the same to a loader.

    Executables and shared libraries only. Facts, versions and build-id are read again from the result, and every byte that a
    process can map, symbol tables among them, is compared.
    """
    try:
        before = read_elf(io.BytesIO(data), "the file")
        if before is None or before.type not in (ElfType.SHARED, ElfType.EXECUTABLE) or before.misaligned:
            return None
        stripped = _cut(data, Image(io.BytesIO(data), "the file"))
        if stripped is None or len(stripped) >= len(data):
            return None
        after = read_elf(io.BytesIO(stripped), "the stripped file")
    except BadElf:
        return None
    return stripped if after == before and _same_mapping(data, stripped) else None


def _same_mapping(data: bytes, stripped: bytes) -> bool:
    """Whether the program headers agree, and all that they cover but the ELF header, which says where the section table is."""
    images = [Image(io.BytesIO(each), "the file") for each in (data, stripped)]
    header = 64 if images[0].bits == 64 else 52
    return images[0].segments == images[1].segments and all(
        stripped.startswith(data[max(header, part.offset) : part.offset + part.filesz], max(header, part.offset))
        for part in images[0].segments
        if part.filesz and part.offset + part.filesz > header
    )


def _cut(data: bytes, image: Image) -> bytes | None:
    layout = _layout(image)
    (table,) = layout.offset.unpack_from(data, layout.offset_at)
    counts = struct.Struct(f"{image.order}HHH")
    size, count, names = counts.unpack_from(data, layout.counts_at)
    if size != layout.record.size or not 0 < count < SHN_LORESERVE or names >= count:
        return None
    if table + count * size > len(data):
        return None
    sections = [Section(*row) for row in layout.record.iter_unpack(data[table : table + count * size])]
    ends = [_end(section) for section in sections]
    mapped = _mapped(image)
    if max(*ends, mapped, table + count * size) + SLACK < len(data):
        return None
    kept = [section if section.flags & SHF_ALLOC else None for section in sections]
    if any(section is not None and _end(section) > mapped for section in kept):
        return None
    while kept and kept[-1] is None:
        kept.pop()
    if not kept:
        return None
    return _join(data, mapped, kept, sections[names], layout, counts)


def _join(
    data: bytes, mapped: int, kept: list[Section | None], names: Section, layout: _Layout, counts: struct.Struct
) -> bytes:
    """The mapped bytes, a table of the kept sections' names, the kept section headers."""
    texts = b"\0"
    rows: list[Section] = []
    for section in kept:
        if section is None:
            rows.append(Section(0, SHT_NULL, 0, 0, 0, 0, 0, 0, 0, 0))
            continue
        rows.append(_renumbered(section._replace(name=len(texts)), kept))
        texts += _name(data, names, section.name) + b"\0"
    rows.append(Section(len(texts), SHT_STRTAB, 0, 0, mapped, len(texts) + len(NAME) + 1, 0, 0, 1, 0))
    texts += NAME.encode() + b"\0"
    table = -(-(mapped + len(texts)) // ALIGN) * ALIGN
    header = bytearray(data[: layout.counts_at + counts.size])
    layout.offset.pack_into(header, layout.offset_at, table)
    counts.pack_into(header, layout.counts_at, layout.record.size, len(rows), len(rows) - 1)
    gap = bytes(table - mapped - len(texts))
    body = memoryview(data)[len(header) : mapped]  # most of the file, which this way is copied once
    return b"".join((header, body, texts, gap, *(layout.record.pack(*row) for row in rows)))


def _renumbered(section: Section, kept: list[Section | None]) -> Section:
    """References to sections that are gone become 0, which means none."""

    def there(number: int) -> int:
        return number if number < len(kept) and kept[number] is not None else 0

    refers = section.type in (SHT_RELA, SHT_REL) or section.flags & SHF_INFO_LINK
    return section._replace(link=there(section.link), info=there(section.info) if refers else section.info)


def _name(data: bytes, names: Section, offset: int) -> bytes:
    table = data[names.offset : names.offset + names.size]
    return table[offset:].partition(b"\0")[0] if offset < len(table) else b""


def _end(section: Section) -> int:
    return section.offset + section.size if section.type not in (SHT_NULL, SHT_NOBITS) else 0


def _mapped(image: Image) -> int:
    """The first byte behind all that a program header covers, the headers themselves included."""
    header = image.header
    ends = [part.offset + part.filesz for part in image.segments if part.filesz]
    return max(64 if image.bits == 64 else 52, header.phoff + header.phnum * header.phentsize, *ends)


def _layout(image: Image) -> _Layout:
    if image.bits == 64:
        return _Layout(struct.Struct(f"{image.order}IIQQQQIIQQ"), struct.Struct(f"{image.order}Q"), 0x28, 0x3A)
    return _Layout(struct.Struct(f"{image.order}10I"), struct.Struct(f"{image.order}I"), 0x20, 0x2E)
