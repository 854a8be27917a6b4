"""docker-archive: the tar that `docker save` writes and `docker load` reads."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import suppress
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from slimrun.cache.writers import CHUNK
from slimrun.errors import BadArchive
from slimrun.oci.config import MAX_CONFIG, Config, read_config

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import BinaryIO

    from slimrun.cache.store import Cache

_MANIFEST = "manifest.json"


def archive_chunks(
    config: Config, tags: Sequence[str], cache: Cache, *, without: Collection[str] = ()
) -> Iterator[bytes]:
    """The archive of an image whose layers are blobs in the cache, in pieces; the bytes depend on config and tags alone.

    `without` names layers by diff_id whose bytes are left out: only for who has them.
    """
    data, digest = config.to_json(), config.digest()
    layers = [f"{diff_id}/layer.tar" for diff_id in config.diff_ids]
    manifest = [{"Config": f"{digest}.json", "RepoTags": list(tags), "Layers": layers}]
    for diff_id in dict.fromkeys(item for item in config.diff_ids if item not in without):
        with cache.blob_path(diff_id).open("rb") as source:
            yield from member(f"{diff_id}/layer.tar", source)
    for name, text in ((f"{digest}.json", data), (_MANIFEST, json.dumps(manifest).encode())):
        yield from member(name, io.BytesIO(text))
    yield bytes(2 * tarfile.BLOCKSIZE)


def read_archive(stream: BinaryIO, cache: Cache, *, what: str) -> Config:
    """Take an image out of a docker-archive as it arrives, and answer with its config.

    Every layer becomes a blob; the config says which digests they must have. `what` names the image in errors. Raises BadArchive.
    """
    small: dict[str, bytes] = {}
    blobs: dict[str, str] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
            for info in archive:
                name = normpath(info.name)
                if info.issym() or info.islnk():
                    base = dirname(name) if info.issym() else ""
                    links[name] = normpath(join(base, info.linkname))
                source = archive.extractfile(info) if info.isreg() else None
                if source is None:
                    continue
                if info.size < MAX_CONFIG:
                    small[name] = source.read()
                with cache.new_blob() as blob:
                    blob.write(small[name]) if name in small else blob.copy(source)  # type: ignore[arg-type]
                blobs[name] = blob.digest
        (entry,) = json.loads(small[_MANIFEST])
        config = read_config(small[normpath(entry["Config"])], what=what)
        layers = [_find(normpath(name), blobs, links) for name in entry["Layers"]]
    except KeyError as error:
        msg = f"{what} is no docker-archive: it has no {error.args[0]}"
        raise BadArchive(msg, hint="name a file that `docker save` wrote; an OCI layout is named `oci:`") from error
    except (tarfile.TarError, EOFError, ValueError, TypeError) as error:
        msg = f"the archive of {what} cannot be read: {error}"
        raise BadArchive(msg) from error
    if tuple(layers) != config.diff_ids:
        msg = f"the archive of {what} has other layers than its config says"
        raise BadArchive(msg)
    return config


def _find(name: str, blobs: dict[str, str], links: dict[str, str]) -> str:
    with suppress(KeyError):  # engines before 25 write a layer that occurs twice as a link
        name = links[name]
    return blobs[name]


def member(name: str, source: BinaryIO) -> Iterator[bytes]:
    """A file of an archive, in pieces: no owner, no time; a pax header only for a file beyond 8 GiB."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = source.seek(0, io.SEEK_END), 0o644, 0
    source.seek(0)
    yield info.tobuf(tarfile.PAX_FORMAT)
    while data := source.read(CHUNK):
        yield data
    yield bytes(-info.size % tarfile.BLOCKSIZE)
