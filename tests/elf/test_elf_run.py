"""What the closure makes of real libraries, run in a root of its own with nothing else in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_bench import LD_SO, HostTree

from slimrun.elf import ldcache
from slimrun.elf.closure import Extra, Facts, FamilyChoice, Root, Supply, check, close
from slimrun.tree.entry import Entry, file, link
from slimrun.tree.resolve import resolve
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elf_bench import Bench, Chroot

MULTI = "/usr/lib/x86_64-linux-gnu"
PYENV = Path("/root/.pyenv/versions/3.11.7")
PACKAGES = ("encodings", "importlib", "collections", "re", "ctypes", "json", "sqlite3", "lib-dynload")
WHY = Why(rule="recipe", text="a test")


@pytest.fixture(scope="session")
def machine(host: HostTree) -> Tree:
    """The machine's multiarch folder as the tree of a base build, its libraries only."""
    if not Path(MULTI).is_dir():
        pytest.skip(f"{MULTI} is not here: not a Debian of x86-64")
    entries: dict[str, Entry] = {"/lib": link("usr/lib"), "/lib64": link("usr/lib64")}
    for item in os.scandir(MULTI):
        entry = host.stat(item.path) if ".so" in item.name else None
        if entry is not None:
            entries[item.path] = entry
    loader = resolve(host, LD_SO)
    assert loader is not None
    entries[f"/usr{LD_SO}"] = link(f"{MULTI}/{Path(loader.path).name}")
    return Tree(entries)


def laid(chroot: Chroot, output: Tree, roots: Iterable[Root], supply: Tree) -> Chroot:
    closure = close(
        output,
        list(roots),
        [Supply(name="machine", tree=supply)],
        facts=Facts(),
        also=[Extra(name="libgcc_s.so.1", why=WHY)],
    )
    assert (closure.missing, closure.unmet) == ((), ())
    assert closure.family.choice is FamilyChoice.SUPPLY
    final = output.merge(Tree({one.path: one.entry for one in closure.pulled}))
    if closure.cache is not None:
        final = final.merge(Tree({ldcache.PATH: file(closure.cache)}))
    assert check(final, list(roots), facts=Facts()) == ()
    chroot.lay(final)
    return chroot


def test_program_with_libraries_here_and_there(bench: Bench, bare_chroot: Chroot, machine: Tree) -> None:
    source = bench.object(
        "say", "#include <stdio.h>\n__attribute__((constructor)) static void say(void) { puts(__FILE__); }\n"
    )
    for name in ("libmulti.so.1", "liblocal.so.2", "libnext.so.3"):
        needs = ["libnext.so.3"] if name == "liblocal.so.2" else []
        bench.lib(name, needs, soname=name, source=source)
    exe = bench.exe("exe", ["libmulti.so.1", "liblocal.so.2", "libm.so.6"])
    local = {f"/usr/local/lib/{name}": file((bench / name).read_bytes()) for name in ("liblocal.so.2", "libnext.so.3")}
    conf = {
        "/etc/ld.so.conf": file(b"/usr/local/lib\n"),
        f"{MULTI}/libmulti.so.1": file((bench / "libmulti.so.1").read_bytes()),
    }
    output = Tree({"/app/exe": file(exe.read_bytes(), mode=0o755)})
    root = laid(bare_chroot, output, [Root(path="/app/exe", why=WHY)], machine.merge(Tree(local | conf)))
    assert root.run("/app/exe") == "say.c\n" * 3


def test_python_from_nothing(bare_chroot: Chroot, host: HostTree, machine: Tree) -> None:
    if not (PYENV / "bin/python3.11").exists():
        pytest.skip(f"cannot be had here: {PYENV}")
    entries: dict[str, Entry] = {}
    lib = PYENV / "lib/python3.11"
    files = [PYENV / "bin/python3.11", PYENV / "lib/libpython3.11.so.1.0", *lib.glob("*.py")]
    files += [path for package in PACKAGES for path in (lib / package).glob("*") if path.suffix in (".py", ".so")]
    for path in files:
        entry = host.stat(str(path))
        assert entry is not None
        entries[f"/usr/local/{path.relative_to(PYENV)}"] = entry
    output = Tree(entries)
    program = "/usr/local/bin/python3.11"
    modules = [path for path in output if "/lib-dynload/" in path and "tkinter" not in path]
    roots = [Root(path=program, why=WHY), *(Root(path=path, why=WHY, program=program) for path in modules)]
    supply = machine.merge(output, Tree({"/etc/ld.so.conf": file(b"/usr/local/lib\n")}))
    root = laid(bare_chroot, output, roots, supply)
    code = "import ssl, sqlite3, ctypes, lzma, bz2, zlib, decimal, threading, json; print(ssl.OPENSSL_VERSION_INFO[0])"
    assert root.run(program, "-I", "-c", code) == "3\n"
