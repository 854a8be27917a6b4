"""Fixtures of the ELF tests: the machine's loader, a bench, a fake glibc."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_bench import LD_SO, Bench, Chroot, HostTree, Ours, Real, run
from elf_kit import Kit

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def real_loader() -> Real:
    """The loader of this machine, on x86-64 with glibc."""
    if not Path(LD_SO).exists():
        pytest.skip(f"{LD_SO} is not here: no glibc loader of x86-64 to compare with")
    text = subprocess.run([LD_SO, "--help"], capture_output=True, text=True, check=True).stdout
    said = subprocess.run([LD_SO, "--list-diagnostics"], capture_output=True, text=True, check=True).stdout
    platform = re.search(r'^dl_platform="(\w+)"$', said, re.M)
    levels = tuple(re.findall(r"^  (\S+) \(.*searched\)$", text, re.M))
    return Real(levels, platform[1] if platform else "x86_64")


@pytest.fixture(scope="session")
def host() -> HostTree:
    """The machine's own files."""
    return HostTree()


@pytest.fixture(scope="session")
def ours(host: HostTree, real_loader: Real) -> Ours:
    """slimrun's loader over the machine's own files."""
    return Ours(host, real_loader.levels, real_loader.platform)


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled once: an empty translation unit and an empty program."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not here: these tests link their libraries with it")
    place = tmp_path_factory.mktemp("objects")
    (place / "empty.c").write_text("int nothing;\n")
    (place / "main.c").write_text("int main(void) { return 0; }\n")
    (place / "start.c").write_text("void _start(void) {}\n")
    for name in ("empty", "main", "start"):
        run("gcc", "-fPIC", "-c", f"{name}.c", "-o", f"{name}.o", cwd=place)
    return place


@pytest.fixture
def bench(tmp_path: Path, objects: Path) -> Bench:
    """A bench in a folder of its own."""
    return Bench(tmp_path, objects)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory, objects: Path) -> Kit:
    """Fake glibcs and what needs them, each linked once."""
    return Kit(Bench(tmp_path_factory.mktemp("kit"), objects))


@pytest.fixture(scope="session")
def sound(kit: Kit) -> bytes:
    """A small library with all kinds of tags."""
    bench = kit.bench
    source = bench.object(
        "sound",
        "extern void other(void);\nvoid mine(void) { other(); }\nstatic int hidden;\nint *use(void) { return &hidden; }\n",
    )
    options = ["-Wl,-z,nodelete", "-Wl,--build-id=0x0123456789abcdef", "-Wl,--hash-style=gnu"]
    return bench.lib(
        "libsound.so",
        ["liba.so.1", "libb.so.2"],
        soname="libsound.so.9",
        runpath="$ORIGIN",
        options=options,
        source=source,
    ).read_bytes()


@pytest.fixture
def bare_chroot(tmp_path: Path) -> Chroot:
    """An empty root to run things in."""
    if subprocess.run(["unshare", "-r", "chroot", "/", "/bin/true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("neither root nor user namespaces here: nothing can be run in a root of its own")
    (tmp_path / "root").mkdir()
    return Chroot(tmp_path / "root")


@pytest.fixture
def chroot(bare_chroot: Chroot) -> Callable[[dict[str, Path]], Chroot]:
    """Fill a root with these files of the machine, the dynamic linker and libc among them."""

    def make(files: dict[str, Path]) -> Chroot:
        libc = "/lib/x86_64-linux-gnu/libc.so.6"
        for path, place in {LD_SO: Path(LD_SO), libc: Path(libc), **files}.items():
            bare_chroot.write(path, place.read_bytes())
        return bare_chroot

    return make
