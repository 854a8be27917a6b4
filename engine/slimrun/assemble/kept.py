"""Layers by the tree that they were written of: a catalog writes the one that its images share once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun import __version__
from slimrun.oci.layer import Layer, write_layer
from slimrun.plan.digest import digest_of

if TYPE_CHECKING:
    from slimrun.cache.store import Cache
    from slimrun.tree.tree import Tree

_KIND = "layer"
# Raised when a layer of the same tree is written in other bytes than it was.
REVISION = 1


def kept_layer(tree: Tree, cache: Cache, *, name: str, epoch: int) -> Layer:
    """What `write_layer` gives, out of the cache where it has the layer."""
    key = digest_of((__version__, REVISION, tree, epoch))
    record = cache.load(_KIND, key)
    if record is not None and cache.has_blob(record["diff_id"]):
        return Layer(name=name, diff_id=record["diff_id"], content=record["content"])
    layer = write_layer(tree, cache, name=name, epoch=epoch)
    cache.save(_KIND, key, {"diff_id": layer.diff_id, "content": layer.content})
    return layer
