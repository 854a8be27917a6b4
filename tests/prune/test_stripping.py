"""Symbols out of the layers, and the wheels' RECORDs brought up to date with it."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.images import INTERPRETER
from tests.treetext import tree

from slimrun.cache.store import Cache
from slimrun.elf.facts import Facts
from slimrun.elf.model import Closure
from slimrun.prune.pruned import Pruned
from slimrun.prune.strip import strip
from slimrun.prune.stripping import own_bytes, strip_layers
from slimrun.tree.content import Extent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slimrun.tree.tree import Tree

SITE = "/usr/lib/python3/site-packages"


@pytest.fixture(scope="module")
def fat(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A library with symbols and debugging sections."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not here: it makes the library that is stripped")
    place = tmp_path_factory.mktemp("fat")
    (place / "x.c").write_text("static int hidden(int a) { return a * 3; }\nint shown(int a) { return hidden(a); }\n")
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "x.c", "-o", "x.so"], cwd=place, check=True)
    return (place / "x.so").read_bytes()


@pytest.fixture
def stripped(tmp_path: Path) -> Callable[..., dict[str, Tree]]:
    def run(**layers: Tree) -> dict[str, Tree]:
        pruned = Pruned(
            layers=tuple(layers.items()), whys=(), removed=(), roots=(), closure=Closure(), interpreter=INTERPRETER
        )
        cache = Cache(tmp_path)
        with cache.pack("key") as pack:
            found = strip_layers(pruned, pack, Facts(), cache)
        return dict(found.layers)

    return run


def test_what_is_stripped(fat: bytes, stripped: Callable[..., dict[str, Tree]]) -> None:
    made = tree({"/lib/x.so": fat, "/lib/same.so": fat, "/lib/text": b"text", "/lib/l.so": "symlink x.so"})
    small = strip(fat)
    assert small is not None
    found = stripped(python=made, wheels=made, files=made, system=made)
    assert found["files"] == made, "files are the user's"
    for name in ("python", "wheels", "system"):
        assert found[name].read("/lib/x.so") == found[name].read("/lib/same.so") == small
        assert found[name]["/lib/x.so"].size == len(small) < len(fat)
        assert found[name]["/lib/x.so"].mode == 0o755
        assert found[name].without(["/lib/x.so", "/lib/same.so"]) == made.without(["/lib/x.so", "/lib/same.so"])


def test_a_record_is_brought_up_to_date(fat: bytes, stripped: Callable[..., dict[str, Tree]]) -> None:
    rows = [
        "x/x.so,sha256=old,1",
        "../../../bin/tool,sha256=old,1",
        '"x/a,b.py",sha256=kept,3',
        "x-1.dist-info/RECORD,,",
    ]
    record, other = "\n".join(rows) + "\n", "y.py,sha256=kept,3\ny-1.dist-info/RECORD,,\n"
    made = tree(
        {
            f"{SITE}/x/x.so": fat,
            "/usr/bin/tool": fat,
            f"{SITE}/x-1.dist-info/RECORD": record.encode(),
            f"{SITE}/y-1.dist-info/RECORD": other.encode(),
        }
    )
    found = stripped(wheels=made)["wheels"]
    entry = found[f"{SITE}/x/x.so"]
    digest = urlsafe_b64encode(bytes.fromhex(entry.digest)).rstrip(b"=").decode()
    new = list(csv.reader(io.StringIO(found.read(f"{SITE}/x-1.dist-info/RECORD").decode())))
    assert new == [
        ["x/x.so", f"sha256={digest}", str(entry.size)],
        ["../../../bin/tool", f"sha256={digest}", str(entry.size)],
        ["x/a,b.py", "sha256=kept", "3"],
        ["x-1.dist-info/RECORD", "", ""],
    ]
    assert found[f"{SITE}/y-1.dist-info/RECORD"] == made[f"{SITE}/y-1.dist-info/RECORD"]


def test_names_of_one_file_stay_one_file(fat: bytes, stripped: Callable[..., dict[str, Tree]]) -> None:
    made = tree({"/bin/a": fat, "/bin/b": fat}).map(lambda _, entry: replace(entry, inode="/bin/a"))
    found = stripped(python=made)["python"]
    assert {entry.inode for entry in found.values()} == {"/bin/a"}
    assert found.size() < len(fat)


def test_nothing_to_strip(stripped: Callable[..., dict[str, Tree]]) -> None:
    made = tree({"/a": b"text", "/b": b"\x7fELF but not really"})
    assert stripped(python=made)["python"] == made


def test_what_is_kept_is_in_the_cache(tmp_path: Path) -> None:
    """Also a file that nothing was stripped of, and that a supply has elsewhere."""
    theirs, cache = tmp_path / "theirs", Cache(tmp_path / "cache")
    theirs.write_bytes(b"text")
    made = tree({"/lib/text": b"text", "/lib/inline": b"inline", "/lib/l.so": "symlink text"})
    made = made.map(
        lambda path, entry: replace(entry, content=Extent(str(theirs), 0, 4)) if path == "/lib/text" else entry
    )
    pruned = Pruned(
        layers=(("python", made),), whys=(), removed=(), roots=(), closure=Closure(), interpreter=INTERPRETER
    )
    with cache.pack("key") as pack:
        found = dict(own_bytes(pruned, pack, cache.holds).layers)["python"]
    theirs.unlink()
    assert found.dump() == made.dump()
    assert (found.read("/lib/text"), found.read("/lib/inline")) == (b"text", b"inline")
