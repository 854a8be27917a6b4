"""A tree as a layer: a tar whose bytes depend on the tree alone (OCI image-spec, layer.md)."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, replace
from posixpath import dirname
from typing import TYPE_CHECKING, Protocol

from slimrun.errors import BytesGone
from slimrun.tree.entry import Entry, Kind, file, folder
from slimrun.tree.tar import XATTR
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.cache.store import Cache

_TYPES = {
    Kind.DIR: tarfile.DIRTYPE,
    Kind.LINK: tarfile.SYMTYPE,
    Kind.CHAR: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer in the cache's blobs: `diff_id` is the bare sha256 hex of its uncompressed tar, `content` the bytes of its files.

    `name` says what it holds: `python`, `wheels`, `files`, `system`; `base` for the runtime's own.
    """

    name: str
    diff_id: str
    content: int


class Writable(Protocol):
    """What takes the bytes of a tar: a file, a blob of the cache."""

    def write(self, data: bytes, /) -> int:
        """Append bytes."""
        ...


def write_layer(tree: Tree, cache: Cache, *, name: str, epoch: int) -> Layer:
    """Write a tree as a layer into the cache.

    Sorted paths, numeric owners without names, every time `epoch` (seconds), pax records only where a value does not fit
    the ustar header; names of one file become hard links to the first of them.
    """
    with cache.new_blob() as blob:
        write_tar(tree, blob, epoch=epoch)
    return Layer(name=name, diff_id=blob.digest, content=tree.size())


def write_tar(tree: Tree, stream: Writable, *, epoch: int) -> None:
    """Write a tree's tar, as `write_layer` does; raises BytesGone for a file that is no longer as long as its entry says."""
    first: dict[Entry, str] = {}
    size = 0
    for path, entry in tree.items():
        info = _info(path, entry, epoch)
        # All facts, not the inode alone: two layers may have given one inode's name to two files.
        same = first.setdefault(replace(entry, content=None), path) if entry.inode else path
        if same != path:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, same.lstrip("/"), 0
        # UTF-8 whatever the locale says.
        size += stream.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if info.size:
            written = sum(map(stream.write, entry.pieces()))
            if written != info.size:
                msg = f"{path} has {written} bytes, not the {info.size} of its entry"
                raise BytesGone(msg, hint="run again; if it stays, `slimrun clean --max-size 0B` empties the cache")
            size += written + stream.write(bytes(-info.size % tarfile.BLOCKSIZE))
    size += stream.write(bytes(2 * tarfile.BLOCKSIZE))
    stream.write(bytes(-size % tarfile.RECORDSIZE))


def with_parents(tree: Tree, below: Tree) -> Tree:
    """The tree with an entry for each folder above its paths: as the file system `below` has it, else 0755, owner 0:0."""
    parents: dict[str, Entry] = {}
    for path in tree:
        parent = dirname(path)
        while parent != "/" and parent not in parents and parent not in tree:
            known = below.stat(parent)
            parents[parent] = known if known is not None and known.kind is Kind.DIR else folder()
            parent = dirname(parent)
    return Tree({**parents, **tree})


def whiteouts(paths: tuple[str, ...]) -> Tree:
    """Markers that hide paths of lower layers."""
    return Tree({f"{dirname(path).rstrip('/')}/.wh.{path.rpartition('/')[2]}": _EMPTY for path in paths})


_EMPTY = file(b"")


def _info(path: str, entry: Entry, epoch: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.type = _TYPES.get(entry.kind, tarfile.REGTYPE)
    info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.uid, entry.gid, epoch
    info.size = entry.size if entry.kind is Kind.FILE else 0
    info.linkname = entry.target
    info.devmajor, info.devminor = entry.device
    info.pax_headers = {XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in entry.xattrs}
    return info
