"""/etc/ld.so.cache: read as ld.so does, written so that ld.so and `ldconfig -p` accept it (glibc, sysdeps/generic/dl-cache.h)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.elf.info import ElfInfo
    from slimrun.tree.tree import TreeSource

PATH = "/etc/ld.so.cache"
MAGIC = b"glibc-ld.so.cache1.1"
OLD_MAGIC = b"ld.so-1.7.0"
EXTENSION_MAGIC = 0xEAA42174
TAG_HWCAPS = 1
LITTLE, BIG = 2, 3
# A name in the list of glibc-hwcaps folders is meant, by its number in the low half (dl-cache.h, DL_CACHE_HWCAP_EXTENSION).
HWCAP_EXTENSION = 1 << 62
ISA_LEVEL = 0x3FF << 32
MAX_SIZE = 1 << 25
HEADER, ENTRY = "20sIIB3xI12x", "iIIIQ"
HEADER_SIZE, ENTRY_SIZE = 48, 24

# FLAG_ELF_LIBC6 and the machine's word of sysdeps/generic/ldconfig.h, by e_machine and class.
FLAGS = {
    (62, 64): 0x0303,  # x86-64
    (62, 32): 0x0803,  # x32
    (3, 32): 0x0003,  # i386
    (183, 64): 0x0A03,  # aarch64
    (40, 32): 0x0903,  # arm, hard float
    (22, 64): 0x0403,  # s390x
    (21, 64): 0x0503,  # ppc64le
    (243, 64): 0x1003,  # riscv64, lp64d
}


class Cached(NamedTuple):
    """One line of the cache; `hwcaps` is the glibc-hwcaps folder that it belongs to, "?" a capability bit of older days."""

    name: str
    path: str
    flags: int
    hwcaps: str = ""


def flags_of(info: ElfInfo) -> int:
    """What a cache entry's flags are for a library of this kind; 3 (any ELF of libc 6) where the machine is unknown."""
    return FLAGS.get((info.machine, info.bits), 0x0003)


def read(data: bytes, *, little: bool = True) -> tuple[Cached, ...]:
    """The entries in the file's order; () where the bytes are no cache, as ld.so then does without one."""
    start = data.find(MAGIC, 0, MAX_SIZE) if data.startswith(OLD_MAGIC) else 0
    data = data[max(start, 0) :]
    order = "<" if little else ">"
    if len(data) < HEADER_SIZE or len(data) > MAX_SIZE or not data.startswith(MAGIC):
        return ()
    try:
        _, count, _, _, extension = struct.unpack_from(order + HEADER, data)
        levels = _hwcaps(data, order, extension) if extension else ()
        rows = struct.iter_unpack(order + ENTRY, data[HEADER_SIZE : HEADER_SIZE + count * ENTRY_SIZE])
        return tuple(
            Cached(_text(data, key), _text(data, value), flags, _level(hwcap, levels))
            for flags, key, value, _, hwcap in rows
        )
    except (struct.error, ValueError, IndexError):
        return ()


def write(entries: Iterable[Cached], *, little: bool = True) -> bytes:
    """A cache of these entries; the same bytes for the same set, in any order."""
    order = "<" if little else ">"
    rows = sorted(set(entries), key=_place, reverse=True)
    levels = sorted({row.hwcaps for row in rows if row.hwcaps})
    texts = sorted({text for row in rows for text in (row.name, row.path)} | set(levels))
    at = HEADER_SIZE + len(rows) * ENTRY_SIZE
    offsets: dict[str, int] = {}
    table = b""
    for text in texts:
        offsets[text] = at + len(table)
        table += text.encode("utf-8", "surrogateescape") + b"\0"
    extension = _up(at + len(table), 4) if levels else 0
    out = struct.pack(order + HEADER, MAGIC, len(rows), len(table), LITTLE if little else BIG, extension)
    for row in rows:
        hwcap = HWCAP_EXTENSION | levels.index(row.hwcaps) if row.hwcaps else 0
        out += struct.pack(order + ENTRY, row.flags, offsets[row.name], offsets[row.path], 0, hwcap)
    out += table
    if levels:
        words = struct.pack(f"{order}{len(levels)}I", *(offsets[level] for level in levels))
        out = out.ljust(extension, b"\0")
        out += struct.pack(order + "6I", EXTENSION_MAGIC, 1, TAG_HWCAPS, 0, extension + 24, len(words)) + words
    return out


def regenerate(tree: TreeSource, cached: Iterable[Cached], *, little: bool = True) -> bytes | None:
    """The cache that fits a final tree: of its own entries those that still open, and those of `cached` that do.

    None where the tree has no cache and needs none.
    """
    own = of_tree(tree, little=little)
    kept = [entry for entry in (*(own or ()), *cached) if opens(tree, entry)]
    first: dict[tuple[str, int, str], Cached] = {}
    for entry in kept:
        if entry.hwcaps != "?":
            first.setdefault((entry.name, entry.flags, entry.hwcaps), entry)
    return write(first.values(), little=little) if first or own is not None else None


def opens(tree: TreeSource, entry: Cached) -> bool:
    """Whether the file that a cache entry names is in the tree."""
    found = resolve(tree, entry.path)
    return found is not None and found.entry.kind is Kind.FILE


def of_tree(tree: TreeSource, *, little: bool = True) -> tuple[Cached, ...] | None:
    """The entries of the tree's own cache, None where it has none."""
    entry = tree.stat(PATH)
    if entry is None or entry.kind is not Kind.FILE:
        return None
    with tree.open(PATH) as stream:
        return read(stream.read(MAX_SIZE + 1), little=little)


def order_key(name: str) -> tuple[tuple[int, int], ...]:
    """ld.so's binary search goes by this (dl-cache.c, _dl_cache_libcmp): digits as numbers, above all other characters."""
    key: list[tuple[int, int]] = []
    raw = name.encode("utf-8", "surrogateescape")
    at = 0
    while at < len(raw):
        end = at
        while end < len(raw) and 48 <= raw[end] <= 57:
            end += 1
        if end > at:
            key.append((2, int(raw[at:end])))
            at = end
        else:
            # `char` is signed on x86; on machines where it is not, only names beyond ASCII would differ.
            key.append((1, raw[at] - 256 if raw[at] > 127 else raw[at]))
            at += 1
    return tuple(key)


def _place(entry: Cached) -> tuple[tuple[tuple[int, int], ...], int, str, str, str]:
    # Reversed as a whole: of one name, hwcaps variants come before the plain file, where ld.so ends its search.
    return (order_key(entry.name), entry.flags, entry.hwcaps, entry.name, entry.path)


def _level(hwcap: int, levels: tuple[str, ...]) -> str:
    if hwcap == 0:
        return ""
    if hwcap & ~ISA_LEVEL & ~0xFFFFFFFF != HWCAP_EXTENSION:
        return "?"
    return levels[hwcap & 0xFFFFFFFF]


def _hwcaps(data: bytes, order: str, extension: int) -> tuple[str, ...]:
    magic, count = struct.unpack_from(order + "II", data, extension)
    if magic != EXTENSION_MAGIC:
        return ()
    for number in range(min(count, 64)):
        tag, _, offset, size = struct.unpack_from(order + "4I", data, extension + 8 + 16 * number)
        if tag == TAG_HWCAPS:
            words = struct.unpack_from(f"{order}{min(size, 4096) // 4}I", data, offset)
            return tuple(_text(data, word) for word in words)
    return ()


def _text(data: bytes, offset: int) -> str:
    end = data.index(b"\0", offset)
    return data[offset:end].decode("utf-8", "surrogateescape")


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step * step
