"""The members of a `.deb`, decompressed as they are read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from zstandard import ZstdDecompressor, ZstdError

from slimrun.errors import BadArchive
from slimrun.tree.content import Extent
from slimrun.tree.limited import Limited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slimrun.debian.ar import Part

# 128 MiB, what zstd itself reads without being asked for more. Debian compresses with xz, Ubuntu with this.
MAX_WINDOW = 1 << 27
_DAMAGED = (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError, ZstdError)


@contextmanager
def decompressed(file: Path, part: Part, *, limit: int, what: str) -> Iterator[BinaryIO]:
    """A reader over a member's content by the ending of its name; raises BadArchive where it is damaged or too long."""
    ending = part.name.rpartition(".tar")[2]
    try:
        with Extent(str(file), part.offset, part.size).open() as raw, _opened(ending, raw, what) as stream:
            long = BadArchive(f"{what} is longer than any package", hint="use another version of the package")
            yield cast("BinaryIO", io.BufferedReader(Limited(stream, limit, long)))
    except _DAMAGED as error:
        msg = f"{part.name} of {what} cannot be decompressed: {error}"
        raise BadArchive(msg, hint="remove it from the cache and run again") from error


def _opened(ending: str, raw: BinaryIO, what: str) -> BinaryIO:
    match ending:
        case "":
            return raw
        case ".xz" | ".lzma":
            return cast("BinaryIO", lzma.open(raw))
        case ".gz":
            return cast("BinaryIO", gzip.open(raw))
        case ".bz2":
            return cast("BinaryIO", bz2.open(raw))
        case ".zst":
            return cast("BinaryIO", ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(raw))
    msg = f"{what} is compressed in a way that no package is: {ending}"
    raise BadArchive(msg, hint="use another version of the package")
