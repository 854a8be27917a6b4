"""Stripped files; large ones by the content that they were stripped of: images of one base share what costs the most to make."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun import __version__
from slimrun.prune.strip import strip
from slimrun.tree.content import Extent

if TYPE_CHECKING:
    from slimrun.cache.store import Cache
    from slimrun.cache.writers import Pack
    from slimrun.tree.entry import Entry

_KIND = "stripped"
# Raised when `strip` or `keep_layer` gives other bytes than it did.
REVISION = 2
# Files that are smaller are stripped in less time than a blob and its record take.
LARGE = 1 << 18


def stripped(entry: Entry, pack: Pack, cache: Cache) -> Entry:
    """The entry with its symbols gone; the same entry where there are none to take, or where that would break the file.

    Large files become blobs of the cache, others go into the pack.
    """
    if entry.size >= LARGE:
        return _remembered(entry, cache)
    data = strip(entry.read())
    return entry if data is None else _with(entry, pack.add(data))


def _remembered(entry: Entry, cache: Cache) -> Entry:
    key = hashlib.sha256(f"{entry.identity} {__version__} {REVISION}".encode("utf-8", "surrogateescape")).hexdigest()
    record = cache.load(_KIND, key)
    if record is None or not (record["digest"] == "" or cache.has_blob(record["digest"])):
        data = strip(entry.read())
        record = {"digest": "", "size": entry.size}
        if data is not None:
            with cache.new_blob() as blob:
                blob.write(data)
            record = {"digest": blob.digest, "size": blob.size}
        cache.save(_KIND, key, record)
    digest, size = record["digest"], record["size"]
    if not digest:
        return entry
    return replace(entry, digest=digest, size=size, content=Extent(str(cache.blob_path(digest)), 0, size))


def _with(entry: Entry, other: Entry) -> Entry:
    """The entry with another one's bytes."""
    return replace(entry, digest=other.digest, size=other.size, content=other.content)
