"""The bytes of a layer: in the cache, without symbols, and the wheels' RECORDs brought up to date with it."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.treetext import tree

from slimrun.cache.store import Cache
from slimrun.elf.facts import Facts
from slimrun.prune import stripped as module
from slimrun.prune.strip import strip
from slimrun.prune.stripping import is_held, keep_layer
from slimrun.tree.content import Extent
from slimrun.tree.entry import file

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
def stripped(tmp_path: Path) -> Callable[[Tree], Tree]:
    def run(made: Tree) -> Tree:
        cache = Cache(tmp_path)
        with cache.pack("key") as pack:
            return keep_layer(made, pack, Facts(), cache, strip=True)

    return run


@pytest.mark.parametrize("large", [1 << 18, 1])
def test_what_is_stripped(
    fat: bytes, stripped: Callable[[Tree], Tree], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the pack or, of a large file, in a blob."""
    monkeypatch.setattr(module, "LARGE", large)
    made = tree({"/lib/x.so": fat, "/lib/same.so": fat, "/lib/text": b"text", "/lib/l.so": "symlink x.so"})
    small = strip(fat)
    assert small is not None
    found = stripped(made)
    assert found.read("/lib/x.so") == found.read("/lib/same.so") == small
    assert found["/lib/x.so"].size == len(small) < len(fat)
    assert found["/lib/x.so"].mode == 0o755
    assert found.without(["/lib/x.so", "/lib/same.so"]) == made.without(["/lib/x.so", "/lib/same.so"])


def test_a_record_is_brought_up_to_date(fat: bytes, stripped: Callable[[Tree], Tree]) -> None:
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
    found = stripped(made)
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


def test_names_of_one_file_stay_one_file(fat: bytes, stripped: Callable[[Tree], Tree]) -> None:
    made = tree({"/bin/a": fat, "/bin/b": fat}).map(lambda _, entry: replace(entry, inode="/bin/a"))
    found = stripped(made)
    assert {entry.inode for entry in found.values()} == {"/bin/a"}
    assert found.size() < len(fat)


def test_nothing_to_strip(stripped: Callable[[Tree], Tree]) -> None:
    made = tree({"/a": b"text", "/b": b"\x7fELF but not really"})
    assert stripped(made) == made


def test_what_is_held(tmp_path: Path) -> None:
    """By the cache's own spelling: what it would copy is in the key of what it keeps."""
    (tmp_path / "a").mkdir()
    cache, same = Cache(tmp_path / "cache"), Cache(tmp_path / "a/../cache")
    with cache.pack("key") as pack:
        entry = pack.add(b"text")
    assert (is_held(entry, cache), is_held(entry, same), is_held(file(b"text"), same)) == (True, False, True)


@pytest.mark.parametrize("unstripped", [False, True])
def test_what_is_kept_is_in_the_cache(
    fat: bytes, tmp_path: Path, unstripped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a file that nothing is stripped of, and that a supply has elsewhere."""
    monkeypatch.setattr(module, "strip", lambda _: None)
    theirs, cache = tmp_path / "theirs", Cache(tmp_path / "cache")
    theirs.write_bytes(b"text" + fat)
    made = tree({"/lib/text": b"text", "/lib/x.so": fat, "/lib/inline": b"inline", "/lib/l.so": "symlink text"})
    places = {"/lib/text": Extent(str(theirs), 0, 4), "/lib/x.so": Extent(str(theirs), 4, len(fat))}
    left = made.map(lambda path, entry: replace(entry, content=places[path], digest="") if path in places else entry)
    with cache.pack("key") as pack:
        found = keep_layer(left, pack, Facts(), cache, strip=not unstripped)
    theirs.unlink()
    assert found.dump() == made.dump()
    assert [found.read(path) for path in ("/lib/text", "/lib/x.so", "/lib/inline")] == [b"text", fat, b"inline"]
