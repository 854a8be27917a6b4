"""Symbols out of what a recipe keeps, and the wheels' RECORDs brought up to date with it."""

from __future__ import annotations

import csv
import io
from base64 import urlsafe_b64encode
from dataclasses import replace
from posixpath import dirname, normpath
from typing import TYPE_CHECKING

from slimrun.prune.stripped import stripped
from slimrun.tree.content import Extent
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slimrun.cache.store import Cache
    from slimrun.cache.writers import Pack
    from slimrun.elf.facts import Facts
    from slimrun.prune.prune import Pruned
    from slimrun.tree.entry import Entry

LAYERS = ("python", "packages", "wheels", "system")


def strip_layers(pruned: Pruned, pack: Pack, facts: Facts, cache: Cache) -> Pruned:
    """The same result, every ELF file of CPython, wheels and their libraries stripped; `files` stay as they are."""
    layers = tuple(
        (name, _stripped(tree, pack, facts, cache) if name in LAYERS else tree) for name, tree in pruned.layers
    )
    return replace(pruned, layers=layers)


def own_bytes(pruned: Pruned, pack: Pack, holds: Callable[[str], bool]) -> Pruned:
    """The same result with the bytes of all that is kept in the cache, wherever its supplies had theirs (`Cache.holds`)."""

    def kept(path: str, entry: Entry) -> Entry:
        if not isinstance(entry.content, Extent) or holds(entry.content.file):
            return entry
        return pack.keep(path, entry)

    return replace(pruned, layers=tuple((name, tree.map(kept)) for name, tree in pruned.layers))


def _stripped(tree: Tree, pack: Pack, facts: Facts, cache: Cache) -> Tree:
    changed: dict[str, Entry] = {}
    for path, entry in tree.files():
        # Damaged ELF is somebody's test data, and stays as it is.
        if facts.sound(path, entry) is not None and (new := stripped(entry, cache)) is not entry:
            changed[path] = new
    return tree.merge(Tree(changed), Tree(_records(tree, changed, pack)))


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
