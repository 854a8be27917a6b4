"""A Tree is a plain value: sorted, compared, digested, pickled."""

from __future__ import annotations

import io
import itertools
import pickle
from typing import TYPE_CHECKING

import pytest
from tests.treetext import content, tree

from slimrun.errors import BytesGone
from slimrun.tree.content import Extent, Inline
from slimrun.tree.entry import Entry, Kind, file, folder, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {
    "/usr/lib/libz.so.1": "symlink libz.so.1.3",
    "/usr/lib/libz.so.1.3": "file 0755 elf owner 3:4",
    "/usr": "dir 0755",
    "/dev/null": "char 1:3",
    "/a": "file 0644 twice inode x",
    "/b": "file 0644 twice inode x",
    "/empty": "file 0600",
    "/run": "dir 1777",
}


def test_dump_says_it_all() -> None:
    assert tree(ROWS).dump() == {
        "/a": "file 0644 dc8ffdbf inode x",
        "/b": "file 0644 dc8ffdbf inode x",
        "/dev/null": "char 0644",
        "/empty": "file 0600 empty",
        "/run": "dir 1777",
        "/usr": "dir 0755",
        "/usr/lib/libz.so.1": "symlink libz.so.1.3",
        "/usr/lib/libz.so.1.3": "file 0755 780d84b2 owner 3:4",
    }


def test_insertion_order_means_nothing() -> None:
    made = {tree(dict(rows)).digest() for rows in itertools.permutations(list(ROWS.items())[:5])}
    assert len(made) == 1
    backwards = tree(dict(reversed(ROWS.items())))
    assert backwards == tree(ROWS)
    assert list(backwards) == sorted(ROWS)


@pytest.mark.parametrize(
    "row",
    [
        "file 0644 other inode x",
        "file 0600 twice inode x",
        "file 0644 twice inode x owner 1:0",
        "file 0644 twice inode x owner 0:1",
        "file 0644 twice inode y",
        "symlink twice",
        "char 1:3",
        "char 1:5",
        "dir 0644",
    ],
)
def test_every_fact_reaches_the_digest(row: str) -> None:
    others = {tree(ROWS | {"/a": row}).digest() for row in ("file 0644 twice inode x", row)}
    assert len(others) == 2
    assert tree(ROWS | {"/a": row}) != tree(ROWS)


def test_where_bytes_lie_does_not_reach_the_digest(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"-twice-")
    far = Entry(kind=Kind.FILE, size=5, digest=file(b"twice").digest, content=Extent(str(tmp_path / "x"), 1, 5))
    assert Tree({"/a": far}).digest() == tree({"/a": b"twice"}).digest()
    assert far.read() == b"twice"


@pytest.mark.parametrize("rows", [{}, ROWS])
def test_pickling(rows: dict[str, str]) -> None:
    again = pickle.loads(pickle.dumps(tree(rows)))
    assert again == tree(rows)
    assert again.children("/usr/lib") == tree(rows).children("/usr/lib")


def test_folders_need_not_be_listed() -> None:
    found = tree({"/usr/lib/a": b"a", "/usr/lib/b/c": b"c", "/etc": "dir 0700"})
    assert found.children("/") == ("etc", "usr")
    assert found.children("/usr/lib") == ("a", "b")
    assert found.children("/etc") == ()
    assert found.children("/usr/lib/a") == ()
    assert found.stat("/usr/lib") == folder()
    assert found.stat("/etc") == folder(0o700)
    assert found.stat("/us") is None
    assert found.stat("/") == folder()
    assert "/usr/lib" not in found
    assert Tree().children("/") == ()


MERGES = [
    ({"/a": "file 0644 1"}, {"/a": "file 0644 2"}, {"/a": "2"}),
    ({"/a": "file 0644 1"}, {"/b": "file 0644 2"}, {"/a": "1", "/b": "2"}),
    ({"/d/x": "file 0644 1", "/d": "dir 0755"}, {"/d": "symlink e"}, {"/d": "symlink e"}),
    ({"/d/x": "file 0644 1", "/d": "dir 0755"}, {"/d": "dir 0700"}, {"/d": "dir 0700", "/d/x": "1"}),
    ({"/d": "symlink e"}, {"/d": "dir 0700", "/d/x": "file 0644 1"}, {"/d": "dir 0700", "/d/x": "1"}),
    ({"/d": "dir 0755", "/dx": "file 0644 1"}, {"/d": "file 0644 2"}, {"/d": "2", "/dx": "1"}),
]


@pytest.mark.parametrize(("below", "above", "result"), MERGES)
def test_merge(below: dict[str, str], above: dict[str, str], result: dict[str, str]) -> None:
    lower, upper = tree(below), tree(above)
    assert content(lower.merge(upper)) == result
    assert content(lower) == content(tree(below)), "the operands stay as they are"
    assert lower.merge() == lower
    assert Tree().merge(lower, upper) == lower.merge(upper)


def test_selecting() -> None:
    found = tree({"/usr/lib/a": b"a", "/usr/lib": "dir 0755", "/usr/lib64/b": b"b", "/etc/c": b"c"})
    assert list(found.under("/usr/lib")) == ["/usr/lib", "/usr/lib/a"]
    assert list(found.under("/usr/lib/", "/etc")) == ["/etc/c", "/usr/lib", "/usr/lib/a"]
    assert found.under("/") == found
    assert list(found.without(["/usr/lib", "/nothing"])) == ["/etc/c", "/usr/lib/a", "/usr/lib64/b"]
    assert list(found.only(lambda path, item: item.kind is Kind.DIR or path == "/etc/c")) == ["/etc/c", "/usr/lib"]
    assert content(found.map(lambda path, _: link(path)))["/etc/c"] == "symlink /etc/c"
    assert [path for path, _ in found.files()] == ["/etc/c", "/usr/lib/a", "/usr/lib64/b"]


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        ({}, 0),
        ({"/a": "file 0644 12345", "/b": "file 0644 12345"}, 10),
        ({"/a": "file 0644 12345 inode x", "/b": "file 0644 12345 inode x"}, 5),
        ({"/a": "file 0644 12345 inode x", "/b": "file 0644 1 inode x"}, 6),
        ({"/a": "symlink 12345", "/b": "dir 0755"}, 0),
    ],
)
def test_size_counts_a_file_once(rows: dict[str, str], size: int) -> None:
    assert tree(rows).size() == size


def test_reading() -> None:
    found = tree({"/a": b"bytes", "/l": "symlink a"})
    assert found.read("/a") == b"bytes"
    assert found.open("/a").read(2) == b"by"
    with pytest.raises(KeyError):
        found.open("/nothing")
    with pytest.raises(TypeError, match="a symlink has no bytes"):
        found.open("/l")
    assert repr(found) == "<Tree of 2 paths>"
    assert found != "a tree"


def test_an_extent_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(b"before|inside|after")
    extent = Extent(str(tmp_path / "pack"), 7, 6)
    with extent.open() as stream:
        assert stream.read() == b"inside"
        assert stream.read(1) == b""
        assert stream.seek(-4, io.SEEK_END) == 2
        assert stream.read(2) == b"si"
        assert stream.seek(1, io.SEEK_CUR) == 5
        assert stream.read() == b"e"
        assert stream.seek(100) == 100
        assert stream.read() == b""
        assert stream.seekable()
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-101, io.SEEK_CUR)
    with Extent(str(tmp_path / "pack"), 13, 100).open() as stream:
        assert stream.read() == b"|after", "the host file ends first"
    assert (extent.head(3), extent.head(100)) == (b"ins", b"inside")
    assert b"".join(extent.pieces()) == b"inside"
    with pytest.raises(BytesGone, match="pack ends inside"):
        list(Extent(str(tmp_path / "pack"), 13, 100).pieces())
    assert Inline(b"x").open().read() == b"x"
    (tmp_path / "pack").unlink()
    for read in (extent.open, lambda: extent.head(1), lambda: list(extent.pieces())):
        with pytest.raises(BytesGone, match="pack is gone"):
            read()


def test_what_nobody_has_read(tmp_path: Path) -> None:
    """Unread files are told apart by where they lie, and by their bytes where these are compared."""
    (tmp_path / "layer").write_bytes(b"one two one ")
    one, two, same = (Entry(kind=Kind.FILE, size=4, content=Extent(str(tmp_path / "layer"), at, 4)) for at in (0, 4, 8))
    read = file(b"one ")
    assert len({each.identity for each in (one, two, same, read)}) == 4
    assert [one.same_bytes(each) for each in (one, two, same, read)] == [True, False, True, True]
    assert (read.same_bytes(two), read.same_bytes(file(b"one")), link("x").same_bytes(folder())) == (False, False, True)
    assert (one.known().digest, one.known().identity) == (read.digest, read.digest)
    assert one.known().content == one.content
    assert (one.dump(), one.known().dump()) == ("file 0644 unread", f"file 0644 {read.digest[:8]}")
    assert (read.known(), link("x").known(), link("x").identity) == (read, link("x"), "")
    assert len({Tree({"/a": each}).digest() for each in (one, two, same, one.known())}) == 4
    assert pickle.loads(pickle.dumps(Tree({"/a": one}))) == Tree({"/a": one})
