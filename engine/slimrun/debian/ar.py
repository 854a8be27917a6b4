"""The `ar` archive around a package's members (deb(5)): where each lies, nothing is unpacked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import BadArchive

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"!<arch>\n"
_HEAD = 60
# Names with a path in them are nothing that dpkg writes, whether or not anybody would unpack them.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
MAX_MEMBERS = 16


@dataclass(frozen=True, slots=True)
class Part:
    """A member: its bytes are `size` from `offset` in the file."""

    name: str
    offset: int
    size: int


def read_ar(file: Path, *, what: str) -> tuple[Part, ...]:
    """The members in file order; raises BadArchive."""
    found: list[Part] = []
    end = file.stat().st_size
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise _bad(what, "is not an ar archive")
        at = len(MAGIC)
        while at < end:
            stream.seek(at)
            head = stream.read(_HEAD)
            name, size = head[:16].decode("ascii", "replace").rstrip(" ").removesuffix("/"), head[48:58].strip(b" ")
            if len(head) != _HEAD or head[58:] != b"`\n" or not re.fullmatch(rb"[0-9]+", size):
                raise _bad(what, "has a damaged member")
            if not _NAME.fullmatch(name) or name in {part.name for part in found} or len(found) == MAX_MEMBERS:
                raise _bad(what, f"has the member {name!r}, which no package has")
            part = Part(name, at + _HEAD, int(size))
            if part.offset + part.size > end:
                raise _bad(what, f"ends inside {name}")
            found.append(part)
            at = part.offset + part.size + part.size % 2
    return tuple(found)


def _bad(what: str, text: str) -> BadArchive:
    return BadArchive(f"{what} {text}", hint="remove it from the cache and run again")
