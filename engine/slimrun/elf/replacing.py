"""Putting one glibc in the place of another: in every path where the base had a member, or not at all."""

from __future__ import annotations

from dataclasses import replace
from posixpath import basename
from typing import TYPE_CHECKING

from slimrun.elf.family import is_member
from slimrun.tree.resolve import resolve
from slimrun.why import Why

if TYPE_CHECKING:
    from slimrun.elf.attempt import Attempt
    from slimrun.elf.facts import Facts
    from slimrun.elf.family import Family
    from slimrun.tree.tree import Tree


def objection(output: Tree, old: Family, new: Family, facts: Facts) -> str:
    """Why the output's files could not run on another family, "" where they can.

    What is asked of all ELF files but the old family's own: that the new one has every member and version they need.
    """
    if not new.whole:
        return "only a part of it is there, or its ld.so and libc are of different builds"
    own = set(old.entries)
    for path, entry in output.files():
        if path in own:
            continue
        info = facts.sound(path, entry)
        if info is None or not info.dynamic:
            continue
        for need in info.verneed:
            absent = new.lacks(need) if is_member(need.library) and need.library in old.files else ()
            if absent:
                return f"{path} needs {absent[0]} of {need.library}"
    return ""


def lay(attempt: Attempt, old: Family, new: Family, supply: str, why: Why) -> tuple[str, ...]:
    """Put the new family where the old one was; the old one's paths that it has nothing for, which are gone.

    A file keeps its name: where the base has libc.so.6 -> libc-2.31.so, the latter's content is the new libc from then on,
    and every link, also those nobody knows of, goes on working.
    """
    gone: list[str] = []
    for key, paths in old.files.items():
        for path in paths:
            if key in new.files:
                reason = Why(rule="family", text=f"{path} is of {new.identity or supply}, as all of glibc", because=why)
                entry = replace(new.entries[new.files[key][0]], inode="")
                attempt.force(path, entry, supply, reason)
            else:
                attempt.view.remove(path)
                gone.append(path)
    for path in old.links:
        if is_member(basename(path)) and resolve(attempt.view, path) is None:
            attempt.view.remove(path)
            gone.append(path)
    return tuple(sorted(gone))
