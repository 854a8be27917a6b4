"""Image layers laid over each other, whiteouts applied (OCI image-spec, layer.md)."""

from __future__ import annotations

from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.errors import BadArchive
from slimrun.tree.entry import Kind
from slimrun.tree.tar import Member, place
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.tree.entry import Entry

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


def apply_layers(layers: Iterable[Iterable[Member]]) -> Tree:
    """The file system that layers make, lowest first.

    An opaque marker hides what lower layers have in its folder, wherever in its own layer it stands; a hard link may name
    a file of a lower layer. Raises BadArchive.
    """
    entries: dict[str, Entry] = {}
    for layer in layers:
        _apply(entries, tuple(layer))
    entries.pop("/", None)
    return Tree(entries)


def _apply(entries: dict[str, Entry], members: tuple[Member, ...]) -> None:
    for member in members:
        folder, name = dirname(member.path), basename(member.path)
        if name == OPAQUE:
            _remove(entries, folder, itself=False)
        elif name.startswith(WHITEOUT):
            _remove(entries, join(folder, _hidden(member.path, name)), itself=True)
    for member in members:
        if basename(member.path).startswith(WHITEOUT):
            continue
        below = entries.get(member.path)
        is_folder = member.entry is not None and member.entry.kind is Kind.DIR
        if below is not None and below.kind is Kind.DIR and not is_folder:
            _remove(entries, member.path, itself=True)
        place(entries, member)


def _hidden(path: str, name: str) -> str:
    hidden = name.removeprefix(WHITEOUT)
    if hidden in ("", ".", ".."):
        msg = f"the whiteout {path} names no file of its folder"
        raise BadArchive(msg)
    return hidden


def _remove(entries: dict[str, Entry], path: str, *, itself: bool) -> None:
    prefix = join(path, "")
    for name in [name for name in entries if name.startswith(prefix)]:
        del entries[name]
    if itself:
        entries.pop(path, None)
