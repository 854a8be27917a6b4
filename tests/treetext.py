"""Trees as text, so that a table of them explains its own differences: `tree({"/lib/libz.so.1": "symlink libz.so.1.3"})`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from slimrun.tree.entry import Entry, Kind, file, folder, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping


def tree(rows: Mapping[str, str | bytes]) -> Tree:
    """`file MODE CONTENT`, `dir MODE`, `symlink TARGET`, `char 1:3`; `inode NAME` and `owner 1:2` may follow.

    Bytes are a file's, ELF's with mode 0755.
    """
    return Tree({path: entry(row) for path, row in rows.items()})


def entry(row: str | bytes) -> Entry:
    """One row as an entry."""
    if isinstance(row, bytes):
        return file(row, mode=0o755 if row.startswith(b"\x7fELF") else 0o644)
    kind, *words = shlex.split(row)
    facts = dict(pairwise(words))
    match kind:
        case "symlink":
            found = link(words[0])
        case "dir":
            found = folder(int(words[0], 8) if words else 0o755)
        case "file":
            found = file(words[1].encode() if len(words) > 1 else b"", mode=int(words[0], 8))
        case _:
            major, minor = words[0].split(":") if ":" in words[0] else ("0", "0")
            found = Entry(kind=Kind(kind), device=(int(major), int(minor)))
    if "owner" in facts:
        uid, gid = facts["owner"].split(":")
        found = replace(found, uid=int(uid), gid=int(gid))
    return replace(found, inode=facts.get("inode", ""))


def content(found: Tree) -> dict[str, str]:
    """Path to what is there: the text of a small file, else the line of `dump()`."""
    return {path: item.read().decode() if item.kind is Kind.FILE else item.dump() for path, item in found.items()}
