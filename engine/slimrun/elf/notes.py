"""PT_NOTE: the build-id, and what a library says that it opens at run time (.note.dlopen)."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from slimrun.elf.info import DlopenNote

if TYPE_CHECKING:
    from collections.abc import Iterator

NT_GNU_BUILD_ID = 3
# systemd's ELF_DLOPEN_METADATA: vendor FDO, JSON of [{feature, description, priority, soname: []}].
NT_FDO_DLOPEN = 0x407C0C0A
MAX_NOTES = 1 << 20


def iterate(data: bytes, order: str, align: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Vendor, type and description of each note; a malformed one ends the walk, as it does for the loader."""
    layout = struct.Struct(order + "III")
    step = 8 if align == 8 else 4
    at = 0
    while at + layout.size <= len(data):
        namesz, descsz, kind = layout.unpack_from(data, at)
        start = _up(at + layout.size + namesz, step)
        if start + descsz > len(data):
            return
        yield data[at + layout.size : at + layout.size + namesz].rstrip(b"\0"), kind, data[start : start + descsz]
        at = _up(start + descsz, step)


def dlopen_notes(desc: bytes) -> tuple[DlopenNote, ...]:
    """The features of one note; () where the JSON is not what the specification says."""
    try:
        rows = json.loads(desc.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return ()
    found = []
    for row in rows if isinstance(rows, list) else ():
        names = row.get("soname") if isinstance(row, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            continue
        feature, text = str(row.get("feature", "")), str(row.get("description", ""))
        priority = str(row.get("priority", "recommended"))
        found.append(DlopenNote(feature, text, priority, tuple(names)))
    return tuple(found)


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step * step
