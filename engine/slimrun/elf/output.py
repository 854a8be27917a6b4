"""What must hold of a finished tree as a whole, whatever its roots need: checks 1 and 4 to 8 of ELF.md 6.3."""

from __future__ import annotations

from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from slimrun.elf import ldcache
from slimrun.elf.family import LIBC, family_of
from slimrun.elf.folders import Hit
from slimrun.elf.info import ElfType
from slimrun.elf.model import Finding, Level
from slimrun.errors import BadElf
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.family import Family
    from slimrun.elf.folders import Folders
    from slimrun.elf.info import ElfInfo
    from slimrun.elf.walk import Run
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree

    Origin = Callable[[str], str]

# What a base itself has wrong is not ours to refuse. Debian's packages link to what they only recommend, and a person's files
# may link to what a volume brings.
BASE = ""
LENIENT = (BASE, "packages", "files")
# Filled when a container starts: a link into them leads nowhere in an image, and is right.
RUN_TIME = ("/proc/", "/dev/", "/sys/", "/run/")


def files(tree: Tree, folders: Folders, roots: frozenset[str], origin: Origin) -> Iterator[Finding]:
    """Checks 1 and 5, for every ELF file; those that begin as ELF and are none are needed by no root, or it would be missing."""
    for path, entry in tree.files():
        try:
            info = folders.facts.facts(path, entry)
        except BadElf as error:
            yield Finding(rule="bad-elf", path=path, text=error.message)
            continue
        if info is None:
            continue
        level = Level.WARNING if origin(path) == BASE else Level.ERROR
        # A file of debugging information has the headers of what it describes, and is nothing that is loaded.
        for load in info.misaligned if info.dynamic or info.type is ElfType.EXECUTABLE else ():
            text = f"the PT_LOAD at {load.offset:#x} is not aligned to the page: no loader maps it"
            yield Finding(rule="misaligned", path=path, text=text, level=level)
        if path not in roots and _is_program(path, entry, info) and not _starts(folders, info):
            text = f"its interpreter {info.interp} is not there, or not for it: it cannot be started"
            yield Finding(rule="no-interpreter", path=path, text=text, level=level)


def links(tree: Tree, origin: Origin) -> Iterator[Finding]:
    """Check 6: a link that dangles; or that climbs above the root, where the kernel stops it, but not everyone who unpacks."""
    for path, entry in tree.items():
        if entry.kind is not Kind.LINK:
            continue
        source = origin(path)
        if _climbs(path, entry.target):
            level = Level.WARNING if source in LENIENT else Level.ERROR
            text = f"leads to {entry.target}, which climbs above the root"
            yield Finding(rule="escaping-link", path=path, text=text, level=level)
        if resolve(tree, path) is None and not normpath(join(dirname(path), entry.target)).startswith(RUN_TIME):
            library = ".so" in path.rpartition("/")[2] and source != BASE
            level = Level.ERROR if library or source not in LENIENT else Level.WARNING
            text = f"leads to {entry.target}, which is not there"
            yield Finding(rule="dangling-link", path=path, text=text, level=level)


def cache(tree: Tree, facts: Facts, origin: Origin) -> Iterator[Finding]:
    """Check 8: every line of the tree's ld.so.cache opens, and leads to a library of the kind that it says."""
    entry = tree.stat(ldcache.PATH)
    lines = ldcache.of_tree(tree)
    level = Level.WARNING if origin(ldcache.PATH) == BASE else Level.ERROR
    if entry is not None and entry.size and not lines:
        text = "is no cache that a loader reads: it does without"
        yield Finding(rule="stale-cache", path=ldcache.PATH, text=text, level=level)
    for line in lines or ():
        found = resolve(tree, line.path)
        if found is None or found.entry.kind is not Kind.FILE:
            text = f"says {line.name} is {line.path}, which is not there"
        elif _flags(facts, found.path, found.entry) != line.flags:
            text = f"says {line.name} is {line.path}, which is no library of that kind"
        else:
            continue
        yield Finding(rule="stale-cache", path=ldcache.PATH, text=text, level=Level.ERROR)


def families(runs: Sequence[Run], facts: Facts, supply: Origin) -> Iterator[Finding]:
    """Check 4: one glibc, one libc and one ld.so of it, out of one `supply`; the tree's own loader decides what is looked at."""
    seen: set[tuple[str, tuple[int, bool, int]]] = set()
    for run in runs:
        loader, target = run.process.loader, run.process.main.hit.info.target
        if loader.linker.musl or (loader.linker.interp, target) in seen:
            continue
        seen.add((loader.linker.interp, target))
        family = family_of(loader.tree, loader.linker, target, facts)
        if family is not None:
            for text in _mixed(family, facts, supply):
                yield Finding(rule="glibc-mixed", path=family.files[LIBC][0], text=text, level=Level.ERROR)


def _mixed(family: Family, facts: Facts, supply: Origin) -> Iterator[str]:
    """By their number, by what its files say of themselves, by where they came from."""
    said: dict[str, str] = {}
    of: dict[str, set[str]] = {}
    for key, paths in family.files.items():
        main = key == LIBC or key.startswith("ld")
        for path in paths:
            builds = of.setdefault(supply(path), set())
            if main:
                identity = facts.banner(family.entries[path]).identity
                said.setdefault(identity, path)
                builds.add(identity)
        if main and len({family.entries[path].known().digest for path in paths}) > 1:
            yield f"there is more than one {key}: {', '.join(paths)}"
    said.pop("", None)
    if len(said) > 1:
        yield f"glibc is mixed: {', '.join(f'{path} is of {identity}' for identity, path in sorted(said.items()))}"
    elif len(of) > 1 and len({frozenset(builds - {""}) for builds in of.values()}) > 1:
        names = ", ".join(sorted(name or "the runtime" for name in of))
        yield f"glibc comes from several places, of which not all tell the build: {names}"


def _is_program(path: str, entry: Entry, info: ElfInfo) -> bool:
    """Whether a file is there to be started; libc.so.6, too, names an interpreter."""
    return bool(info.interp) and bool(entry.mode & 0o111) and ".so" not in path.rpartition("/")[2]


def _starts(folders: Folders, info: ElfInfo) -> bool:
    return isinstance(folders.open_path(info.interp, info.target, "PT_INTERP"), Hit)


def _flags(facts: Facts, path: str, entry: Entry) -> int:
    info = facts.sound(path, entry)
    return ldcache.flags_of(info) if info is not None else -1


def _climbs(path: str, target: str) -> bool:
    """Whether a link's text has more `..` than there are folders above, as far as text tells."""
    depth = 0 if target.startswith("/") else path.count("/") - 1
    for part in target.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False
