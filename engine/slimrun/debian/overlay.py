"""Many packages in one file system: who owns a path that two of them ship."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.debian.relation import parse_relations, satisfies
from slimrun.errors import FileConflict
from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.debian.deb import Deb
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree

SHOWN = 5


def overlay(debs: Sequence[Deb], trees: Mapping[str, Tree]) -> dict[str, tuple[str, Entry]]:
    """Path to (package, entry); folders are shared, and the first package by name says their mode.

    A file of two packages is the one's that replaces the other (deb-control(5), Replaces); else all such files are one
    FileConflict. Diversions (dpkg-divert(1)) are made by scripts and are not seen: a conflict then, never a silent choice.
    """
    placed: dict[str, tuple[str, Entry]] = {}
    known = {deb.name: deb for deb in debs}
    clashes: list[str] = []
    for deb in sorted(debs, key=lambda deb: deb.name):
        for path, entry in trees[deb.name].items():
            name, other = placed.get(path, ("", entry))
            if not name:
                placed[path] = (deb.name, entry)
            elif entry.kind is Kind.DIR and other.kind is Kind.DIR:
                continue
            elif replaces(deb, known[name]):
                placed[path] = (deb.name, entry)
            elif not replaces(known[name], deb):
                clashes.append(f"{path} of {name} and of {deb.name}")
    if clashes:
        more = f", and {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        msg = f"packages ship the same files: {'; '.join(sorted(clashes)[:SHOWN])}{more}"
        raise FileConflict(msg, hint="leave one of them out")
    return placed


def replaces(upper: Deb, lower: Deb) -> bool:
    """Whether `upper` may overwrite files of `lower`, by name or by what it provides."""
    groups = parse_relations(upper.field("Replaces"), what=upper.name)
    provided = [one for group in parse_relations(lower.field("Provides"), what=lower.name) for one in group]
    return any(
        (one.name == lower.name and one.admits(lower.version))
        or any(given.name == one.name and satisfies(given, one) for given in provided)
        for group in groups
        for one in group
    )
