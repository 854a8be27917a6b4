"""What was stripped once is taken by its content, and is what stripping gives."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.tinyelf import shared

from slimrun.cache.store import Cache
from slimrun.prune import stripped as module
from slimrun.prune.strip import strip
from slimrun.prune.stripped import stripped
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A section of its own at the end: what stripping takes.
FAT = shared(soname="libx.so.1")


@pytest.fixture
def stripping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Entry]:
    """`stripped` in one cache, with any file taken for a large one unless it says otherwise."""
    monkeypatch.setattr(module, "LARGE", 1)

    def run(entry: Entry, root: Path = tmp_path / "cache") -> Entry:
        cache = Cache(root)
        with cache.pack("key") as pack:
            return stripped(entry, pack, cache)

    return run


@pytest.mark.parametrize("large", [1, len(FAT) + 1])
def test_it_is_what_stripping_gives(
    stripping: Callable[..., Entry], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", large)
    monkeypatch.setattr(module, "strip", lambda data: data[:-1])
    entry = file(FAT, mode=0o755, uid=3)
    made = stripping(entry)
    assert made.read() == FAT[:-1]
    assert (made.mode, made.uid, made.size) == (0o755, 3, len(FAT) - 1)
    assert made.digest == file(FAT[:-1]).digest


def test_what_nobody_has_read(stripping: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "layer").write_bytes(FAT)
    left = Entry(kind=Kind.FILE, size=len(FAT), content=Extent(str(tmp_path / "layer"), 0, len(FAT), "layer/x.so"))
    monkeypatch.setattr(module, "strip", lambda _: None)
    assert stripping(left) is left
    monkeypatch.setattr(module, "strip", lambda data: data[:-1])
    assert stripping(left) is left, "known by where it lies"
    made = stripping(left, tmp_path / "other")
    assert (made.digest, made.read()) == (file(FAT[:-1]).digest, FAT[:-1])


def test_a_name_that_is_not_utf_8(stripping: Callable[..., Entry], tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"lib\xe9.so")
    place.write_bytes(FAT)
    left = Entry(kind=Kind.FILE, size=len(FAT), content=Extent(str(place), 0, len(FAT), f"layer{place}"))
    expected = strip(FAT)
    assert stripping(left).read() == (FAT if expected is None else expected)


def test_it_is_done_once_for_any_name_and_owner(
    stripping: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bytes] = []

    def counted(data: bytes) -> bytes | None:
        calls.append(data)
        return None if data == b"whole" else b"small"

    monkeypatch.setattr(module, "strip", counted)
    first = stripping(file(FAT))
    again = stripping(replace(file(FAT, mode=0o700), inode="1"))
    assert (first.read(), again.read(), again.mode, again.inode) == (b"small", b"small", 0o700, "1")
    whole = file(b"whole")
    assert stripping(whole) is whole
    assert stripping(whole) is whole
    assert calls == [FAT, b"whole"]


def test_a_lost_blob_is_made_anew_and_another_revision_too(
    stripping: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "strip", lambda _: b"one")
    made = stripping(file(FAT))
    Cache(tmp_path / "cache").blob_path(made.digest).unlink()
    assert stripping(file(FAT)).read() == b"one"
    monkeypatch.setattr(module, "strip", lambda _: b"two")
    assert stripping(file(FAT)).read() == b"one"
    monkeypatch.setattr(module, "REVISION", module.REVISION + 1)
    assert stripping(file(FAT)).read() == b"two"


def test_an_interpreter_of_this_machine(stripping: Callable[..., Entry]) -> None:
    with open(os.path.realpath("/proc/self/exe"), "rb") as stream:  # noqa: PTH123 (a file of the kernel's)
        data = stream.read()
    expected = strip(data)
    entry = file(data)
    for _ in range(2):
        assert stripping(entry).read() == (data if expected is None else expected)
