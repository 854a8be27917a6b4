"""The closure of every ELF file of a Debian 12 with development packages, beside the real loader's trace and pax-utils' lddtree.

    eval "$(.ci/services env)"; apt-get install pax-utils; .venv/bin/python benchmarks/closure.py [FOLDER]

FOLDER is a root file system of x86-64 with glibc ($SLIMRUN_TEST_TREES/bookworm by default, some 1,400 ELF files, which .ci/trees
makes of the image python:3.11). The loader traces one process a file, in a shell loop in a root of its own (ELF.md 4.1); slimrun
and lddtree run in this process, and each of slimrun's rounds begins knowing nothing. The fastest of three rounds counts (lddtree:
one). All are told the same files, and the page cache is warm. Ends with 1 where slimrun and the loader disagree on a file.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any

from slimrun.elf.facts import Facts
from slimrun.elf.folders import Folders, Hit
from slimrun.elf.process import Process
from slimrun.elf.search import Loader
from slimrun.errors import BadElf
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

LD_SO = "/lib64/ld-linux-x86-64.so.2"
TRACE = f'while read -r f; do echo "== $f"; LD_TRACE_LOADED_OBJECTS=1 {LD_SO} "$f" 2>&1; done; :'
ROUNDS = 3
# For each file: what is loaded, and the names that are not found.
Answers = dict[str, tuple[frozenset[str], frozenset[str]]]


def main() -> None:
    """Three peers, one line each, and their ratios."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else f"{os.environ.get('SLIMRUN_TEST_TREES', '')}/bookworm").resolve()
    if not (root / LD_SO.lstrip("/")).is_symlink() and not (root / LD_SO.lstrip("/")).exists():
        sys.exit(f"{root} has no {LD_SO}: run .ci/trees, or name a folder")
    began = time.perf_counter()
    tree = read(root)
    print(f"{root}: {len(tree)} paths, listed in {time.perf_counter() - began:.2f} s")
    files = elf_files(tree)
    real, trace_wall, trace_cpu = best(lambda: traced(root, tree, files), ROUNDS, resource.RUSAGE_CHILDREN)
    print(line(f"the loader's trace, {len(files)} processes", trace_wall, trace_cpu, len(files)))
    levels = levels_of(root)
    mine, wall, cpu = best(lambda: closures(tree, files, levels), ROUNDS, resource.RUSAGE_SELF)
    print(line("slimrun, cold", wall, cpu, len(files)))
    print(f"slimrun takes {wall / trace_wall:.2f} of the loader's time ({cpu / trace_cpu:.2f} of its CPU time)")
    different = sorted(file for file in files if real.get(file) != mine[file])
    print(f"files on which they disagree: {len(different)} {' '.join(different[:5])}")
    if program := shutil.which("lddtree"):
        lddtree = lddtree_of(program)
        _, peer, peer_cpu = best(lambda: lddtree(root, files), 1, resource.RUSAGE_SELF)
        print(line("lddtree in this process", peer, peer_cpu, len(files)))
        print(f"slimrun is {peer / wall:.1f} times as fast as lddtree")
    else:
        print("lddtree is not here (apt-get install pax-utils)")
    sys.exit(bool(different))


def read(root: Path) -> Tree:
    """The folder's paths; a file's digest is its inode, since in a build it comes with the bytes."""
    entries: dict[str, Entry] = {}
    top = str(root).rstrip("/")
    for place, folders, names in os.walk(top or "/"):
        for name in (*folders, *names):
            path = f"{place}/{name}"
            facts = os.lstat(path)
            inner = path[len(top) :]
            if S_ISLNK(facts.st_mode):
                entries[inner] = link(os.readlink(path))  # noqa: PTH115 (Path's takes ten times as long)
            elif S_ISREG(facts.st_mode):
                key, size = f"{facts.st_dev}:{facts.st_ino}", facts.st_size
                shared = key if facts.st_nlink > 1 else ""
                content = Extent(path, 0, size)
                entries[inner] = Entry(kind=Kind.FILE, size=size, digest=key, inode=shared, content=content)
            elif S_ISDIR(facts.st_mode):
                entries[inner] = Entry(kind=Kind.DIR)
    return Tree(entries)


def elf_files(tree: Tree) -> list[str]:
    """Dynamic ELF files of x86-64, each once."""
    facts, found = Facts(), {}
    for path, entry in tree.files():
        try:
            info = facts.facts(path, entry)
        except BadElf:
            continue
        if info is not None and info.dynamic and (info.machine, info.bits) == (62, 64):
            found.setdefault(entry.digest, path)
    return sorted(found.values())


def traced(root: Path, tree: Tree, files: list[str]) -> Answers:
    """What the real loader says."""
    out = inside(root, TRACE, "".join(f"{file}\n" for file in files))
    answers: Answers = {}
    linker = real_path(tree, LD_SO)
    for block in re.split(r"^== ", out, flags=re.M)[1:]:
        file, _, text = block.partition("\n")
        paths = re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", text, re.M)
        missing = re.findall(r"^\t(\S+) => not found", text, re.M)
        answers[file] = frozenset(real_path(tree, path) for path in paths) - {linker}, frozenset(missing)
    return answers


def closures(tree: Tree, files: list[str], levels: tuple[str, ...]) -> Answers:
    """What slimrun says, knowing nothing yet of any file."""
    facts = Facts()
    folders = Folders(tree, facts)
    answers: Answers = {}
    linker = real_path(tree, LD_SO)
    for file in files:
        entry = tree[file]
        info = facts.facts(file, entry)
        if info is None:
            continue
        loader = Loader.of(tree, info, facts, active=levels, cwd="/", folders=folders)
        process = Process(loader, Hit(file, file, entry, info, (), "root"), notes=False)
        process.start()
        loaded = frozenset(one.real for one in process.loaded[1:]) - {linker}
        answers[file] = loaded, frozenset(one.name for one in process.asked if one.found is None)
    return answers


def lddtree_of(program: str) -> Callable[[Path, list[str]], int]:
    """pax-utils' command as a module."""
    spec = spec_from_loader("lddtree", SourceFileLoader("lddtree", program))
    assert spec is not None
    module: Any = module_from_spec(spec)
    SourceFileLoader("lddtree", program).exec_module(module)

    def run(root: Path, files: list[str]) -> int:
        top = f"{root}/"
        paths = module.LoadLdpaths(top)
        return sum(len(module.ParseELF(top + file.lstrip("/"), top, ldpaths=paths)["libs"]) for file in files)

    return run


def levels_of(root: Path) -> tuple[str, ...]:
    """The hwcaps folders that this CPU has the loader search."""
    return tuple(re.findall(r"^  (\S+) \(.*searched\)$", inside(root, f"{LD_SO} --help", ""), re.M))


def inside(root: Path, script: str, given: str) -> str:
    """What a shell in a root of its own prints."""
    argv = ["unshare", "-r", "chroot", str(root), "/bin/sh", "-c", script]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(argv, env=env, input=given, capture_output=True, text=True, check=True).stdout


def real_path(tree: Tree, path: str) -> str:
    found = tree.resolve(path)
    return found.path if found is not None else path


def best(work: Callable[[], Any], rounds: int, who: int) -> tuple[Any, float, float]:
    """The last result, and the least seconds by the clock and on a CPU."""
    walls, cpus, result = [], [], None
    for _ in range(rounds):
        before, began = resource.getrusage(who), time.perf_counter()
        result = work()
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(who)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return result, min(walls), min(cpus)


def line(what: str, wall: float, cpu: float, count: int) -> str:
    return f"{what}: {wall:.2f} s, {cpu:.2f} s of CPU, {1000 * wall / count:.2f} ms a file"


if __name__ == "__main__":
    main()
