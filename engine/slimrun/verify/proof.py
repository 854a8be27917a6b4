"""What a finished image is made of, accounted for: each byte has its reason, and is written as it was checked (ELF.md 6.3)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.elf.model import FamilyChoice
from slimrun.elf.output import BASE
from slimrun.elf.walk import SETUID_OR_SETGID
from slimrun.oci.layer import write_tar
from slimrun.tree.entry import Kind
from slimrun.tree.layers import WHITEOUT
from slimrun.tree.tar import plain, read_tar
from slimrun.tree.tree import Tree
from slimrun.verify.model import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slimrun.backend.assembled import Assembled
    from slimrun.cache.store import Cache
    from slimrun.oci.layer import Layer
    from slimrun.prune.pruned import Pruned
    from slimrun.tree.entry import Entry

# Reasons of what was taken out of a supply, and nobody selected; `glibc` is a feature's that fits one build of glibc alone.
PULLED = frozenset({"needed", "hwcaps", "interpreter", "family", "nss", "glibc"})
SHA256 = re.compile(r"[0-9a-f]{64}")
CAPABILITY = "security.capability"
_PROVED = "proved"
_SHOWN = 5


def origin_of(assembled: Assembled, pruned: Pruned) -> Callable[[str], str]:
    """The layer that a path is of; output.BASE for the runtime's own."""
    layers = {path: name for name, tree in pruned.layers for path in tree}
    layers |= dict.fromkeys(dict(assembled.whys), "system")
    return lambda path: layers.get(path, BASE)


def supply_of(assembled: Assembled, pruned: Pruned) -> Callable[[str], str]:
    """Where a file of glibc came from: the supply that was chosen for it, the runtime, or the layer that selects it."""
    origin, whys, family = origin_of(assembled, pruned), dict(pruned.whys), pruned.closure.family
    chosen = family.supply if family.choice in (FamilyChoice.SUPPLY, FamilyChoice.REPLACED) else BASE
    return lambda path: chosen if path in whys and whys[path].rule in PULLED else origin(path)


def provenance(assembled: Assembled, pruned: Pruned) -> Check:
    """Check 9: every file and link that was added has a reason that ends at a line, and every file the digest of its bytes."""
    whys = dict(pruned.whys) | dict(assembled.whys)
    added = {path for _, tree in pruned.layers for path, entry in tree.items() if entry.kind is not Kind.DIR}
    found: list[str] = []
    for path in sorted({*added, *dict(assembled.whys)} & set(assembled.tree)):
        last = [*whys[path].chain()][-1] if path in whys else None
        if last is None or last.where is None:
            found.append(f"{path} has no reason that ends at a line of the recipe")
        entry = assembled.tree[path]
        if entry.kind is Kind.FILE and not SHA256.fullmatch(entry.digest):
            found.append(f"{path} has no digest")
    detail = "; ".join(found[:_SHOWN]) or f"{len(added)} files and links, each with its reason and digest"
    return Check(name="provenance", ok=not found, detail=detail)


def privileges(pruned: Pruned) -> tuple[str, ...]:
    """A warning that names the files, of those that were added, which run with more rights than who starts them has."""
    added = {path: entry for _, tree in pruned.layers for path, entry in tree.files()}
    found = [
        path
        for path, entry in sorted(added.items())
        if entry.mode & SETUID_OR_SETGID or any(name == CAPABILITY for name, _ in entry.xattrs)
    ]
    if not found:
        return ()
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (f"added with set-user-ID, set-group-ID or file capabilities: {', '.join(found[:_SHOWN])}{more}",)


def layers_as_checked(assembled: Assembled, pruned: Pruned, cache: Cache, *, epoch: int) -> Check:
    """Check 10: what lies in the layers is what was checked, byte for byte, and written once more it is the same.

    A layer is read once: its digest is that of all of it, and what it holds is kept by that.
    """
    found: list[str] = []
    own = [layer for layer in assembled.layers if layer.name != "base"]
    known = {layer.diff_id: cache.load_value(_PROVED, layer.diff_id) for layer in own}
    unproved = [layer for layer in own if not isinstance(known[layer.diff_id], Tree)]
    for layer in unproved:
        entries = plain(read_tar(cache.blob_path(layer.diff_id), what=f"the layer {layer.name}"))
        found += _rewritten(layer, entries, epoch)
        known[layer.diff_id] = Tree(entries).map(lambda _, entry: replace(entry, content=None))
    if unproved:
        written = {path: entry for layer in own for path, entry in known[layer.diff_id].items()}
        found += [*_lost(assembled, pruned, written), *_other(assembled, pruned, written)]
    for layer in unproved if not found else ():
        cache.save_value(_PROVED, layer.diff_id, known[layer.diff_id])
    detail = "; ".join(found[:_SHOWN]) or f"{len(own)} layers hold what was checked, and are written the same again"
    return Check(name="layers", ok=not found, detail=detail)


def _rewritten(layer: Layer, entries: dict[str, Entry], epoch: int) -> Iterator[str]:
    again = _Hash()
    write_tar(Tree(entries), again, epoch=epoch)
    if again.hexdigest() != layer.diff_id:
        yield f"the layer {layer.name} is written in other bytes the second time"


def _lost(assembled: Assembled, pruned: Pruned, written: dict[str, Entry]) -> Iterator[str]:
    for path in sorted({path for _, tree in pruned.layers for path in tree} | set(dict(assembled.whys))):
        if path in assembled.tree and path not in written:
            yield f"{path} is in no layer"


def _other(assembled: Assembled, pruned: Pruned, written: dict[str, Entry]) -> Iterator[str]:
    hidden = frozenset(pruned.hidden)
    for path, entry in sorted(written.items()):
        folder, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            if f"{folder}/{name.removeprefix(WHITEOUT)}" not in hidden:
                yield f"a layer hides {folder}/{name.removeprefix(WHITEOUT)}"
        elif not _same(entry, assembled.tree.stat(path)):
            yield f"{path} is not written as it was checked"


def _same(written: Entry, checked: Entry | None) -> bool:
    """Whether all is equal but where the bytes are and which other names they have.

    Of a folder only that it is one: those above what a layer brings are as the layers below have them, and a tree need not
    list them.
    """
    if written.kind is Kind.DIR:
        return checked is None or checked.kind is Kind.DIR
    return checked is not None and _facts(written) == _facts(checked)


def _facts(entry: Entry) -> tuple[object, ...]:
    *head, _inode, device, xattrs, _content = entry.row()
    return (*head, device, xattrs)


class _Hash:
    """A stream that keeps nothing of what is written but its sha256."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """Take bytes."""
        self._hash.update(data)
        return len(data)

    def hexdigest(self) -> str:
        """The digest of all of it."""
        return self._hash.hexdigest()
