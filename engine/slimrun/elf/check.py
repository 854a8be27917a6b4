"""A finished tree looked at anew: checks 1 to 8 of ELF.md 6.3."""

from __future__ import annotations

from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from slimrun.elf import ldcache
from slimrun.elf.family import family_of
from slimrun.elf.model import Finding, Level
from slimrun.elf.result import elsewhere, found, in_order, missing, only_before, unmet
from slimrun.elf.walk import Walk, reason
from slimrun.errors import BadElf
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Extra, Missing, Root, Unmet
    from slimrun.elf.walk import Run
    from slimrun.tree.tree import Tree

# Filled when a container starts: a link into them leads nowhere in an image, and is right.
RUN_TIME = ("/proc/", "/dev/", "/sys/", "/run/")


def check(
    tree: Tree,
    roots: Sequence[Root],
    *,
    facts: Facts,
    library_path: tuple[str, ...] = (),
    preload: tuple[str, ...] = (),
    also: Sequence[Extra] = (),
) -> tuple[Missing | Unmet | Finding, ...]:
    """What does not hold in a finished tree: missing libraries, unmet versions, then findings; () where all does."""
    walk = Walk(tree, facts, library_path=library_path, preload=preload)
    runs = list(walk.runs(roots, also))
    lost = tuple(missing(runs, tree, reason))
    places = elsewhere(tree, lost, facts)
    findings = [
        *walk.findings,
        *found(runs),
        *only_before(lost, places),
        *_families(runs, facts),
        *_files(tree, facts),
        *_links(tree),
        *_cache(tree),
    ]
    return (*(one for one in lost if one.name not in places), *unmet(runs, reason), *in_order(findings))


def _families(runs: Sequence[Run], facts: Facts) -> Iterator[Finding]:
    """Check 4: one glibc, as far as its files say; the tree's own loader decides what is looked at."""
    seen: set[tuple[str, tuple[int, bool, int]]] = set()
    for run in runs:
        loader, target = run.process.loader, run.process.main.hit.info.target
        if loader.linker.musl or (loader.linker.interp, target) in seen:
            continue
        seen.add((loader.linker.interp, target))
        family = family_of(loader.tree, loader.linker, target, facts)
        if family is None:
            continue
        said: dict[str, str] = {}
        for key, paths in family.files.items():
            for path in paths if key == "libc.so.6" or key.startswith("ld") else ():
                said.setdefault(facts.banner(family.entries[path]).identity, path)
        said.pop("", None)
        if len(said) > 1:
            text = f"glibc is mixed: {', '.join(f'{path} is of {identity}' for identity, path in sorted(said.items()))}"
            yield Finding(rule="glibc-mixed", path=min(said.values()), text=text, level=Level.ERROR)


def _files(tree: Tree, facts: Facts) -> Iterator[Finding]:
    """Check 5, and files that begin as ELF but are none: no root needs them, or it would be missing."""
    for path, entry in tree.files():
        try:
            info = facts.facts(path, entry)
        except BadElf as error:
            yield Finding(rule="bad-elf", path=path, text=error.message)
            continue
        for load in info.misaligned if info is not None else ():
            text = f"the PT_LOAD at {load.offset:#x} is not aligned to the page: no loader maps it"
            yield Finding(rule="misaligned", path=path, text=text, level=Level.ERROR)


def _links(tree: Tree) -> Iterator[Finding]:
    """Check 6. Links cannot escape: they are resolved inside the root; they can lead nowhere."""
    for path, entry in tree.items():
        if entry.kind is Kind.LINK and resolve(tree, path) is None:
            target = normpath(join(dirname(path), entry.target))
            if not target.startswith(RUN_TIME):
                level = Level.ERROR if ".so" in path.rpartition("/")[2] else Level.WARNING
                yield Finding(
                    rule="dangling-link", path=path, text=f"leads to {entry.target}, which is not there", level=level
                )


def _cache(tree: Tree) -> Iterator[Finding]:
    """Check 8: every line of the tree's ld.so.cache opens."""
    for entry in ldcache.of_tree(tree) or ():
        if not ldcache.opens(tree, entry):
            text = f"says {entry.name} is {entry.path}, which is not there"
            yield Finding(rule="stale-cache", path=ldcache.PATH, text=text, level=Level.ERROR)
