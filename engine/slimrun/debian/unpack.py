"""Pinned packages → trees: what `dpkg` would have unpacked, and what images need of what maintainer scripts would have done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.debian.deb import open_deb
from slimrun.debian.effects import effects
from slimrun.debian.explain import explain
from slimrun.debian.overlay import overlay
from slimrun.debian.usrmerge import merged, top_links
from slimrun.errors import NotCached, SlimrunError
from slimrun.events import Progress
from slimrun.fetch.http import Wanted
from slimrun.tree.entry import Kind
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.cache.store import Cache
    from slimrun.debian.archive import Archive
    from slimrun.debian.deb import Deb
    from slimrun.debian.pins import DebPin
    from slimrun.events import Emit
    from slimrun.recipe.model import Text

THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """Packages as trees.

    `named` is what the recipe's packages ship, `dependencies` everything else, the links of merged /usr (/lib → usr/lib)
    included; no path is in both unless it is a folder. `owner` has (package, version) of each path but those links, and
    `whys` the reason of every path, which ends at the recipe's line.
    """

    named: Tree
    dependencies: Tree
    owner: Mapping[str, tuple[str, str]]
    whys: Mapping[str, Why]


def open_packages(pins: Sequence[DebPin], archive: Archive, *, asked: Sequence[Text] = ()) -> Unpacked:
    """Download what the cache has not, and lay the packages over each other; `asked` are the recipe's lines, for reasons.

    Raises BadArchive, FileConflict, DownloadFailed, IndexUnreachable, and NotCached where the archive is offline.
    """
    pins = sorted(pins)
    try:
        _have(pins, archive)
        debs = _open(pins, archive.cache, archive.emit)
        return lay(debs, asked, frozenset(pin.name for pin in pins if pin.named))
    except SlimrunError as error:
        error.where = error.where or (asked[0].where if asked else None)
        raise


def lay(debs: Sequence[Deb], asked: Sequence[Text], named: frozenset[str]) -> Unpacked:
    """Opened packages over each other, in the order of names; raises FileConflict."""
    trees = {deb.name: merged(deb.tree, what=str(deb.name)) for deb in debs}
    placed = overlay(debs, trees)
    entries = {path: entry for path, (_, entry) in placed.items()}
    owner = {path: name for path, (name, _) in placed.items()}
    for name, path, entry in effects(debs, trees, entries):
        entries[path], owner[path] = entry, name
    links = top_links(trees.values())
    reasons, versions = explain(debs, asked, named), {deb.name: deb.version for deb in debs}
    line = Why(rule="recipe", text=asked[0].text, where=asked[0].where) if asked else None
    merge = Why(rule="debian", text="merged /usr, as on every Debian since bullseye", because=line)
    # Folders are shared: each side has those that its own packages ship.
    folders = {name: {path for path in tree if entries[path].kind is Kind.DIR} for name, tree in trees.items()}
    of_named = {path for name in named & folders.keys() for path in folders[name]}
    of_others = {path for name in folders.keys() - named for path in folders[name]}
    ours = {path for path, entry in entries.items() if entry.kind is not Kind.DIR and owner[path] in named}
    theirs = {path for path, entry in entries.items() if entry.kind is not Kind.DIR and owner[path] not in named}
    return Unpacked(
        named=Tree({path: entries[path] for path in ours | of_named}),
        dependencies=Tree({path: entries[path] for path in theirs | of_others}).merge(links),
        owner={path: (owner[path], versions[owner[path]]) for path in sorted(owner)},
        whys={path: reasons[owner[path]] if path in owner else merge for path in sorted({*owner, *links})},
    )


def _open(pins: Sequence[DebPin], cache: Cache, emit: Emit) -> list[Deb]:
    """Several at a time: decompression is nearly all of the work, and goes on without the interpreter's lock."""
    pool, debs = ThreadPoolExecutor(THREADS), []
    try:
        for deb in pool.map(lambda pin: open_deb(pin, cache), pins):
            debs.append(deb)
            emit(Progress(what="Debian packages", done=len(debs), total=len(pins), unit="packages"))
    finally:
        pool.shutdown(cancel_futures=True)
    return debs


def _have(pins: Sequence[DebPin], archive: Archive) -> None:
    missing = [pin for pin in pins if not archive.cache.has_blob(pin.sha256)]
    if missing and archive.offline:
        msg = f"the cache has not: {', '.join(f'{pin.name} {pin.version}' for pin in missing)}"
        raise NotCached(msg, hint="run once without --offline")
    names = {pin.sha256: f"{pin.name} {pin.version}" for pin in missing}
    archive.download([Wanted(url=pin.url, sha256=pin.sha256, size=pin.size, name=names[pin.sha256]) for pin in missing])
