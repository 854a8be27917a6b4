"""Trees out of tar files: members are read where they lie, nothing is unpacked.

Format: POSIX.1-2001 pax with the GNU extensions, as tarfile reads it; xattrs as `SCHILY.xattr.` pax records.
"""

from __future__ import annotations

import hashlib
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from slimrun.errors import BadArchive
from slimrun.tree.content import Extent, Inline
from slimrun.tree.entry import Entry, Kind
from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

XATTR = "SCHILY.xattr."
MAX_MEMBERS = 1_000_000
# PATH_MAX with its NUL, and NAME_MAX.
MAX_PATH, MAX_PART = 4096, 255
# A sparse member's size costs its writer nothing, and its bytes are held in memory.
MAX_SPARSE = 1 << 28
_CHUNK = 1 << 20
_PIECE = 1 << 17
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIR,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.CHRTYPE: Kind.CHAR,
    tarfile.BLKTYPE: Kind.BLOCK,
    tarfile.FIFOTYPE: Kind.FIFO,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One tar member: its absolute path, and either an entry or the path of the member that it is a hard link to."""

    path: str
    entry: Entry | None
    same_as: str = ""


def read_tar(file: Path, *, what: str = "") -> tuple[Member, ...]:
    """The members of an uncompressed tar on disk, in file order, with digests; raises BadArchive."""
    with _reading(what or str(file)), file.open("rb") as raw, _open(raw) as archive:
        return tuple(
            _member(info, lambda info: _lying(file, raw, archive, info)) for info in _capped(archive, what or str(file))
        )


def take_tar(
    stream: BinaryIO, put: Callable[[BinaryIO], Entry], *, what: str, skip: Callable[[str], bool] = lambda _: False
) -> tuple[Member, ...]:
    """The members of an uncompressed tar as it arrives, in its order; raises BadArchive.

    Each file's bytes are given to `put`, which answers with their entry, before the next header is read. Members whose absolute
    path `skip` picks, and hard links to them, are passed over: their bytes are read and dropped.
    """
    found, skipped = [], set()
    forward = _Forward(stream)
    with _reading(what), _open(cast("BinaryIO", forward)) as archive:
        for info in _capped(archive, what):
            path = absolute(info.name)
            if skip(path) or (info.type == tarfile.LNKTYPE and absolute(info.linkname) in skipped):
                skipped.add(path)
                continue
            found.append(_member(info, lambda info: put(_arriving(archive, forward, info))))
        if forward.last.strip(b"\0") or not forward.last:
            msg = "it ends before its end mark"
            raise tarfile.ReadError(msg)
    return tuple(found)


def plain(members: Iterable[Member]) -> dict[str, Entry]:
    """Path to entry for a tar without whiteouts: later names win, hard links share an inode; raises BadArchive."""
    entries: dict[str, Entry] = {}
    for member in members:
        place(entries, member)
    entries.pop("/", None)
    return entries


def place(entries: dict[str, Entry], member: Member) -> None:
    """Put a member over what is there already; a hard link's target must be there."""
    if member.entry is not None:
        entries[member.path] = member.entry
        return
    first = entries.get(member.same_as)
    if first is None or first.kind is not Kind.FILE:
        msg = f"hard link {member.path} names {member.same_as}, which is not a file before it in the archive"
        raise BadArchive(msg)
    shared = replace(first, inode=first.inode or member.same_as)
    entries[member.same_as] = entries[member.path] = shared


def absolute(name: str) -> str:
    """A member's name as an absolute path; raises BadArchive for one that leads upwards, or is too long to be one."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) >= MAX_PATH or any(len(part) > MAX_PART for part in raw.split(b"/")):
        msg = f"archive member {name[:60]!r}… has a name that no file system takes"
        raise BadArchive(msg)
    if ".." in parts or "\0" in name:
        msg = f"archive member {name!r} leads out of the archive"
        raise BadArchive(msg)
    return "/" + "/".join(parts)


class _Info(tarfile.TarInfo):
    """A header that is damaged is an error wherever it stands: tarfile takes one behind the first member for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            info = super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error
        # tarfile takes a size that is no number for 0, and before Python 3.11.14 goes backwards over a negative one, for ever.
        if info.size < 0 or not info.pax_headers.get("size", "0").isdecimal():
            msg = f"{info.name} has a size that is none"
            raise tarfile.ReadError(msg)
        return info


class _Forward:
    """A stream that cannot seek, for tarfile, which goes only forwards when each member is read as it comes."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._at, self._waste = source, 0, memoryview(bytearray(_PIECE))
        self.last = b""

    def read(self, size: int) -> bytes:
        self.last = self._source.read(size)
        self._at += len(self.last)
        return self.last

    def readinto(self, buffer: memoryview) -> int:
        count = cast("io.BufferedIOBase", self._source).readinto(buffer)
        self._at += count
        return count

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> int:
        if offset < self._at:
            msg = "its members overlap"
            raise tarfile.ReadError(msg)
        while self._at < offset and self.readinto(self._waste[: offset - self._at]):
            pass
        return self._at


class _Arriving(Stream):
    """The bytes of one member as they come, each read once, without a copy between the stream and the reader's buffer."""

    def __init__(self, stream: _Forward, info: tarfile.TarInfo) -> None:
        self._stream, self._left, self._name = stream, info.size, info.name

    def fill(self, buffer: memoryview) -> int:
        count = self._stream.readinto(buffer[: self._left]) if self._left else 0
        if self._left and not count:
            msg = f"it ends inside {self._name}"
            raise tarfile.ReadError(msg)
        self._left -= count
        return count


def _arriving(archive: tarfile.TarFile, stream: _Forward, info: tarfile.TarInfo) -> BinaryIO:
    whole = archive.extractfile(info) if info.issparse() else _Arriving(stream, info)
    return cast("BinaryIO", whole)


def _capped(archive: tarfile.TarFile, what: str) -> Iterator[tarfile.TarInfo]:
    for count, info in enumerate(archive):
        if count >= MAX_MEMBERS:
            msg = f"{what} has more than {MAX_MEMBERS} members"
            raise BadArchive(msg)
        yield info


def _open(stream: BinaryIO) -> tarfile.TarFile:
    """UTF-8 whatever the locale says: names are part of what is digested."""
    return tarfile.open(fileobj=stream, mode="r:", tarinfo=_Info, encoding="utf-8", errors="surrogateescape")


def _member(info: tarfile.TarInfo, content: Callable[[tarfile.TarInfo], Entry]) -> Member:
    path = absolute(info.name)
    if info.type == tarfile.LNKTYPE:
        return Member(path, None, absolute(info.linkname))
    kind = _KINDS.get(info.type)
    if kind is None:
        msg = f"archive member {path} has the unknown type {info.type!r}"
        raise BadArchive(msg)
    if info.issparse() and info.size > MAX_SPARSE:
        msg = f"archive member {path} is sparse and {info.size} bytes long, more than {MAX_SPARSE}"
        raise BadArchive(msg)
    entry = content(info) if kind is Kind.FILE else Entry(kind=kind)
    xattrs = tuple(
        (name.removeprefix(XATTR), value.encode("utf-8", "surrogateescape"))
        for name, value in sorted(info.pax_headers.items())
        if name.startswith(XATTR)
    )
    return Member(
        path,
        replace(
            entry,
            mode=0o777 if kind is Kind.LINK else info.mode & 0o7777,
            uid=info.uid,
            gid=info.gid,
            target=info.linkname if kind is Kind.LINK else "",
            device=(info.devmajor, info.devminor) if kind in (Kind.CHAR, Kind.BLOCK) else (0, 0),
            xattrs=xattrs,
        ),
    )


def _lying(file: Path, raw: BinaryIO, archive: tarfile.TarFile, info: tarfile.TarInfo) -> Entry:
    if info.issparse():
        source = archive.extractfile(info)
        data = source.read() if source else b""
        return Entry(kind=Kind.FILE, size=len(data), digest=hashlib.sha256(data).hexdigest(), content=Inline(data))
    at = raw.tell()
    raw.seek(info.offset_data)
    total, left = hashlib.sha256(), info.size
    while left and (data := raw.read(min(left, _CHUNK))):
        total.update(data)
        left -= len(data)
    raw.seek(at)
    if left:
        msg = f"archive ends inside {info.name}"
        raise BadArchive(msg)
    content = Extent(str(file), info.offset_data, info.size)
    return Entry(kind=Kind.FILE, size=info.size, digest=total.hexdigest(), content=content)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OverflowError, UnicodeError, ValueError, RecursionError) as error:
        msg = f"{what or 'the archive'} is not a tar that can be read: {error}"
        raise BadArchive(msg) from error
