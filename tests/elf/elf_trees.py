"""Whole distributions with their own loaders as oracles: what .ci/trees unpacks below SLIMRUN_TEST_TREES."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_bench import LD_SO, HostTree, Ours

from slimrun.elf import inspect
from slimrun.elf.folders import Folders
from slimrun.elf.versions import Verdict
from slimrun.errors import BadElf
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slimrun.elf.process import Process

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# A root of its own, with pairs of a path here and a path there bound into it.
ENTER = """
root=$1 script=$2
shift 2
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  shift 2
done
shift
exec chroot "$root" /bin/sh -c "$script" sh "$@"
"""
# For each file its loader's own words (ELF.md 4.1: `--list` gives up on what is missing, this does not).
TRACE = f"""
while read -r file; do
  echo "== $file"
  LD_TRACE_LOADED_OBJECTS=1 {LD_SO} "$file" 2>&1
done
"""
NOT_FOUND = re.compile(r"^\t(\S+) => not found", re.M)
FOUND = re.compile(r"^\t(?:\S+ => )?(/\S+) \(0x", re.M)
VERSION = re.compile(r": version `([^']+)' not found \(required by ([^)]+)\)", re.M)
WEAK = re.compile(r": weak version `([^']+)' not found \(required by ([^)]+)\)", re.M)
UNVERSIONED = re.compile(r"^[^:\n]+: ([^:\n]+): no version information available \(required by ([^)]+)\)", re.M)
ERROR = re.compile(r"error while loading shared libraries: (.*)")
Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Said:
    """What a loader says of one file: real paths; names not found; what is wrong with versions, each with who asks."""

    loaded: frozenset[str]
    missing: frozenset[str]
    versions: Pairs
    weak: Pairs
    unversioned: Pairs
    error: bool


@dataclass
class Distro:
    """One unpacked distribution; `binds` are paths of the host by where they stand in it instead."""

    name: str
    root: Path
    binds: dict[str, Path] = field(default_factory=dict)

    def with_(self, binds: Mapping[str, Path]) -> Distro:
        """The same with other folders or files bound over its own: at /mnt, over /etc/ld.so.cache."""
        return Distro(self.name, self.root, {**self.binds, **binds})

    def sh(self, script: str, *words: str, stdin: str = "", **env: str) -> str:
        """What a shell inside prints; where it fails, that too."""
        pairs = [text for path, place in self.binds.items() for text in (str(place), path)]
        argv = ["unshare", "-r", "-m", "/bin/sh", "-ec", ENTER, "sh", str(self.root), script, *pairs, "--", *words]
        given = stdin.encode("utf-8", "surrogateescape")
        done = subprocess.run(argv, env={"PATH": PATH, **env}, input=given, capture_output=True, check=False)
        text = done.stdout.decode("utf-8", "surrogateescape")
        return text if done.returncode == 0 else f"{text}exit code {done.returncode}: {done.stderr.decode()}"

    @cached_property
    def tree(self) -> HostTree:
        """Its files, as they are now."""
        return HostTree(str(self.root), self.binds)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The hwcaps folders of this loader on this CPU, by where it looks for a library that is nowhere."""
        said = self.sh(f"LD_DEBUG=libs LD_PRELOAD=libnone.so {LD_SO} /bin/true 2>&1")
        folders = re.findall(r"search path=(\S+)\s+\(system search path\)", said)[0].split(":")
        parts = [part for one in folders for part in one.partition("-linux-gnu/")[2].split("/")]
        return tuple(dict.fromkeys(part for part in parts if part not in ("", "glibc-hwcaps")))

    def files(self, below: str = "/") -> list[str]:
        """Every dynamic ELF file of x86-64 below a folder, one of several names of a file."""
        ours, top, found, seen = self.ours(), self.tree.place(below).rstrip("/"), [], set()
        for place, _, names in os.walk(top):
            for path in (f"{below.rstrip('/')}{place[len(top) :]}/{name}" for name in names):
                entry = self.tree.stat(path)
                if entry is None or entry.kind is not Kind.FILE or "\n" in path or entry.digest in seen:
                    continue
                seen.add(entry.digest)
                try:
                    info = ours.facts.facts(path, entry)
                except BadElf:
                    continue
                if info is not None and info.dynamic and (info.machine, info.bits) == (62, 64):
                    found.append(path)
        return sorted(found)

    def ours(self) -> Ours:
        """Our loader over this tree, knowing nothing of it yet."""
        ours = Ours(self.tree, self.levels, "x86_64")
        ours.folders = Folders(self.tree, ours.facts)
        return ours

    def real(self, files: Sequence[str]) -> dict[str, Said]:
        """What its own loader says, a process a file."""
        out = self.sh(TRACE, stdin="".join(f"{file}\n" for file in files))
        blocks = (block.partition("\n") for block in re.split(r"^== ", out, flags=re.M)[1:])
        return {file: self._said(text) for file, _, text in blocks}

    def mine(self, files: Iterable[str]) -> dict[str, Said]:
        """What slimrun says."""
        ours = self.ours()
        return {file: self._mine(ours.process(file)) for file in files}

    def _said(self, text: str) -> Said:
        return Said(
            frozenset(map(self._real, FOUND.findall(text))) - {self._real(LD_SO)},
            frozenset(NOT_FOUND.findall(text)),
            frozenset((version, self._real(by)) for version, by in VERSION.findall(text)),
            frozenset((version, self._real(by)) for version, by in WEAK.findall(text)),
            frozenset((self._real(library), self._real(by)) for library, by in UNVERSIONED.findall(text)),
            bool(ERROR.search(text)),
        )

    def _mine(self, process: Process) -> Said:
        absent = [one for one in process.asked if one.found is None]
        pairs: dict[Verdict, set[tuple[str, str]]] = {verdict: set() for verdict in Verdict}
        for breach in inspect.breaches(process, process.loaded):
            bare = breach.outcome.verdict in (Verdict.UNVERSIONED, Verdict.ABORT)
            what = [breach.provider.real] if bare else breach.outcome.versions
            pairs[breach.outcome.verdict].update((each, breach.by.real) for each in what)
        return Said(
            frozenset(one.real for one in process.loaded[1:]) - {self._real(LD_SO)},
            frozenset(one.name for one in absent),
            frozenset(pairs[Verdict.UNMET]),
            frozenset(pairs[Verdict.WEAK]),
            frozenset(pairs[Verdict.UNVERSIONED] | pairs[Verdict.ABORT]),
            any(one.search is not None and one.search.fatal is not None for one in absent),
        )

    def _real(self, path: str) -> str:
        found = resolve(self.tree, path)
        return found.path if found is not None else path


def different(real: Mapping[str, Said], mine: Mapping[str, Said]) -> list[str]:
    """In what two loaders disagree, file by file."""
    found = []
    for file, said in real.items():
        ours = mine[file]
        if said.error is not ours.error:
            found.append(f"{file}: error: real {said.error}, ours {ours.error}")
        if said.error:
            continue  # a loader that gave up lists nothing
        for name in ("loaded", "missing", "versions", "weak", "unversioned"):
            theirs, own = getattr(said, name), getattr(ours, name)
            if theirs != own:
                found.append(f"{file}: {name}: only real {sorted(theirs - own)}, only ours {sorted(own - theirs)}")
    return found


def distro(name: str) -> Distro:
    """A tree by name; skips where there is none."""
    folder = Path(os.environ.get("SLIMRUN_TEST_TREES", "/nowhere"))
    why = folder / f"{name}.skipped"
    if why.exists():
        pytest.skip(f"cannot be had here: {why.read_text(encoding='utf-8').strip()}")
    if not (folder / f"{name}.key").exists():
        pytest.skip('no trees: run .ci/services start && .ci/images && .ci/trees, then eval "$(.ci/services env)"')
    if subprocess.run(["unshare", "-r", "-m", "/bin/true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("neither root nor user namespaces here: no loader can be asked in a root of its own")
    return Distro(name, folder / name)
