"""The names in the dynamic symbol table, for the few files that are compared by them (libraries without versions)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from slimrun.elf.image import MAGIC, Image
from slimrun.elf.info import Symbols
from slimrun.elf.reader import DT, dynamic_of, strings_of
from slimrun.errors import BadElf
from slimrun.why import printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from slimrun.elf.reader import Dynamic

MAX_SYMBOLS = 1 << 20
CHUNK = 1 << 12
LOCAL, WEAK = 0, 2
NONE = Symbols(imports=frozenset(), exports=frozenset())


def read_symbols(stream: BinaryIO, path: str) -> Symbols:
    """Names imported and exported by the file in `stream`; none where it is not ELF or not dynamic; raises BadElf."""
    if stream.read(4) != MAGIC:
        return NONE
    try:
        image = Image(stream, path)
        dynamic = dynamic_of(image)
        return _symbols(image, dynamic) if DT["DT_SYMTAB"] in dynamic else NONE
    except (OSError, ValueError, OverflowError, struct.error) as error:
        raise BadElf(printable(f"{path}: {error}")) from error


def _symbols(image: Image, dynamic: Dynamic) -> Symbols:
    wide = image.bits == 64
    layout = struct.Struct(image.order + ("IBBH16x" if wide else "I8xBBH"))
    at = image.offset_of(dynamic[DT["DT_SYMTAB"]][-1], "DT_SYMTAB")
    count = min(_count(image, dynamic), image.room_after(at) // layout.size)
    strings = strings_of(image, dynamic)
    imports: set[str] = set()
    exports: set[str] = set()
    weak: set[str] = set()
    for start in range(0, count, CHUNK):
        rows = min(CHUNK, count - start)
        for name, info, _, section in layout.iter_unpack(image.read(at + start * layout.size, rows * layout.size)):
            if name and info >> 4 != LOCAL:
                text = strings.at(name, "a symbol's name")
                (exports if section else imports).add(text)
                if info >> 4 == WEAK and not section:
                    weak.add(text)
    return Symbols(imports=frozenset(imports), exports=frozenset(exports), weak=frozenset(weak))


def _count(image: Image, dynamic: Dynamic) -> int:
    """How many symbols there are: nchain of DT_HASH, else one past the highest that DT_GNU_HASH's chains reach."""
    if DT["DT_HASH"] in dynamic:
        offset = image.offset_of(dynamic[DT["DT_HASH"]][-1], "DT_HASH")
        _, count = image.unpack(struct.Struct(image.order + "II"), offset)
    elif DT["DT_GNU_HASH"] in dynamic:
        count = _gnu_count(image, image.offset_of(dynamic[DT["DT_GNU_HASH"]][-1], "DT_GNU_HASH"))
    else:
        count = 0
    if count > MAX_SYMBOLS:
        image.bad(f"{count} dynamic symbols")
    return count


def _gnu_count(image: Image, at: int) -> int:
    buckets, first, bloom, _ = image.unpack(struct.Struct(image.order + "IIII"), at)
    if buckets > MAX_SYMBOLS or bloom > MAX_SYMBOLS:
        image.bad(f"DT_GNU_HASH of {buckets} buckets")
    table = at + 16 + bloom * (image.bits // 8)
    word = struct.Struct(image.order + "I")
    heads = image.read(table, 4 * buckets)
    last = max((value for (value,) in word.iter_unpack(heads)), default=0)
    if last < first:
        return first
    place = table + 4 * buckets + 4 * (last - first)
    while not image.unpack(word, place)[0] & 1:
        last, place = last + 1, place + 4
    return last + 1
