"""A tar taken as it arrives gives what the same tar gives on disk; nothing of it is asked for twice."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from tests.tree.test_tar import BAD, GOOD, HARD, TWO, archive, mutants, row
from tests.treetext import content

from slimrun.cache.store import Cache
from slimrun.errors import BadArchive
from slimrun.tree import tar
from slimrun.tree.entry import Entry, file
from slimrun.tree.tar import plain, read_tar, take_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


class Pipe(io.RawIOBase):
    """What a socket is: a few bytes at a time, forwards only."""

    def __init__(self, data: bytes, step: int = 700) -> None:
        self.left, self.step = data, step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.left[: min(len(buffer), self.step)]
        buffer[: len(part)] = part
        self.left = self.left[len(part) :]
        return len(part)


def arriving(data: bytes, step: int = 700) -> BinaryIO:
    return io.BufferedReader(Pipe(data, step), 600)


def put(stream: BinaryIO) -> Entry:
    return file(stream.read())


@pytest.mark.parametrize("step", [1, 512, 700, 1 << 20])
@pytest.mark.parametrize("name", GOOD)
def test_what_is_taken(name: str, step: int) -> None:
    rows, expected = GOOD[name]
    found = Tree(plain(take_tar(arriving(archive(*rows), step), put, what="x")))
    assert content(found) == dict(sorted(expected.items()))


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str) -> None:
    with pytest.raises(BadArchive, match="archive"):
        take_tar(arriving(BAD[name]), put, what="the archive of y")


@pytest.mark.parametrize("cut", [512 * 3, 512 * 6])
def test_without_an_end_mark_it_was_cut_off(cut: int) -> None:
    """An engine that dies between two files must not give half a folder."""
    with pytest.raises(BadArchive, match="it ends before its end mark"):
        take_tar(arriving(TWO[:cut]), put, what="x")


def test_mutants_agree_with_the_disk(tmp_path: Path) -> None:
    taken = 0
    for raw in mutants():
        (tmp_path / "x.tar").write_bytes(raw)
        try:
            streamed = Tree(plain(take_tar(arriving(raw), put, what="x")))
        except BadArchive:
            continue
        assert streamed.digest() == Tree(plain(read_tar(tmp_path / "x.tar"))).digest()
        taken += 1
    assert taken > 10


def test_sparse_files_are_whole() -> None:
    over = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "6", "GNU.sparse.name": "s"}
    data = b"2\n1\n2\n5\n1\n".ljust(512, b"\0") + b"abc"
    raw = archive(row("GNUSparseFile.0/s", data, pax_headers=over), row("b", b"B"))
    found = plain(take_tar(arriving(raw), put, what="x"))
    assert {path: entry.read() for path, entry in found.items()} == {"/s": b"\0ab\0\0c", "/b": b"B"}


def test_what_is_skipped_is_read_and_dropped() -> None:
    """With hard links to it, whatever they are called; what follows is read as if it had not been there."""
    rows = (
        row("lib/x.a", b"A" * 3000),
        row("lib/y.a", type=HARD, linkname="lib/x.a"),
        row("lib/z.so", type=HARD, linkname="lib/y.a"),
        row("lib/b.so", b"B" * 1025),
        row("lib/c.so", type=HARD, linkname="lib/b.so"),
    )
    seen: list[int] = []

    def counting(stream: BinaryIO) -> Entry:
        entry = put(stream)
        seen.append(entry.size)
        return entry

    found = plain(take_tar(arriving(archive(*rows)), counting, what="x", skip=lambda path: path.endswith(".a")))
    assert list(found) == ["/lib/b.so", "/lib/c.so"]
    assert seen == [1025]


def test_a_file_that_is_not_read_to_its_end_is_passed_over() -> None:
    found = plain(take_tar(arriving(TWO), lambda stream: file(stream.read(5)), what="x"))
    assert {path: entry.read() for path, entry in found.items()} == {"/a": b"AAAAA", "/b": b"BBBBB"}


def test_the_number_of_members_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MAX_MEMBERS", 1)
    with pytest.raises(BadArchive, match="x has more than 1 members"):
        take_tar(arriving(TWO), put, what="x")


def test_into_a_pack(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    big = bytes(range(256)) * 2000
    with cache.pack("ab") as pack:
        found = plain(take_tar(arriving(archive(row("a", big), row("b", b"B"))), pack.add, what="x"))
    assert {path: entry.read() for path, entry in found.items()} == {"/a": big, "/b": b"B"}
    assert found["/a"].digest == file(big).digest
