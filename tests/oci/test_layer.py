"""A layer's bytes depend on its tree alone: pinned by digest, and read back as the same tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.treetext import content, tree

from slimrun.cache.store import Cache
from slimrun.errors import BytesGone
from slimrun.oci.layer import whiteouts, with_parents, write_layer
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, file, folder, link
from slimrun.tree.layers import apply_layers
from slimrun.tree.tar import read_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

LONG = "/usr/" + "n" * 120 + "/" + "m" * 120
ROWS = {
    "/etc": "dir 0755",
    "/etc/passwd": "file 0644 root:x:0:0 owner 0:0",
    "/usr/bin/python3.7": "file 4755 elf inode 7",
    "/usr/bin/python3.7m": "file 4755 elf inode 7",
    "/usr/bin/python3": "symlink python3.7",
    "/dev/null": "char 1:3",
    "/home/é": "file 0600 umlaut owner 70000:3000000",
    LONG: "file 0644 long",
    "/bin/long": f"symlink {LONG}",
}
# The whole of it in one number: a change here changes every image that slimrun has ever made.
PINNED = "b9423324e8bec6a93bbb5db75cf1f8a99e76add84dc675b073e199256965e170"
ENVIRONMENTS = [
    {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", "LC_ALL": "C", "UMASK": "0"},
    {
        "TZ": "America/St_Johns",
        "PYTHONHASHSEED": "4711",
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "UMASK": "77",
        "reverse": "1",
    },
]


def build(root: Path, rows: Iterable[tuple[str, str]]) -> str:
    made = tree(dict(rows))
    made = made.merge(Tree({"/x": replace(file(b"x"), xattrs=(("security.capability", b"\1\0\0\2\xff"),))}))
    return write_layer(made, Cache(root), name="python", epoch=1_700_000_000).diff_id


def main() -> None:
    os.umask(int(os.environ.get("UMASK", "22"), 8))
    rows = list(ROWS.items())
    print(build(Path("cache"), reversed(rows) if "reverse" in os.environ else rows))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_same_bytes_everywhere(environment: dict[str, str], tmp_path: Path) -> None:
    path = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, __file__],
        env={"PYTHONPATH": path, **environment},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == PINNED


def test_the_same_bytes_here(tmp_path: Path) -> None:
    assert build(tmp_path, ROWS.items()) == PINNED


def test_what_a_layer_says_of_itself(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = write_layer(tree(ROWS), cache, name="wheels", epoch=5)
    assert (layer.name, layer.content) == ("wheels", tree(ROWS).size())
    with tarfile.open(cache.blob_path(layer.diff_id)) as archive:
        members = archive.getmembers()
    assert [f"/{member.name}" for member in members] == sorted(ROWS)
    assert {member.mtime for member in members} == {5}
    assert {(member.uname, member.gname) for member in members} == {("", "")}
    assert [member.name for member in members if member.islnk()] == ["usr/bin/python3.7m"]
    with_pax = {member.name for member in members if member.pax_headers}
    assert with_pax == {"bin/long", "home/é", LONG.lstrip("/")}, "only where the header cannot hold it"


def test_another_time_is_another_layer(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    made = [write_layer(tree(ROWS), cache, name="x", epoch=epoch).diff_id for epoch in (0, 1, 0)]
    assert made[0] == made[2] != made[1]


def test_one_inode_name_for_two_files(tmp_path: Path) -> None:
    """Two layers of a base may have given it: the bytes decide."""
    rows = {"/a": "file 0644 new inode /a", "/b": "file 0644 old inode /a", "/c": "file 0644 new inode /a"}
    cache = Cache(tmp_path)
    layer = write_layer(tree(rows), cache, name="x", epoch=0)
    again = apply_layers([read_tar(cache.blob_path(layer.diff_id))])
    assert content(again) == {"/a": "new", "/b": "old", "/c": "new"}
    assert [item.inode for item in again.values()] == ["/a", "", "/a"]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0") | st.just("\udcfe"), min_size=1, max_size=120
).filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
XATTRS = st.dictionaries(st.sampled_from(["user.a", "security.capability"]), st.binary(max_size=20), max_size=2)
IDS = st.integers(0, 1 << 31)
ENTRIES = st.one_of(
    st.builds(
        lambda data, mode, uid, gid, xattrs: replace(
            file(data, mode=mode, uid=uid, gid=gid), xattrs=tuple(sorted(xattrs.items()))
        ),
        st.binary(max_size=600),
        st.integers(0, 0o7777),
        IDS,
        IDS,
        XATTRS,
    ),
    st.builds(folder, st.integers(0, 0o7777), uid=IDS, gid=IDS),
    st.builds(lambda target: link("/".join(target)), st.lists(NAMES, min_size=1, max_size=2)),
    st.builds(
        lambda kind, major, minor: Entry(kind=kind, device=(major, minor)),
        st.sampled_from([Kind.CHAR, Kind.BLOCK]),
        st.integers(0, 4095),
        st.integers(0, 4095),
    ),
    st.just(Entry(kind=Kind.FIFO, mode=0o600)),
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Any tree that a layer can hold: only folders have something below them, names of one file are one file."""
    entries: dict[str, Entry] = {}
    for path, entry in draw(st.dictionaries(PATHS, ENTRIES, max_size=8)).items():
        above = [path[:at] for at, char in enumerate(path) if char == "/" and at]
        if any(name in entries and entries[name].kind is not Kind.DIR for name in above):
            continue
        if entry.kind is not Kind.DIR and any(name.startswith(f"{path}/") for name in entries):
            continue
        entries[path] = entry
    files = sorted(path for path, entry in entries.items() if entry.kind is Kind.FILE)
    for path in files:
        if draw(st.booleans()):
            entries[path] = replace(entries[path], inode=path)
            other = f"{path}.{draw(st.integers(0, 2))}"
            if other not in entries and not any(name.startswith(f"{other}/") for name in entries):
                entries[other] = entries[path]
    return Tree(entries)


def plain(found: Tree) -> dict[str, Entry]:
    """Entries without where the bytes are, and an inode only where there are two names of it."""
    seen = [entry.inode for entry in found.values()]
    return {
        path: replace(entry, content=None, inode=entry.inode if seen.count(entry.inode) > 1 else "")
        for path, entry in found.items()
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=trees())
def test_a_layer_is_read_back_as_the_same_tree(made: Tree, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = write_layer(made, cache, name="x", epoch=0)
    again = apply_layers([read_tar(cache.blob_path(layer.diff_id))])
    assert plain(again) == plain(made)
    assert {path: entry.read() for path, entry in again.files()} == {path: entry.read() for path, entry in made.files()}
    assert write_layer(again, cache, name="x", epoch=0) == layer


def test_folders_above_are_written_as_the_base_has_them() -> None:
    below = tree({"/usr": "dir 0750 owner 1:2", "/tmp": "dir 1777", "/l": "symlink usr"})
    found = with_parents(tree({"/usr/lib/a": b"a", "/tmp/b": b"b", "/new/c": b"c", "/new": "dir 0700"}), below)
    assert content(found) == {
        "/new": "dir 0700",
        "/new/c": "c",
        "/tmp": "dir 1777",
        "/tmp/b": "b",
        "/usr": "dir 0750 owner 1:2",
        "/usr/lib": "dir 0755",
        "/usr/lib/a": "a",
    }
    assert with_parents(Tree(), below) == Tree()


def test_whiteouts_hide() -> None:
    assert list(whiteouts(("/a", "/lib/b"))) == ["/.wh.a", "/lib/.wh.b"]
    assert list(whiteouts(())) == []


def test_a_file_that_shrank_is_no_layer(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"ab")
    made = Tree({"/a": replace(file(b"abc"), content=Extent(str(tmp_path / "x"), 0, 3))})
    with pytest.raises(BytesGone, match="x ends inside"):
        write_layer(made, Cache(tmp_path), name="x", epoch=0)
    wrong = Tree({"/a": replace(file(b"abc"), size=2)})
    with pytest.raises(BytesGone, match="/a has 3 bytes, not the 2 of its entry"):
        write_layer(wrong, Cache(tmp_path), name="x", epoch=0)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x"], "nothing half-written"


if __name__ == "__main__":
    main()
