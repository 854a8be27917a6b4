"""Real bases under real builders, each pair of Debian 11, 12 and 13: decided as ELF.md 2.2 and 2.3 say, and then run."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from posixpath import dirname
from typing import TYPE_CHECKING

import pytest
from elf_bench import LD_SO
from elf_trees import Distro, distro
from tests.openat2 import openat2

from slimrun.elf import ldcache
from slimrun.elf.closure import Closure, Extra, Facts, FamilyChoice, Finding, Level, Root, Supply, check, close
from slimrun.elf.output import BASE
from slimrun.tree.entry import Kind, file
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from pathlib import Path

SUITES = ("bullseye", "bookworm", "trixie")
RELEASE = {"bullseye": "2.31", "bookworm": "2.36", "trixie": "2.41"}
PYTHON = {
    "bullseye": ("/usr/bin/python3.9", "/usr/lib/python3.9"),
    "bookworm": ("/usr/local/bin/python3.11", "/usr/local/lib/python3.11"),
    "trixie": ("/usr/bin/python3.13", "/usr/lib/python3.13"),
}
MULTI = "/usr/lib/x86_64-linux-gnu"
WHY = Why(rule="recipe", text="a test")
IMPORT_ALL = """
import importlib, os, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import ssl, sqlite3, hashlib, socket, threading
sqlite3.connect(":memory:").execute("select 1")
ssl.create_default_context()
threading.Thread(target=print, args=("thread",)).start()
print(os.confstr("CS_GNU_LIBC_VERSION"))
"""


@cache
def tree(name: str, *tops: str) -> Tree:
    """A distribution's files as entries, unread: a digest is an inode."""
    there, entries = distro(name), {}
    for top in tops:
        for place, folders, names in os.walk(there.root / top.lstrip("/")):
            path = place.removeprefix(str(there.root))
            for one in (path, *(f"{path}/{name}" for name in (*folders, *names))):
                entry = there.tree.stat(one)
                if entry is not None and entry.kind in (Kind.FILE, Kind.DIR, Kind.LINK):
                    entries[one] = entry
    for link in ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"):
        entry = there.tree.stat(link)
        if entry is not None and entry.kind is Kind.LINK:
            entries[link] = entry
    return Tree(entries)


def base_of(suite: str) -> Tree:
    return tree(
        f"{suite}-slim", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/bin", "/sbin", "/lib", "/lib64", "/etc"
    )


def decide(base: str, builder: str, *, curses: bool) -> tuple[Closure, Tree, list[Root]]:
    """The closure of a builder's CPython over a base, the output without what it brings, and its roots."""
    program, lib = PYTHON[builder]
    supply = tree(builder, "/lib", "/lib64", MULTI, "/usr/lib64", lib, dirname(program), "/usr/local/lib")
    supply = supply.merge(tree(builder, "/etc").only(lambda path, _: path.startswith("/etc/ld.so")))
    gone = ("tkinter", "tracemalloc") if curses else ("tkinter", "curses", "readline")
    selection = supply.only(
        lambda path, _: (
            path == program or (path.startswith(f"{lib}/lib-dynload/") and not any(word in path for word in gone))
        )
    )
    output = base_of(base).merge(selection)
    modules = [path for path in selection if path.endswith(".so")]
    roots = [Root(path=program, why=WHY), *(Root(path=path, why=WHY, program=program) for path in modules)]
    also = [Extra(name="libgcc_s.so.1", why=WHY)]
    closure = close(output, roots, [Supply(name=builder, tree=supply)], facts=Facts(), also=also)
    return closure, output, roots


@pytest.mark.parametrize("builder", SUITES)
@pytest.mark.parametrize("base", SUITES)
def test_it_decides_as_written_and_what_it_accepts_runs(base: str, builder: str, tmp_path: Path) -> None:
    for curses in (True, False):
        closure, output, roots = decide(base, builder, curses=curses)
        newer = RELEASE[builder] > RELEASE[base]
        release = RELEASE[builder] if newer else RELEASE[base]
        assert closure.family.choice is (FamilyChoice.REPLACED if newer else FamilyChoice.BASE)
        assert f"GLIBC {release}-" in closure.family.identity
        assert bool(closure.family.needs) is newer
        assert closure.missing == ()
        if not closure.unmet:
            break
        # Debian 11's ncurses calls a version by another name than its successors: programs of the base want the one, the
        # builder's libncursesw the other, and no libtinfo has both.
        assert {base, builder} > {"bullseye"}
        assert {one.library for one in closure.unmet} == {"libtinfo.so.6"}
        assert {one.version[:15] for one in closure.unmet if not one.symbol} == {"NCURSES6_TINFO_"}
        assert {one.path.rpartition("/")[2] for one in closure.findings if one.rule == "copy-not-taken"} >= {
            one.provider.rpartition("/")[2] for one in closure.unmet
        }
    else:
        pytest.fail("refused without curses, too")
    assert curses is not ("bullseye" in {base, builder} and base != builder)
    root = laid(base, builder, closure, output, tmp_path)
    final, own = finished(closure, output), base_of(base)
    also = [Extra(name="libgcc_s.so.1", why=WHY)]
    found = check(final, roots, facts=Facts(), also=also, origin=lambda path: BASE if path in own else "python")
    assert [one for one in found if not isinstance(one, Finding) or one.level is Level.ERROR] == []
    runs(root, builder, roots, release)


def finished(closure: Closure, output: Tree) -> Tree:
    final = output.without(closure.removed).merge(Tree({one.path: one.entry for one in closure.pulled}))
    return final.merge(Tree({ldcache.PATH: file(closure.cache)})) if closure.cache is not None else final


def laid(base: str, builder: str, closure: Closure, output: Tree, place: Path) -> Distro:
    """The output as a file system: the base's files by hard link, the builder's standard library bound into it."""
    root = place / "root"
    source = distro(f"{base}-slim").root
    copied = subprocess.run(["cp", "-al", str(source), str(root)], capture_output=True, check=False)
    if copied.returncode:  # another file system
        shutil.copytree(source, root, symlinks=True, dirs_exist_ok=True)
    for path in closure.removed:
        (root / path.lstrip("/")).unlink()
    below, final = base_of(base), finished(closure, output)
    for path, entry in final.items():
        if below.get(path) == entry:
            continue
        there = root / path.lstrip("/")
        if entry.kind is Kind.DIR:
            there.mkdir(parents=True, exist_ok=True)
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        there.unlink(missing_ok=True)  # a hard link of the base's
        if entry.kind is Kind.LINK:
            there.symlink_to(entry.target)
        else:
            there.write_bytes(entry.read())
            there.chmod(0o755)
    lib = PYTHON[builder][1]
    (root / lib.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return Distro(base, root, {lib: distro(builder).root / lib.lstrip("/")})


def runs(root: Distro, builder: str, roots: list[Root], release: str) -> None:
    program = PYTHON[builder][0]
    names = sorted({one.path.rpartition("/")[2].partition(".")[0] for one in roots[1:]})
    said = root.sh(f"{program} -I -c '{IMPORT_ALL}' \"$@\"", *names)
    assert sorted(said.split()) == [release, "glibc", "thread"], said
    # The base's own: its loader finds all for each of its programs, and some of them run.
    programs = [path for folder in ("/usr/bin", "/bin", "/sbin") for path in root.files(folder)]
    real = root.real(programs)
    assert len(real) > 150
    assert [path for path, one in real.items() if one.missing or one.versions or one.error] == []
    said = root.sh("bash -c 'echo $((6 * 7))'; ls / | sort | head -n 1; tput -V")
    assert said.startswith("42\nbin\nncurses"), said
    top = os.open(root.root, os.O_PATH | os.O_DIRECTORY)
    number = openat2(top, LD_SO)
    os.close(top)
    assert number >= 0, os.strerror(-number)
    os.close(number)


@pytest.fixture
def shadowed(tmp_path: Path) -> tuple[Distro, Tree]:
    """busybox:glibc with trixie's family in /lib, and bookworm's libc where that loader looks first (2.2)."""
    old, new, root = distro("bookworm-slim"), distro("trixie-slim"), tmp_path / "root"
    for path, source in {
        "lib/ld-linux-x86-64.so.2": new.root / f"{MULTI[1:]}/ld-linux-x86-64.so.2",
        "lib/libc.so.6": new.root / f"{MULTI[1:]}/libc.so.6",
        "lib/x86_64-linux-gnu/libc.so.6": old.root / f"{MULTI[1:]}/libc.so.6",
        "bin/sh": old.root / "usr/bin/dash",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, root / path)
    (root / "lib64").symlink_to("lib")
    there = Distro("shadowed", root)
    entries = {f"/{path.relative_to(root)}": there.tree.stat(f"/{path.relative_to(root)}") for path in root.rglob("*")}
    return there, Tree({path: entry for path, entry in entries.items() if entry is not None})


def test_a_libc_beside_a_family_of_another_build(shadowed: tuple[Distro, Tree]) -> None:
    """No symbol version tells, and every program dies: this the identity in their strings alone can show."""
    there, files = shadowed
    said = there.sh("echo alive")
    assert "alive" not in said
    assert said.startswith("exit code ")
    found = check(files, [Root(path="/bin/sh", why=WHY)], facts=Facts())
    errors = [item for item in found if isinstance(item, Finding) and item.level is Level.ERROR]
    assert {one.rule for one in errors} == {"glibc-mixed"}
    assert any("Debian GLIBC 2.36" in one.text and "Debian GLIBC 2.41" in one.text for one in errors)
    assert any("there is more than one libc.so.6" in one.text for one in errors)
    (there.root / "lib/x86_64-linux-gnu/libc.so.6").unlink()
    assert there.sh("echo alive") == "alive\n"
