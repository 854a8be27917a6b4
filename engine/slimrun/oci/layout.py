"""OCI image layouts (image-spec 1.1, image-layout.md): a folder, or a tar of one, that holds blobs by digest and an index."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from slimrun.cache.writers import CHUNK
from slimrun.errors import BadArchive, DownloadFailed, ImageNotFound
from slimrun.oci.archive import member
from slimrun.oci.config import read_config
from slimrun.oci.inflate import Checked, CutShort, keep_layer
from slimrun.oci.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    choose,
    read_manifest,
)
from slimrun.tree.folder import read_folder
from slimrun.tree.tar import plain, read_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.oci.config import Config, Pairs
    from slimrun.plan.pins import ImagePin

INDEX = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"
# What `docker load` and `ctr import` name an image by; the spec's own name is only the tag.
_FULL_NAME = "io.containerd.image.name"
_BASE = "org.opencontainers.image.base"
_LEVEL = 6
_VERSION = {"imageLayoutVersion": "1.0.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An image as a layout, ready to be written: small files by path, and the compressed layers, which are blobs of the cache.

    `digest` is the manifest's, bare hex. It depends on the zlib that compressed the layers; the config's does not.
    """

    digest: str
    files: tuple[tuple[str, bytes], ...]
    layers: tuple[Descriptor, ...]


def make_layout(config: Config, tags: Sequence[str], cache: Cache, *, annotations: Pairs = ()) -> Layout:
    """The layout of an image whose layers are blobs of the cache; `annotations` are the manifest's."""
    layers = tuple(compressed(diff_id, cache) for diff_id in config.diff_ids)
    data = config.to_json()
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _plain(Descriptor(digest=config.digest(), size=len(data), media_type=OCI_CONFIG)),
        "layers": [_plain(layer) for layer in layers],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    text = _json(manifest)
    digest = hashlib.sha256(text).hexdigest()
    platform = {"architecture": config.architecture, "os": config.os}
    if config.variant:
        platform["variant"] = config.variant
    one = _plain(Descriptor(digest=digest, size=len(text), media_type=OCI_MANIFEST)) | {"platform": platform}
    names = [{REF_NAME: tag.rpartition(":")[2], _FULL_NAME: tag} for tag in tags]
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [one | {"annotations": name} for name in names] or [one],
    }
    files = (
        ("oci-layout", _json(_VERSION)),
        (_blob(config.digest()), data),
        (_blob(digest), text),
        (INDEX, _json(index)),
    )
    return Layout(digest=digest, files=files, layers=layers)


def base_annotations(base: ImagePin | None) -> Pairs:
    """What a manifest says of the image that another stands on; nothing where its registry's digest is not known."""
    if base is None or not base.manifest:
        return ()
    return ((f"{_BASE}.name", base.reference), (f"{_BASE}.digest", base.manifest))


def layout_chunks(layout: Layout, cache: Cache) -> Iterator[bytes]:
    """The layout as a tar, in pieces."""
    for name, data in layout.files:
        yield from member(name, io.BytesIO(data))
    for digest in dict.fromkeys(layer.digest for layer in layout.layers):
        with cache.blob_path(digest).open("rb") as source:
            yield from member(_blob(digest), source)
    yield bytes(2 * tarfile.BLOCKSIZE)


def compressed(diff_id: str, cache: Cache) -> Descriptor:
    """A layer's gzip, made once and kept as a blob; without name and time, so that equal layers give equal bytes."""
    record = cache.load("gzip", diff_id)
    if record is None or not cache.has_blob(record["digest"]):
        with (
            cache.new_blob() as blob,
            cache.blob_path(diff_id).open("rb") as source,
            gzip.GzipFile("", "wb", _LEVEL, cast("io.BytesIO", blob), mtime=0) as packed,
        ):
            for data in chunks(source):
                packed.write(data)
        record = {"digest": blob.digest, "size": blob.size}
        cache.save("gzip", diff_id, record)
    return Descriptor(digest=record["digest"], size=record["size"], media_type=OCI_LAYER)


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """A stream in pieces."""
    while data := stream.read(CHUNK):
        yield data


def join_index(old: bytes, new: bytes) -> bytes:
    """The new index, and what the old one has under other tags; raises BadArchive where the old one is none."""
    try:
        index, ours = json.loads(old), json.loads(new)
        names = {_ref(item) for item in ours["manifests"]}
        others = [item for item in index["manifests"] if _ref(item) not in names]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"the index.json that is there cannot be read: {error}"
        raise BadArchive(msg, hint="remove it, or name another folder") from error
    return _json(ours | {"manifests": [*others, *ours["manifests"]]})


def open_layout(path: Path) -> Tree:
    """A layout as a tree, from a folder or an uncompressed tar; raises BadArchive."""
    return read_folder(path) if path.is_dir() else Tree(plain(read_tar(path)))


def read_layout(layout: Tree, cache: Cache, *, platform: str, what: str, tag: str = "") -> Config:
    """Take an image out of a layout: its layers become blobs by diff_id, every digest is checked.

    Without a tag the index's only image for the platform is meant. Raises ImageNotFound, BadArchive.
    """
    manifest = _manifest(layout, _tagged(layout, tag, what), platform, what)
    config = read_config(_read(layout, manifest.config, what), what=what)
    if len(config.diff_ids) != len(manifest.layers):
        msg = f"{what} has {len(manifest.layers)} layers, and a config for {len(config.diff_ids)}"
        raise BadArchive(msg)
    for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
        if not cache.has_blob(diff_id):
            _keep(layout, layer, diff_id, cache, f"layer {layer.digest[:12]} of {what}")
    return config


def _keep(layout: Tree, layer: Descriptor, diff_id: str, cache: Cache, what: str) -> None:
    try:
        with _open(layout, layer, what) as stream:
            keep_layer(Checked(chunks(stream), layer, what=what), diff_id, layer, cache, what=what)
    except (DownloadFailed, CutShort) as error:
        msg = f"{what} is not what its name says"
        raise BadArchive(msg, hint="the layout is damaged: make it again") from error


def _tagged(layout: Tree, tag: str, what: str) -> Index:
    """The index, only what has the tag."""
    if f"/{INDEX}" not in layout:
        msg = f"{what} is no OCI layout: it has no {INDEX}"
        raise BadArchive(msg, hint="name a layout's own folder, or use `docker-archive:` for what `docker save` wrote")
    data = layout[f"/{INDEX}"].read()
    index = read_manifest(data, what=what)
    if not isinstance(index, Index):
        msg = f"{what} has an index.json that is no index"
        raise BadArchive(msg)
    if not tag:
        return Index(manifests=tuple(dict.fromkeys(index.manifests)))
    named = [item for item in json.loads(data)["manifests"] if _ref(item) == tag]
    wanted = {str(item["digest"]).removeprefix("sha256:") for item in named}
    if not wanted:
        msg = f"{what} has no image with the tag {tag}"
        raise ImageNotFound(msg)
    return Index(manifests=tuple(item for item in dict.fromkeys(index.manifests) if item.digest in wanted))


def _manifest(layout: Tree, index: Index, platform: str, what: str) -> Manifest:
    """The platform's manifest; an index may stand in the index, as `docker buildx` writes it."""
    if len(index.manifests) == 1 and not index.manifests[0].platform:
        chosen = index.manifests[0]
    else:
        chosen = choose(index, platform, what=what)
    found = read_manifest(_read(layout, chosen, what), what=what)
    if isinstance(found, Index):
        found = read_manifest(_read(layout, choose(found, platform, what=what), what), what=what)
    if isinstance(found, Index):
        msg = f"{what} has an index in an index in an index"
        raise BadArchive(msg)
    return found


def _read(layout: Tree, blob: Descriptor, what: str) -> bytes:
    with _open(layout, blob, what) as stream:
        data = stream.read(blob.size + 1)
    if len(data) != blob.size or hashlib.sha256(data).hexdigest() != blob.digest:
        msg = f"{what}: blob {blob.digest} is not what its name says"
        raise BadArchive(msg)
    return data


def _open(layout: Tree, blob: Descriptor, what: str) -> BinaryIO:
    try:
        return layout.open(f"/{_blob(blob.digest)}")
    except (KeyError, TypeError) as error:
        msg = f"{what} lacks blob {blob.digest}"
        raise BadArchive(msg) from error


def _ref(item: dict[str, Any]) -> str:
    return str((item.get("annotations") or {}).get(REF_NAME, ""))


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest}"


def _plain(item: Descriptor) -> dict[str, Any]:
    return {"mediaType": item.media_type, "digest": f"sha256:{item.digest}", "size": item.size}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
