"""The bytes of what an image gets: in the cache, without symbols, and the wheels' RECORDs brought up to date with it."""

from __future__ import annotations

import csv
import io
from base64 import urlsafe_b64encode
from posixpath import dirname, normpath
from typing import TYPE_CHECKING

from slimrun.prune.stripped import stripped
from slimrun.tree.content import Extent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.cache.store import Cache
    from slimrun.cache.writers import Pack
    from slimrun.elf.facts import Facts
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree


def keep_layer(tree: Tree, pack: Pack, facts: Facts, cache: Cache, *, strip: bool) -> Tree:
    """The same tree with all its bytes in the cache, wherever its supplies had them; its ELF files without symbols if `strip`."""
    changed: dict[str, Entry] = {}
    copied: dict[str, Entry] = {}
    for path, entry in tree.files():
        # Damaged ELF is somebody's test data, and stays as it is.
        if strip and facts.sound(path, entry) is not None and (new := stripped(entry, pack, cache)) is not entry:
            changed[path] = new
        elif not is_held(entry, cache):
            copied[path] = pack.keep(path, entry)
    new_entries = copied | changed | _records(tree, changed, pack)
    return tree.map(lambda path, entry: new_entries.get(path, entry))


def is_held(entry: Entry, cache: Cache) -> bool:
    """Whether a file's bytes are the cache's own, or slimrun's."""
    return not isinstance(entry.content, Extent) or cache.holds(entry.content.file)


def _records(tree: Tree, changed: Mapping[str, Entry], pack: Pack) -> dict[str, Entry]:
    """The RECORD files that list a changed path, with its new hash and size (PEP 376, PEP 427)."""
    found = {}
    for path, entry in tree.files():
        if not path.endswith(".dist-info/RECORD"):
            continue
        site = dirname(dirname(path))
        rows = list(csv.reader(io.StringIO(entry.read().decode())))
        new = [_row(row, changed.get(normpath(f"{site}/{row[0]}"))) for row in rows if row]
        if new != rows:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(new)
            found[path] = pack.add(text.getvalue().encode(), mode=entry.mode)
    return found


def _row(row: list[str], entry: Entry | None) -> list[str]:
    if entry is None:
        return row
    digest = urlsafe_b64encode(bytes.fromhex(entry.digest)).rstrip(b"=").decode()
    return [row[0], f"sha256={digest}", str(entry.size)]
