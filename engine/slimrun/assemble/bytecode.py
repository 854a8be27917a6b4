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
from slimrun.tree.entry import Kind, link
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.assemble.compiler import Compiler
    from slimrun.cache.writers import Pack
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

    def note(self, source: str, path: str, entry: Entry, *, alone: bool) -> None:
        """Byte code at `path` for a source, which goes where it is `alone`."""
        self.added[path], self.now[source] = entry, (path, alone)


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
    for source, data in compiled.code:
        alone = mode == "only" and whys[source].rule != "keep"
        path = f"{source}c" if alone else pyc_name(source, compiled.tag)
        shares[owner[source]].note(source, path, pack.add(data), alone=alone)
    now = {source: place for share in shares.values() for source, place in share.now.items()}
    for name, share in shares.items():
        for path, (code, alone) in _aliases(layers[name], whole, now).items():
            there = f"{path}c" if alone else pyc_name(path, compiled.tag)
            share.note(path, there, link(relpath(code, dirname(there))), alone=alone)
    removed = list(pruned.removed)
    for name, share in shares.items():
        for source, (path, alone) in share.now.items():
            why = whys[source]
            whys[path] = Why(rule="bytecode", text=f"byte code of {source}", because=why)
            if alone:
                reason = Why(rule="bytecode", text="prune.bytecode: only", because=why, where=compiler.where)
                removed.append(Removed(path=source, size=whole[source].size, why=reason))
                del whys[source]
        records = _records(layers[name], share, pack)
        gone = (source for source, (_, alone) in share.now.items() if alone)
        layers[name] = layers[name].merge(Tree(share.added), Tree(records)).without(gone)
    there_now = {path for tree in layers.values() for path in tree}
    return replace(
        pruned,
        layers=tuple(layers.items()),
        whys=tuple(sorted(whys.items())),
        removed=tuple(sorted((one for one in removed if one.path not in there_now), key=lambda one: one.path)),
        findings=(*pruned.findings, *compiler.findings),
    )


def _aliases(tree: Tree, whole: Tree, now: Mapping[str, tuple[str, bool]]) -> dict[str, tuple[str, bool]]:
    """Links that are modules too, such as Debian's _sysconfigdata__linux_x86_64-linux-gnu.py, and what they lead to now."""
    links = (path for path, entry in tree.items() if entry.kind is Kind.LINK and path.endswith(".py"))
    leads = {path: found.path for path in links if (found := whole.resolve(path)) is not None}
    return {path: now[real] for path, real in leads.items() if real in now}


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
