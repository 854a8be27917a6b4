"""One path of a file system, and where its bytes are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO

from slimrun.tree.content import Content, Extent, Inline

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(StrEnum):
    """What a path is; the values are the words of `dump()`."""

    FILE = "file"
    DIR = "dir"
    LINK = "symlink"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A path's metadata, and for a file where its bytes are.

    `mode` is the permission bits (setuid, setgid and sticky included); `digest` is the bare sha256 hex of a file's bytes, ""
    where nobody has read them: of what lies in an engine's layers few files are ever looked at. Names of one file (hard links)
    carry the same non-empty `inode`; `target` is a symbolic link's text, never resolved on the host. Times are not kept: every
    layer writes the same one.
    """

    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    digest: str = ""
    target: str = ""
    inode: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    content: Content | None = None

    @property
    def identity(self) -> str:
        """What no other bytes have: the digest, else where they lie, which is a place where nothing changes; "" without bytes."""
        if self.digest or not isinstance(self.content, Extent):
            return self.digest
        return self.content.origin or f"{self.content.file} {self.content.offset} {self.content.size}"

    def known(self) -> Entry:
        """The entry with its digest, for which a file's bytes are read where nobody has read them."""
        if self.digest or self.content is None:
            return self
        total = hashlib.sha256()
        for piece in self.pieces():
            total.update(piece)
        return replace(self, digest=total.hexdigest())

    def same_bytes(self, other: Entry) -> bool:
        """Whether two files hold the same; of others, True."""
        if self.size != other.size or self.identity == other.identity:
            return self.size == other.size
        return self.known().digest == other.known().digest

    def open(self) -> BinaryIO:
        """A seekable reader over a file's bytes."""
        return self._bytes().open()

    def pieces(self) -> Iterator[bytes]:
        """A file's bytes in pieces, as many as `size` says."""
        return self._bytes().pieces()

    def read(self) -> bytes:
        """All bytes of a file."""
        return b"".join(self.pieces())

    def _bytes(self) -> Content:
        if self.content is None:
            msg = f"a {self.kind} has no bytes"
            raise TypeError(msg)
        return self.content

    def facts(self) -> tuple[object, ...]:
        """All that makes two entries the same, wherever their bytes are."""
        head = (self.kind.value, self.mode, self.uid, self.gid, self.identity, self.target, self.inode)
        return (*head, self.device, self.xattrs)

    def row(self) -> tuple[Any, ...]:
        """The fields as plain values, for pickles: a tenth of the time of a dataclass's own."""
        match self.content:
            case Extent(name, offset, size, origin):
                content: Any = (name, offset, size, origin)
            case Inline(data):
                content = data
            case None:
                content = None
        head = (self.kind.value, self.mode, self.uid, self.gid, self.size, self.digest, self.target, self.inode)
        return (*head, self.device, self.xattrs, content)

    def dump(self) -> str:
        """`file 0644 cc55e2ec`, `dir 0755`, `symlink libz.so.1.3`; an owner other than 0:0 and names of one file are added."""
        match self.kind:
            case Kind.FILE:
                text = f"file {self.mode:04o} {(self.digest[:8] or 'unread') if self.size else 'empty'}"
            case Kind.LINK:
                text = f"symlink {self.target}"
            case _:
                text = f"{self.kind} {self.mode:04o}"
        if (self.uid, self.gid) != (0, 0):
            text += f" owner {self.uid}:{self.gid}"
        return f"{text} inode {self.inode}" if self.inode else text


def from_row(row: tuple[Any, ...]) -> Entry:
    """The entry that `Entry.row` told of."""
    kind, mode, uid, gid, size, digest, target, inode, device, xattrs, content = row
    return Entry(
        kind=Kind(kind),
        mode=mode,
        uid=uid,
        gid=gid,
        size=size,
        digest=digest,
        target=target,
        inode=inode,
        device=device,
        xattrs=xattrs,
        content=Extent(*content) if isinstance(content, tuple) else None if content is None else Inline(content),
    )


def file(data: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Entry:
    """A file with these bytes, held in memory."""
    digest = hashlib.sha256(data).hexdigest()
    return Entry(kind=Kind.FILE, mode=mode, uid=uid, gid=gid, size=len(data), digest=digest, content=Inline(data))


def folder(mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Entry:
    """A folder."""
    return Entry(kind=Kind.DIR, mode=mode, uid=uid, gid=gid)


def link(target: str) -> Entry:
    """A symbolic link to `target`, as written."""
    return Entry(kind=Kind.LINK, mode=0o777, target=target)
