"""The Debian packages of a finished image, read from dpkg's own records in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.tree.tree import Tree

# One file for all, as Debian has it, and one a package, as distroless and slimrun have it.
_STATUS, _FOLDER = "/var/lib/dpkg/status", "/var/lib/dpkg/status.d"
_INSTALLED = "installed"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DebianPackage:
    """A package of which files are inside; `source` is the source package's name."""

    name: str
    version: str
    arch: str
    source: str


def debian_packages(tree: Tree) -> tuple[DebianPackage, ...]:
    """All packages that the records name, sorted, each once; a stanza without name or version says nothing."""
    names = [name for name in tree.children(_FOLDER) if not name.endswith(".md5sums")]
    paths = [_STATUS, *(f"{_FOLDER}/{name}" for name in names)]
    files = [path for path in paths if (entry := tree.stat(path)) is not None and entry.kind is Kind.FILE]
    return tuple(sorted({package for path in files for package in _read(tree.read(path).decode("utf-8", "replace"))}))


def _read(text: str) -> Iterator[DebianPackage]:
    for stanza in text.split("\n\n"):
        lines = (line for line in stanza.splitlines() if not line.startswith((" ", "\t")) and ":" in line)
        fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        name, version = fields.get("package", ""), fields.get("version", "")
        there = "status" not in fields or fields["status"].split()[-1:] == [_INSTALLED]
        if name and version and there:
            source = fields.get("source", name).partition(" ")[0]
            yield DebianPackage(name=name, version=version, arch=fields.get("architecture", ""), source=source)
