"""A finished tree looked at anew: checks 1 to 8 of ELF.md 6.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.elf import output
from slimrun.elf.result import elsewhere, found, in_order, missing, only_before, unmet
from slimrun.elf.walk import Walk, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Extra, Finding, Missing, Root, Unmet
    from slimrun.tree.tree import Tree


def check(
    tree: Tree,
    roots: Sequence[Root],
    *,
    facts: Facts,
    library_path: tuple[str, ...] = (),
    preload: tuple[str, ...] = (),
    also: Sequence[Extra] = (),
    origin: Callable[[str], str] = lambda _: "image",
    supply: Callable[[str], str] = lambda _: "image",
) -> tuple[Missing | Unmet | Finding, ...]:
    """What does not hold in a finished tree: missing libraries, unmet versions, then findings; () where all does.

    `origin` says which layer a path is of, output.BASE for the base's own; `supply` where a file of glibc came from.
    """
    walk = Walk(tree, facts, library_path=library_path, preload=preload)
    runs = list(walk.runs(roots, also))
    lost = tuple(missing(runs, tree, reason))
    places = elsewhere(runs, tree, lost, facts)
    findings = [
        *walk.findings,
        *found(runs),
        *only_before(lost, places),
        *output.families(runs, facts, supply),
        *output.files(tree, walk.folders, frozenset(root.path for root in roots), origin),
        *output.links(tree, origin),
        *output.cache(tree, facts, origin),
    ]
    return (*(one for one in lost if one.name not in places), *unmet(runs, reason), *in_order(findings))
