"""Byte code into a pruned image: beside the sources (keep), or in their place (only)."""

from __future__ import annotations

import csv
import io
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from posixpath import dirname, normpath, relpath
from typing import TYPE_CHECKING

from slimrun.prune.pruned import Removed
from slimrun.python.bytecode import pyc_name, sources
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from slimrun.assemble.compiler import Compiler
    from slimrun.cache.store import Pack
    from slimrun.prune.pruned import Pruned
    from slimrun.python.interpreter import Interpreter
    from slimrun.recipe.model import Bytecode
    from slimrun.tree.entry import Entry

# What a recipe copies with `files` stays as it is, and so nobody's sources are lost.
LAYERS = ("python", "packages", "wheels")


@dataclass(slots=True)
class _Layer:
    """One layer's share: byte code by its path, and which path (and whether alone) a source has now."""

    added: dict[str, Entry] = field(default_factory=dict)
    now: dict[str, tuple[str, bool]] = field(default_factory=dict)


def add_bytecode(
    pruned: Pruned, base: Tree, interpreter: Interpreter, mode: Bytecode, compiler: Compiler, pack: Pack
) -> Pruned:
    """The same result with byte code; `base` is the runtime's tree. Raises ImageFailed."""
    layers, whys = dict(pruned.layers), dict(pruned.whys)
    whole = base.without(pruned.hidden).merge(*layers.values())
    owner = {path: name for name in LAYERS for path in sources(layers[name], interpreter)}
    wanted = sorted(path for path, name in owner.items() if whole[path] == layers[name][path])
    compiled = compiler.compile(pruned, whole, wanted)
    shares = {name: _Layer() for name in LAYERS}
    removed = []
    for source, data in compiled.code:
        share, why = shares[owner[source]], whys[source]
        alone = mode == "only" and why.rule != "keep"
        path = f"{source}c" if alone else pyc_name(source, compiled.tag)
        share.added[path], share.now[source] = pack.add(data), (path, alone)
        whys[path] = Why(rule="bytecode", text=f"byte code of {source}", because=why)
        if alone:
            reason = Why(rule="bytecode", text="prune.bytecode: only", because=why, where=compiler.where)
            removed.append(Removed(path=source, size=whole[source].size, why=reason))
            del whys[source]
    for name, share in shares.items():
        records = _records(layers[name], share, pack)
        gone = (source for source, (_, alone) in share.now.items() if alone)
        layers[name] = layers[name].merge(Tree(share.added), Tree(records)).without(gone)
    there = {path for tree in layers.values() for path in tree}
    kept = [item for item in (*pruned.removed, *removed) if item.path not in there]
    return replace(
        pruned,
        layers=tuple(layers.items()),
        whys=tuple(sorted(whys.items())),
        removed=tuple(sorted(kept, key=lambda item: item.path)),
        findings=(*pruned.findings, *compiler.findings),
    )


def _records(tree: Tree, share: _Layer, pack: Pack) -> dict[str, Entry]:
    """The RECORDs of distributions that have byte code now, each .pyc in or after its source's row (PEP 376)."""
    found = {}
    for path, entry in tree.files():
        if not path.endswith(".dist-info/RECORD"):
            continue
        site = dirname(dirname(path))
        rows = [row for row in csv.reader(io.StringIO(entry.read().decode())) if row]
        new: list[list[str]] = []
        for row in rows:
            code, alone = share.now.get(normpath(f"{site}/{row[0]}"), ("", False))
            new += [] if alone else [row]
            new += [_row(relpath(code, site), share.added[code])] if code else []
        if new != rows:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(new)
            found[path] = pack.add(text.getvalue().encode(), mode=entry.mode)
    return found


def _row(name: str, entry: Entry) -> list[str]:
    digest = urlsafe_b64encode(bytes.fromhex(entry.digest)).rstrip(b"=").decode()
    return [name, f"sha256={digest}", str(entry.size)]
