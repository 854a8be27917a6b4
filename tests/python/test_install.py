"""What wheels become in a tree: places, modes, scripts, RECORD, reasons, conflicts; the same bytes in any order."""

from __future__ import annotations

import csv
import hashlib
import pickle
from base64 import urlsafe_b64encode
from itertools import permutations
from posixpath import normpath
from typing import TYPE_CHECKING

import pytest
from wheelmaker import make, pin_of

from slimrun.errors import FileConflict, Where
from slimrun.python.install import Distribution, Installed, install_wheels
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.python.interpreter import Interpreter

LINE = Why(rule="recipe", text="demo==1.0", where=Where("recipe.yaml", 5, 5))
SITE = "/usr/local/lib/python3.11/site-packages"
SO = "cpython-311-x86_64-linux-gnu.so"


@pytest.fixture
def install(cache: Cache, interpreter: Callable[..., Interpreter]) -> Callable[..., Installed]:
    def run(*wheels: Path, key: str = "test", python: Interpreter | None = None) -> Installed:
        with cache.pack(key) as pack:
            return install_wheels([(pin_of(wheel), wheel, LINE) for wheel in wheels], python or interpreter(), pack)

    return run


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A wheel with everything that a wheel can have."""
    return make(
        tmp_path,
        "demo",
        "1.0",
        {
            "demo/__init__.py": b"x = 1\n",
            f"demo/_fast.{SO}": b"\x7fELF",
            "demo/sub/_stable.abi3.so": b"\x7fELF",
            "demo/sub/_plain.so": b"\x7fELF",
            "demo/sub/libhelper.so": b"\x7fELF",
            "demo/__pycache__/__init__.cpython-311.pyc": b"stale",
            "demo/lone.pyc": b"module",
            "demo/both.py": b"",
            "demo/both.pyc": b"stale",
            "demo/data-files/readme.py": b"",
            "demo.libs/libz-123.so.1": b"\x7fELF",
            f"_demo.{SO}": b"\x7fELF",
            "single.py": b"",
            "hook.pth": b"import hook\n",
            "demo-1.0.data/purelib/pure.py": b"",
            "demo-1.0.data/platlib/plat.py": b"",
            "demo-1.0.data/scripts/tool": b"#!python\nprint(1)\n",
            "demo-1.0.data/scripts/tool-w": b"#!pythonw -E\nprint(1)\n",
            "demo-1.0.data/scripts/native": b"\x7fELF",
            "demo-1.0.data/scripts/shell": b"#!/bin/sh\n",
            "demo-1.0.data/headers/demo.h": b"",
            "demo-1.0.data/data/share/demo/x.txt": b"",
            "demo-1.0.data/data/etc/demo.conf": b"",
            "demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\nrun = demo.cli:App.main\n[gui_scripts]\ngui=demo:gui\n",
            "demo-1.0.dist-info/INSTALLER": b"someone\n",
            "demo-1.0.dist-info/direct_url.json": b"{}",
            "demo-1.0.dist-info/REQUESTED": b"",
            "demo-1.0.dist-info/LICENSE": b"MIT",
        },
        tag="cp311-cp311-linux_x86_64",
        executable=(f"demo/_fast.{SO}",),
    )


def test_places_and_modes(install: Callable[..., Installed], full: Path) -> None:
    tree = install(full).tree
    found = {path.replace(SITE, "SITE"): entry.mode for path, entry in tree.items()}
    plain = [
        "/usr/local/etc/demo.conf",
        "/usr/local/include/python3.11/demo/demo.h",
        "/usr/local/share/demo/x.txt",
        "SITE/_demo." + SO,
        *(f"SITE/demo-1.0.dist-info/{name}" for name in ("INSTALLER", "LICENSE", "METADATA", "RECORD", "WHEEL")),
        "SITE/demo-1.0.dist-info/entry_points.txt",
        "SITE/demo.libs/libz-123.so.1",
        *(f"SITE/demo/{name}" for name in ("__init__.py", "both.py", "data-files/readme.py", "lone.pyc")),
        *(f"SITE/demo/sub/{name}" for name in ("_plain.so", "_stable.abi3.so", "libhelper.so")),
        *(f"SITE/{name}" for name in ("hook.pth", "plat.py", "pure.py", "single.py")),
    ]  # fmt: skip
    programs = [f"/usr/local/bin/{name}" for name in ("gui", "native", "run", "shell", "tool", "tool-w")]
    assert {path for path, mode in found.items() if mode == 0o644} == set(plain)
    assert {path for path, mode in found.items() if mode == 0o755} == {*programs, f"SITE/demo/_fast.{SO}"}
    assert {(entry.uid, entry.gid) for entry in tree.values()} == {(0, 0)}


def test_scripts(install: Callable[..., Installed], full: Path) -> None:
    tree = install(full).tree
    assert tree.read("/usr/local/bin/tool") == b"#!/usr/local/bin/python3.11\nprint(1)\n"
    assert tree.read("/usr/local/bin/tool-w") == b"#!/usr/local/bin/python3.11 -E\nprint(1)\n"
    assert tree.read("/usr/local/bin/shell") == b"#!/bin/sh\n"
    assert tree.read("/usr/local/bin/run").decode() == (
        "#!/usr/local/bin/python3.11\nimport sys\n\nfrom demo.cli import App\n\n"
        'if __name__ == "__main__":\n    sys.exit(App.main())\n'
    )


def test_record_is_complete(install: Callable[..., Installed], full: Path) -> None:
    tree = install(full).tree
    rows = list(csv.reader(tree.read(f"{SITE}/demo-1.0.dist-info/RECORD").decode().splitlines()))
    assert rows == sorted(rows)
    assert {normpath(f"{SITE}/{path}") for path, _, _ in rows} == set(tree)
    for path, digest, size in rows:
        if path.endswith("RECORD"):
            assert (digest, size) == ("", "")
        else:
            data = tree.read(normpath(f"{SITE}/{path}"))
            assert digest == "sha256=" + urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert size == str(len(data))
    assert tree.read(f"{SITE}/demo-1.0.dist-info/INSTALLER") == b"slimrun\n"


def test_distribution_reasons_and_flags(install: Callable[..., Installed], full: Path) -> None:
    done = install(full)
    (found,) = done.distributions
    assert found == Distribution(
        name="demo",
        version="1.0",
        files=tuple(done.tree),
        top_level=("_demo", "demo", "plat", "pure", "single"),
        extensions=("_demo", "demo._fast", "demo.sub._plain", "demo.sub._stable"),
    )
    assert set(done.whys) == set(done.tree)
    (why,) = set(done.whys.values())
    assert str(why) == f"demo 1.0: {full.name} <- demo==1.0 (recipe.yaml:5:5)"
    assert why.rule == "wheel"
    assert done.flags == (
        "demo 1.0: /usr/local/etc/demo.conf and 1 more outside site-packages",
        f"demo 1.0: {SITE}/hook.pth runs at every start of Python",
    )
    assert pickle.loads(pickle.dumps(done.tree)) == done.tree


def test_debian(install: Callable[..., Installed], full: Path, interpreter: Callable[..., Interpreter]) -> None:
    tree = install(full, python=interpreter(debian=True)).tree
    assert tree.read("/usr/local/bin/tool").startswith(b"#!/usr/bin/python3.11\n")
    assert "/usr/local/lib/python3.11/dist-packages/demo/__init__.py" in tree
    assert not [path for path in tree if not path.startswith("/usr/local/")]


def test_the_same_bytes_in_any_order(
    install: Callable[..., Installed], tmp_path: Path, full: Path, cache: Cache
) -> None:
    wheels = [full, make(tmp_path, "aa", "1.0"), make(tmp_path, "zz", "2.0", requires=("aa",))]
    results = [install(*order, key=f"k{number}") for number, order in enumerate(permutations(wheels))]
    assert len({done.tree.digest() for done in results}) == 1
    assert len({(cache.root / "packs" / f"k{number}").read_bytes() for number in range(len(results))}) == 1
    assert len({done.distributions for done in results}) == 1
    assert results[0].tree.digest() == "c856130c7933a8e41fe812aff05cd03af69350361a9185596b607cf29518fb3c"


@pytest.mark.parametrize("same", [True, False])
def test_two_distributions_write_one_path(same: bool, install: Callable[..., Installed], tmp_path: Path) -> None:
    first = make(tmp_path, "a", "1.0", {"space/__init__.py": b"", "space/x.py": b""})
    second = make(tmp_path, "b", "2.0", {"space/__init__.py": b"" if same else b"1", "space/x.py": b""})
    for order in ((first, second), (second, first)):
        with pytest.raises(FileConflict) as caught:
            install(*order)
        assert caught.value.message == f"a 1.0 and b 2.0 both write {SITE}/space/__init__.py (and 1 more)"
        assert caught.value.hint


def test_one_writes_a_file_and_the_other_a_folder(install: Callable[..., Installed], tmp_path: Path) -> None:
    first = make(tmp_path, "a", "1.0", {"x": b""})
    second = make(tmp_path, "b", "2.0", {"x/y/z.py": b""})
    with pytest.raises(
        FileConflict, match=f"a 1.0 writes the file {SITE}/x, and {SITE}/x/y/z.py|a 1.0 writes the file"
    ):
        install(first, second)


@pytest.mark.parametrize(
    "files",
    [
        {"x.py": b"", "a-1.0.data/purelib/x.py": b""},
        {"a-1.0.data/scripts/run": b"", "a-1.0.dist-info/entry_points.txt": b"[console_scripts]\nrun=a:b\n"},
    ],
)
def test_one_distribution_writes_a_path_twice(
    files: dict[str, bytes], install: Callable[..., Installed], tmp_path: Path
) -> None:
    with pytest.raises(FileConflict, match=r"a 1\.0 writes .* twice"):
        install(make(tmp_path, "a", "1.0", files))


def test_nothing_to_install(install: Callable[..., Installed]) -> None:
    done = install()
    assert (len(done.tree), dict(done.whys), done.distributions, done.flags) == (0, {}, (), ())
