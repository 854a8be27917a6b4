"""/etc/ld.so.conf, which only ldconfig reads: used for a supply that has no cache, as if ldconfig had been run there."""

from __future__ import annotations

from fnmatch import fnmatchcase
from posixpath import dirname, join
from typing import TYPE_CHECKING

from slimrun.elf.ldcache import Cached
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.tree.tree import TreeSource

CONF = "/etc/ld.so.conf"
MAX_DEPTH = 8
MAX_CONF = 1 << 20


def folders(tree: TreeSource, path: str = CONF, depth: int = MAX_DEPTH) -> tuple[str, ...]:
    """The folders that the file names, those of its `include`s in their place; `hwcap` lines say nothing any more."""
    found = resolve(tree, path)
    if found is None or found.entry.kind is not Kind.FILE or depth == 0:
        return ()
    with tree.open(found.path) as stream:
        text = stream.read(MAX_CONF).decode("utf-8", "surrogateescape")
    result: list[str] = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] == "hwcap":
            continue
        if words[0] == "include":
            for pattern in words[1:]:
                for file in _glob(tree, join(dirname(path), pattern)):
                    result += folders(tree, file, depth - 1)
        elif words[0].startswith("/"):
            result.append(words[0].partition("=")[0].rstrip("/") or "/")
    return tuple(dict.fromkeys(result))


def names(tree: TreeSource, where: tuple[str, ...], flags: int) -> dict[str, list[Cached]]:
    """Cache lines for the libraries of these folders by file name; the first folder wins."""
    result: dict[str, list[Cached]] = {}
    for folder in where:
        real = resolve(tree, folder)
        for name in tree.children(real.path) if real is not None else ():
            if is_library(name):
                result.setdefault(name, [Cached(name, join(folder, name), flags)])
    return result


def is_library(name: str) -> bool:
    """Whether ldconfig looks at a file of this name."""
    return ".so" in name and name.startswith(("lib", "ld-"))


def _glob(tree: TreeSource, pattern: str) -> list[str]:
    """Files by a pattern in the last component, sorted; ldconfig's glob(3) hides dot files too."""
    folder, _, last = pattern.rpartition("/")
    real = resolve(tree, folder or "/")
    found = tree.children(real.path) if real is not None else ()
    return [join(folder, name) for name in found if fnmatchcase(name, last) and not name.startswith(".")]
