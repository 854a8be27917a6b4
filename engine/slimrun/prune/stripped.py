"""Stripped files by the content that they were stripped of: images of one base share what costs the most to make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun import __version__
from slimrun.prune.strip import strip
from slimrun.tree.content import Extent

if TYPE_CHECKING:
    from slimrun.cache.store import Cache
    from slimrun.tree.entry import Entry

_KIND = "stripped"
# Raised when `strip` gives other bytes than it did.
REVISION = 1


def stripped(entry: Entry, cache: Cache) -> Entry:
    """The entry with its symbols gone; the same entry where there are none to take, or where that would break the file."""
    entry = entry.known()
    key = f"{entry.digest}-{__version__}-{REVISION}"
    record = cache.load(_KIND, key)
    if record is None or not (record["digest"] == entry.digest or cache.has_blob(record["digest"])):
        data = strip(entry.read())
        record = {"digest": entry.digest, "size": entry.size}
        if data is not None:
            with cache.new_blob() as blob:
                blob.write(data)
            record = {"digest": blob.digest, "size": blob.size}
        cache.save(_KIND, key, record)
    digest, size = record["digest"], record["size"]
    if digest == entry.digest:
        return entry
    return replace(entry, digest=digest, size=size, content=Extent(str(cache.blob_path(digest)), 0, size))
