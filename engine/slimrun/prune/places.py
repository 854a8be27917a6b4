"""Where paths of a part come to lie on a base whose folders may be links."""

from __future__ import annotations

from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.errors import FileConflict
from slimrun.plan.part import Part
from slimrun.tree.entry import Kind
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.errors import Where
    from slimrun.tree.entry import Entry
    from slimrun.why import Why


def followed(part: Part, base: Tree) -> Part:
    """The same part, each path where the base's folder links lead: `/bin/tool` is `/usr/bin/tool` where /bin is a link.

    An engine that unpacks a layer with `/bin/tool` puts a folder in the link's place, and all that was behind the link is gone.
    Raises FileConflict where a link leads to no folder, or two paths to one place.
    """
    folders: dict[str, str] = {"/": "/"}
    whys = dict(part.whys)
    entries: dict[str, Entry] = {}
    places: dict[str, str] = {}
    for path, entry in part.tree.items():
        place = join(_folder(dirname(path), base, folders, whys[path]), basename(path))
        if entry.kind is Kind.DIR and (below := base.stat(place)) is not None and below.kind is Kind.LINK:
            _folder(path, base, folders, whys[path])
            continue
        if place in entries and not entry.kind is entries[place].kind is Kind.DIR:
            msg = f"{path} and {places[place]} are one place: the runtime has a link on the way"
            raise FileConflict(msg, where=_where(whys[path]), hint="keep one of them")
        entries[place], places[place] = entry, path
    return Part(tree=Tree(entries), whys=tuple(sorted((place, whys[path]) for place, path in places.items())))


def _folder(path: str, base: Tree, known: dict[str, str], why: Why) -> str:
    """The real folder behind a path."""
    todo = []
    while path not in known:
        todo.append(path)
        path = dirname(path)
    real = known[path]
    for path in reversed(todo):
        real = join(real, basename(path))
        entry = base.stat(real)
        if entry is not None and entry.kind is Kind.LINK:
            found = base.resolve(real)
            if found is None or found.entry.kind is not Kind.DIR:
                msg = f"{real} is a link in the runtime to {entry.target}, which is no folder there"
                raise FileConflict(msg, where=_where(why), hint="choose a path outside it")
            real = found.path
        known[path] = real
    return real


def _where(why: Why) -> Where | None:
    return next((step.where for step in why.chain() if step.where), None)
