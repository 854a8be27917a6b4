"""What answers `ldconfig -p` in an image without ldconfig: the same list, by the image's own interpreter."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.images import INTERPRETER, LIB, OFFICIAL, official
from tests.tinyelf import shared
from tests.treetext import tree

from slimrun.assemble.ldconfig import libraries, stand_in
from slimrun.assemble.system import Lines, system_files
from slimrun.elf import ldcache
from slimrun.elf.ldcache import Cached
from slimrun.elf.model import Closure
from slimrun.errors import Where
from slimrun.tree.folder import read_entry
from slimrun.why import Why

if TYPE_CHECKING:
    from slimrun.tree.tree import Tree

RUNTIME = Why(rule="runtime", text="runtime: x", where=Where("x.yaml", 1, 1))
LINES = Lines(user=RUNTIME, runtime=RUNTIME, files={})
PYTHON = Cached("libpython3.11.so.1.0", "/usr/local/lib/libpython3.11.so.1.0", 0x0303)


def names(image: Tree, *cached: Cached) -> dict[str, str]:
    return {line.name: line.path for line in libraries(image, INTERPRETER, cached)}


def test_links_by_their_names_files_by_their_sonames() -> None:
    found = names(official, PYTHON)
    assert found["libncursesw.so.6"] == f"{LIB}/libncursesw.so.6"
    assert "libncursesw.so.6.4" not in found
    assert found["libssl.so.3"] == f"{LIB}/libssl.so.3"
    assert found["libpython3.11.so.1.0"] == PYTHON.path
    assert "libpython3.so" not in found, "/usr/local/lib is no default folder"


def test_what_the_loader_would_not_take_is_not_listed() -> None:
    other = bytearray(shared(soname="libother.so.1"))
    other[18] = 183  # aarch64
    image = official.merge(
        tree(
            {
                f"{LIB}/libtext.so": b"INPUT(libc.so.6)",
                f"{LIB}/libother.so.1": bytes(other),
                f"{LIB}/libgone.so": "symlink x",
            }
        )
    )
    assert {"libtext.so", "libother.so.1", "libgone.so"}.isdisjoint(names(image))


def test_the_order_is_ldconfig_s() -> None:
    image = official.merge(
        tree({f"{LIB}/libx.so.{number}": shared(soname=f"libx.so.{number}") for number in (2, 10, 9)})
    )
    found = [name for name in names(image) if name.startswith("libx")]
    assert found == ["libx.so.10", "libx.so.9", "libx.so.2"], "the first is what find_library answers"


def test_where_it_goes() -> None:
    made = stand_in(official, INTERPRETER, ())
    assert made is not None
    path, entry = made
    assert (path, entry.mode) == ("/sbin/ldconfig", 0o755)
    assert entry.read().startswith(b"#!/usr/local/bin/python3.11 -IS\n")
    merged = stand_in(official.merge(tree({"/sbin": "symlink usr/sbin"})), INTERPRETER, ())
    assert merged is not None
    assert merged[0] == "/usr/sbin/ldconfig"
    assert stand_in(official.merge(tree({"/sbin/ldconfig": "file 0755 elf"})), INTERPRETER, ()) is None
    assert stand_in(tree({}), INTERPRETER, ()) is None


def test_the_feature_decides() -> None:
    wanted, whys = system_files(official, Closure(), "0", LINES, interpreter=INTERPRETER, features=("find_library",))
    assert "/sbin/ldconfig" in wanted
    assert str(whys["/sbin/ldconfig"]).endswith("asks it for libraries <- runtime: x (x.yaml:1:1)")
    assert "/sbin/ldconfig" not in system_files(official, Closure(), "0", LINES, interpreter=INTERPRETER)[0]


def test_a_real_ldconfig_gets_a_cache_that_knows_all() -> None:
    image = official.merge(tree({"/sbin/ldconfig": "file 0755 elf"}))
    found, _ = system_files(
        image, Closure(cached=(PYTHON,)), "0", LINES, interpreter=INTERPRETER, features=("find_library",)
    )
    assert "/sbin/ldconfig" not in found
    listed = {line.name for line in ldcache.read(found["/etc/ld.so.cache"].read())}
    assert {"libssl.so.3", "libpython3.11.so.1.0"} <= listed


def run(script: bytes, *words: str) -> subprocess.CompletedProcess[str]:
    code = script.decode().partition("\n")[2]
    argv = [sys.executable, "-IS", "-c", f"import sys; sys.argv[1:] = {list(words)!r}\n{code}"]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_script_prints_what_is_there() -> None:
    there = Cached("libhere.so.1", sys.executable, 0x0303)
    made = stand_in(official, INTERPRETER, (there, Cached("libgone.so.1", "/nowhere/libgone.so.1", 0x0303)))
    assert made is not None
    done = run(made[1].read(), "-p")
    assert done.returncode == 0
    assert f"\tlibhere.so.1 (libc6,x86-64) => {sys.executable}\n" in done.stdout
    assert "libgone" not in done.stdout
    for words in ((), ("-v",), ("-p", "x")):
        refused = run(made[1].read(), *words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "slimrun's stand-in" in refused.stderr


FINDER = """
import ctypes.util, subprocess, sys
start = subprocess.Popen
class Ours(start):
    def __init__(self, argv, **rest):
        super().__init__([sys.executable, "-IS", SCRIPT, *argv[1:]] if argv[0] == "/sbin/ldconfig" else argv, **rest)
subprocess.Popen = Ours
print(ctypes.util.find_library("here"), ctypes.util.find_library("her"), ctypes.util.find_library("nothing"))
"""


def test_every_series_understands_it(tmp_path: Path) -> None:
    """ctypes.util of each CPython of this machine's pyenv, its ldconfig being the script."""
    pythons = [*Path("/root/.pyenv/versions").glob("3.*/bin/python3"), Path(sys.executable)]
    made = stand_in(official, INTERPRETER, (Cached("libhere.so.1", sys.executable, 0x0303),))
    assert made is not None
    script = tmp_path / "ldconfig"
    script.write_bytes(made[1].read())
    for python in sorted(pythons):
        code = f"SCRIPT = {str(script)!r}\n{FINDER}"
        env = {"PATH": str(tmp_path)}  # neither gcc nor ld
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=env, check=False)
        assert done.stdout == "libhere.so.1 None None\n", (python, done.stderr)


def test_the_list_is_that_of_the_real_ldconfig() -> None:
    """On some of this machine's own libraries."""
    folder = Path("/usr/lib/x86_64-linux-gnu")
    if not Path("/sbin/ldconfig").exists() or not folder.is_dir():
        pytest.skip("cannot be had here: an ldconfig of glibc on x86-64")
    paths = sorted(path for path in folder.glob("lib[a-m]*.so*") if path.resolve().parent == folder)[:150]
    paths = sorted({*paths, *(path.resolve() for path in paths)})
    image = tree({"/lib": "symlink usr/lib"} | {path: row for path, row in OFFICIAL.items() if "/bin/" in path})
    image = image.merge(type(image)({str(path): read_entry(path) for path in paths}))
    real = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    theirs = set(re.findall(r"\t(\S+) \(libc6,x86-64\) => ", real)) & {path.name for path in paths}
    assert len(theirs) > 50
    assert set(names(image)) == theirs
