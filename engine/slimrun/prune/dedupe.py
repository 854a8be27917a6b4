"""A wheel's own copy of a library that the image has anyway, replaced by a link to the image's (prune.dedupe).

auditwheel puts libraries into `X.libs` under mangled names: psycopg2-binary's libcrypto-fd4a6ce2.so.3 is a second OpenSSL beside
_ssl's, 7.7 MB with its libssl, and looks for certificates where it was built. A link is made only where the image's copy offers
every version and every symbol that the files which use the wheel's take of it; the whole is then resolved anew, and all of it is
given up where that finds anything worse (ELF.md section 0).
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from posixpath import basename, dirname, normpath
from typing import TYPE_CHECKING

from slimrun.elf.versions import Verdict, compare, need_of
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slimrun.elf.facts import Facts
    from slimrun.elf.info import ElfInfo
    from slimrun.elf.model import Closure

_MANGLED = re.compile(r"(lib.+?)(?:-[0-9a-f]{8})+(\.so(?:\.[0-9]+)*)")


def joinable(wheels: Tree, output: Tree, closure: Closure, facts: Facts) -> dict[str, str]:
    """Paths of `wheels` that may be links, and to what of `output`; `closure` is that of the output.

    All that have a namesake are taken for links at first, and what cannot be one is left out until nothing more is: what a
    library that is itself replaced takes of another does not count.
    """
    infos = {path: info for path, entry in wheels.files() if (info := facts.sound(path, entry)) is not None}
    vendored = [path for path in infos if ".libs/" in path]
    own = {edge.name: edge.found for edge in closure.edges if edge.found and edge.found not in wheels}
    found = {}
    for path in vendored:
        target = next((own[name] for name in _plain(basename(path)) if name in own), None)
        if target is not None:
            found[path] = target
    needs: dict[str, set[str]] = {}
    for edge in closure.edges:
        if edge.found:
            needs.setdefault(edge.by, set()).add(edge.found)
    while True:
        # The image's libgssapi brings the image's libkrb5: beside one of the wheel's, each would be handed what the other made.
        kept = {name for path in vendored if path not in found for name in _plain(basename(path))}
        bad = [
            path
            for path, target in found.items()
            if _names(target, needs, closure) & kept
            or not _serves(target, path, _Users(infos, found, wheels, output, facts))
        ]
        if not bad:
            return found
        found = {path: target for path, target in found.items() if path not in bad}


def _names(target: str, needs: Mapping[str, set[str]], closure: Closure) -> set[str]:
    """What a library and all that it needs are asked for as, itself aside."""
    seen, todo = {target}, [target]
    while todo:
        fresh = needs.get(todo.pop(), set()) - seen
        seen |= fresh
        todo += fresh
    return {edge.name for edge in closure.edges if edge.by in seen}


def worse(after: Closure, before: Closure) -> bool:
    """Whether a closure lacks something that another had."""
    lacking = [
        ({one.name for one in closure.missing}, {(one.version, one.library) for one in closure.unmet})
        for closure in (after, before)
    ]
    return not (lacking[0][0] <= lacking[1][0] and lacking[0][1] <= lacking[1][1])


def without_hashes(wheels: Tree, paths: Mapping[str, str]) -> Tree:
    """The RECORDs that list these paths, which are links now, without hash and size of what was there (PEP 376)."""
    found = {}
    for path, entry in wheels.files():
        if not path.endswith(".dist-info/RECORD"):
            continue
        site = dirname(dirname(path))
        rows = [row for row in csv.reader(io.StringIO(entry.read().decode())) if row]
        new = [[row[0], "", ""] if normpath(f"{site}/{row[0]}") in paths else row for row in rows]
        if new != rows:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(new)
            found[path] = file(text.getvalue().encode(), mode=entry.mode)
    return Tree(found)


def _plain(name: str) -> Iterator[str]:
    """What a mangled name may have been: libpq-1d4a2b3c.so.5.17 was libpq.so.5.17, whose SONAME is libpq.so.5."""
    parts = _MANGLED.fullmatch(name)
    if parts is None:
        return
    stem, suffix = parts[1], parts[2]
    while suffix:
        yield stem + suffix
        suffix = suffix.rpartition(".")[0] if suffix != ".so" else ""


@dataclass(frozen=True, slots=True)
class _Users:
    """The wheels' ELF files, those that are links by now aside, and the image's."""

    infos: Mapping[str, ElfInfo]
    links: Mapping[str, str]
    wheels: Tree
    output: Tree
    facts: Facts

    def of(self, path: str) -> list[str]:
        """Who needs the file at a path."""
        names = {basename(path), self.infos[path].soname}
        return [user for user, info in self.infos.items() if user not in self.links and names & {*info.needed}]


def _serves(target: str, path: str, users: _Users) -> bool:
    """Whether the image's library offers every version and symbol that the wheel's users take of the wheel's."""
    system, theirs = users.output[target], users.infos[path]
    info = users.facts.sound(target, system)
    if info is None or info.target != theirs.target or info.refused:
        return False
    symbols = users.facts.symbols
    lacking = symbols(path, users.wheels[path]).exports - symbols(target, system).exports
    for user in users.of(path):
        need = need_of(users.infos[user], basename(path), theirs.soname)
        if need is not None and compare(need, info).verdict not in (Verdict.MET, Verdict.WEAK):
            return False
        if symbols(user, users.wheels[user]).imports & lacking:
            return False
    return True
