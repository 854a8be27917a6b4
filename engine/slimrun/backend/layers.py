"""An image whose layers are blobs in the cache → the file system that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.backend.base import Layered
from slimrun.tree.layers import apply_layers
from slimrun.tree.tar import read_tar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.cache.store import Cache
    from slimrun.oci.config import Config
    from slimrun.tree.tar import Member


def read_layers(config: Config, cache: Cache, *, what: str) -> Layered:
    """Read every layer where it lies, one after another, so that memory holds one layer's members; raises BadArchive."""
    sizes: list[int] = []

    def layers() -> Iterator[tuple[Member, ...]]:
        for diff_id in config.diff_ids:
            members = read_tar(cache.blob_path(diff_id), what=f"a layer of {what}")
            sizes.append(sum(member.entry.size for member in members if member.entry))
            yield members

    tree = apply_layers(layers())
    return Layered(config=config, sizes=tuple(sizes), tree=tree)


def cached_layers(config: Config, key: str, cache: Cache, *, what: str) -> Layered:
    """The same, read once and kept in the cache; `key` is the image's digest, bare hex."""
    layered = known_layers(key, cache)
    if layered is None:
        layered = read_layers(config, cache, what=what)
        cache.save_value("layered", key, layered)
    return layered


def known_layers(key: str, cache: Cache) -> Layered | None:
    """What `cached_layers` kept, where its layers are still there."""
    layered = cache.load_value("layered", key)
    whole = isinstance(layered, Layered) and all(map(cache.has_blob, layered.config.diff_ids))
    return layered if whole else None
