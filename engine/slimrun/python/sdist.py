"""A source distribution as a tree: read with suspicion where it lies, its one folder taken for the root.

Formats: `.tar.gz` (PEP 625) and, of older releases, `.zip`; an index takes no others (PEP 527).
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import replace
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, BinaryIO, NoReturn, cast

from slimrun.errors import BadArchive, BadWheel
from slimrun.python.inflate import CHUNK, Inflated
from slimrun.python.zipcheck import BadZip, members
from slimrun.tree.entry import Kind
from slimrun.tree.limited import Limited
from slimrun.tree.tar import plain, take_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.tree.entry import Entry

ENDINGS = (".tar.gz", ".zip")
# The largest sdists of PyPI unpack to less than 2 GiB; what is longer than both is no source.
FREE, RATIO, MOST = 256 << 20, 100, 8 << 30
_KINDS = (Kind.FILE, Kind.DIR, Kind.LINK)
_HINT = "choose another version of it; if it was downloaded, report it to the index"
_DAMAGED = (zlib.error, gzip.BadGzipFile, EOFError)


def open_sdist(file: Path, filename: str, digest: str, cache: Cache) -> Tree:
    """The sources in a file of the cache, whose sha256 is `digest`: modes 0755 or 0644, owner 0:0, `/` its top folder.

    Read once and kept. Raises BadArchive for what is damaged, leads outside, or holds anything but files, folders and links.
    """
    if not filename.endswith(ENDINGS):
        _bad(filename, f"is not a source distribution: neither {' nor '.join(ENDINGS)}")
    key = f"sdist-{digest}"
    with cache.lock(key):
        tree = cache.load_value("sdist", digest)
        if not isinstance(tree, Tree):
            entries = (_zip if filename.endswith(".zip") else _tar)(file, filename, key, cache)
            tree = _plain_modes(_inside(entries, filename))
            cache.save_value("sdist", digest, tree)
    return tree


def _tar(file: Path, filename: str, key: str, cache: Cache) -> dict[str, Entry]:
    limit = min(MOST, max(FREE, RATIO * file.stat().st_size))
    try:
        with cache.pack(key) as pack, gzip.open(file) as stream:
            long = BadArchive(f"{filename} unpacks to more than any source has", hint=_HINT)
            limited = io.BufferedReader(Limited(cast("BinaryIO", stream), limit, long), CHUNK)
            return plain(take_tar(cast("BinaryIO", limited), pack.add, what=filename))
    except _DAMAGED as error:
        msg = f"{filename} cannot be unpacked: {error}"
        raise BadArchive(msg, hint=_HINT) from error
    except BadArchive as error:
        error.hint = error.hint or _HINT
        raise


def _zip(file: Path, filename: str, key: str, cache: Cache) -> dict[str, Entry]:
    with file.open("rb") as stream, cache.pack(key) as pack:
        try:
            found = members(stream)
            if sum(member.size for member in found) > max(FREE, RATIO * file.stat().st_size):
                _bad(filename, f"claims to hold more than {RATIO} times its size")
            return {
                f"/{member.name}": pack.add(
                    cast("BinaryIO", io.BufferedReader(Inflated(stream, member, "", b"", filename), CHUNK)),
                    mode=0o755 if member.executable else 0o644,
                )
                for member in found
            }
        except (BadZip, BadWheel) as error:
            msg = f"{filename}: {str(error).removeprefix(f'{filename}: ')}"
            raise BadArchive(msg, hint=_HINT) from error


def _inside(entries: dict[str, Entry], filename: str) -> Tree:
    """What lies in the one top folder; links must stay in it."""
    tops = {path.split("/")[1] for path in entries}
    if len(tops) != 1:
        _bad(filename, f"holds {len(tops)} things at its top instead of one folder")
    top = f"/{tops.pop()}"
    found: dict[str, Entry] = {}
    for path, entry in entries.items():
        if entry.kind not in _KINDS:
            _bad(filename, f"holds {path}, which is a {entry.kind}")
        if entry.kind is Kind.LINK and _leaves(path.removeprefix(top), entry.target):
            _bad(filename, f"holds {path}, a link out of its folder: {entry.target}")
        if path != top:
            found[path.removeprefix(top)] = replace(entry, inode=entry.inode.removeprefix(top))
        elif entry.kind is not Kind.DIR:
            _bad(filename, "holds a single file")
    _no_file_is_folder(found, filename)
    return Tree(found)


def _no_file_is_folder(found: dict[str, Entry], filename: str) -> None:
    """Refuse a path below a file or a link: where it would be written is what a link says."""
    for path in found:
        above = dirname(path)
        while above != "/":
            if above in found and found[above].kind is not Kind.DIR:
                _bad(filename, f"holds {path} below {above}, which is no folder")
            above = dirname(above)


def _leaves(path: str, target: str) -> bool:
    return target.startswith("/") or normpath(join(dirname(path), target).lstrip("/")).startswith("..")


def _plain_modes(tree: Tree) -> Tree:
    """Owners, times and modes of whoever packed it mean nothing; what may be executed does."""

    def changed(_path: str, entry: Entry) -> Entry:
        mode = 0o777 if entry.kind is Kind.LINK else 0o755 if entry.kind is Kind.DIR or entry.mode & 0o100 else 0o644
        return replace(entry, mode=mode, uid=0, gid=0, xattrs=())

    return tree.map(changed)


def _bad(filename: str, text: str) -> NoReturn:
    msg = f"{filename} {text}"
    raise BadArchive(msg, hint=_HINT)
