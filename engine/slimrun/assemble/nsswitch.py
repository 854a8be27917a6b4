"""/etc/nsswitch.conf: how names are looked up, written where there is none, and freed of modules that are not there.

With `myhostname [UNAVAIL=return] files` and no libnss_myhostname a look-up ends there (ELF.md section 3); without the action in
brackets a module that is absent is passed over.
"""

from __future__ import annotations

import re
from posixpath import join
from typing import TYPE_CHECKING

from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.tree.tree import Tree

PATH = "/etc/nsswitch.conf"
DEFAULT = b"passwd: files\ngroup: files\nhosts: files dns\n"
# Inside libc since 2.34; before that their modules come with it.
_INSIDE = frozenset({"files", "dns"})
_WORD = re.compile(r"\[[^\]]*\]|\S+")


def adjusted(tree: Tree) -> bytes | None:
    """The file as it should be, None where it is right."""
    found = tree.resolve(PATH)
    if found is None:
        return DEFAULT
    text = found.entry.read().decode("utf-8", "surrogateescape")
    modules = {name for folder in _folders(tree) for name in tree.children(folder) if name.startswith("libnss_")}
    lines = [_line(line, modules) for line in text.splitlines()]
    if lines == text.splitlines():
        return None
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _line(line: str, modules: set[str]) -> str:
    plain, mark, comment = line.partition("#")
    name, colon, rest = plain.partition(":")
    words = _WORD.findall(rest)
    if not colon or not any(word.startswith("[") for word in words):
        return line
    kept: list[str] = []
    absent = False
    for word in words:
        if not word.startswith("["):
            absent = word not in _INSIDE and f"libnss_{word}.so.2" not in modules
        if not absent:
            kept.append(word)
    if kept == words:
        return line
    return f"{name}: {' '.join(kept) or 'files'}{f' {mark}{comment}' if mark else ''}"


def _folders(tree: Tree) -> list[str]:
    """The library folders of every distribution, Debian's of each architecture among them."""
    tops = [found.path for top in ("/lib", "/usr/lib", "/lib64", "/usr/lib64") if (found := resolve(tree, top))]
    return tops + [join(top, name) for top in tops for name in tree.children(top) if "-linux-gnu" in name]
