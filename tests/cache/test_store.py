"""The cache: complete or absent, by digest, safe for several at once."""

from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from slimrun.cache.store import Cache, writing
from slimrun.errors import BadArchive, DiskFull, ImageFailed, RequirementNotMet
from slimrun.tree.content import Extent
from slimrun.tree.entry import file, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "deep" / "cache")


def everything(cache: Cache) -> list[str]:
    files = (path for path in cache.root.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(cache.root)) for path in files)


def test_a_blob_is_found_by_its_digest(cache: Cache) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    assert not cache.has_blob(digest)
    with cache.new_blob(expected=digest) as blob:
        blob.write(b"he")
        blob.copy(io.BytesIO(b"llo"))
        assert not cache.has_blob(digest)
    assert (blob.digest, blob.size, blob.path) == (digest, 5, cache.blob_path(digest))
    assert cache.blob_path(digest).read_bytes() == b"hello"
    assert cache.blob_path(digest).stat().st_mode & 0o777 == 0o644
    assert everything(cache) == [f"blobs/sha256/{digest}"]


def test_a_blob_that_is_another_is_not_kept(cache: Cache) -> None:
    with (
        pytest.raises(BadArchive, match="the layer has sha256"),
        cache.new_blob(expected="0" * 64, what="the layer") as blob,
    ):
        blob.write(b"x")
    assert everything(cache) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_interrupted_leaves_nothing(error: type[BaseException], cache: Cache) -> None:
    def begin_a_blob() -> None:
        with cache.new_blob() as blob:
            blob.write(b"x")
            raise error

    def begin_a_pack() -> None:
        with cache.pack("key") as pack:
            pack.add(b"x")
            raise error

    for begin in (begin_a_blob, begin_a_pack):
        with pytest.raises(error):
            begin()
    assert everything(cache) == []
    assert not (cache.root / "packs" / "key").exists()


def test_a_pack_gives_entries(cache: Cache) -> None:
    with cache.pack("key") as pack:
        first = pack.add(b"one", mode=0o755, uid=3)
        second = pack.add(io.BytesIO(b"second"))
        empty = pack.add(b"")
    assert (cache.root / "packs" / "key").is_file()
    assert [entry.read() for entry in (first, second, empty)] == [b"one", b"second", b""]
    assert (first.mode, first.uid, first.digest) == (0o755, 3, hashlib.sha256(b"one").hexdigest())
    assert isinstance(second.content, Extent)
    assert (second.content.offset, second.content.size) == (3, 6)


def test_records(cache: Cache) -> None:
    assert cache.load("stage", "abc") is None
    cache.save("stage", "abc", {"b": [1, None], "a": "é"})
    assert cache.load("stage", "abc") == {"a": "é", "b": [1, None]}
    cache.save("stage", "abc", 2)
    assert cache.load("stage", "abc") == 2
    cache.forget("stage", "abc")
    cache.forget("stage", "abc")
    assert cache.load("stage", "abc") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b'{"a": 1'])
def test_a_damaged_record_is_absent(damage: bytes, cache: Cache) -> None:
    cache.save("stage", "abc", 1)
    (cache.root / "records" / "stage" / "abc.json").write_bytes(damage)
    assert cache.load("stage", "abc") is None


@pytest.mark.parametrize("key", ["", "../x", "a/b", "A", ".hidden", "a\n", "ü"])
def test_keys_are_plain_words(key: str, cache: Cache) -> None:
    for use in (
        cache.blob_path,
        lambda name: cache.load("stage", name),
        lambda name: cache.load(name, "x"),
    ):
        with pytest.raises(ValueError, match="not a cache key"):
            use(key)


def _count(root: Path, turns: int) -> None:
    cache = Cache(root)
    for _ in range(turns):
        with cache.lock("counter"):
            cache.save("test", "counter", (cache.load("test", "counter") or 0) + 1)


def test_a_lock_keeps_others_out(cache: Cache) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(cache.root, 25)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert cache.load("test", "counter") == 75


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [
        (errno.ENOSPC, DiskFull, "no space left"),
        (errno.EDQUOT, DiskFull, "no space left"),
        (errno.EACCES, RequirementNotMet, "cannot write"),
        (errno.EROFS, RequirementNotMet, "cannot write"),
        (errno.EIO, OSError, "Input/output error"),
    ],
)
def test_what_the_file_system_says(number: int, error: type[Exception], says: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=says), writing(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_full_disk_while_writing(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("slimrun.cache.store.os.fchmod", full)
    with pytest.raises(DiskFull), cache.new_blob() as blob:
        blob.write(b"x")
    assert everything(cache) == []


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequirementNotMet, match=r"set cache\.dir|cannot write"):
        Cache(tmp_path / "file").save("a", "b", 1)


def test_a_value_that_points_into_what_is_not_ours(cache: Cache, tmp_path: Path) -> None:
    """As into an engine's layers: it is looked at, never touched, and the value is absent when it is gone."""
    theirs = tmp_path / "libz.so"
    theirs.write_bytes(b"library")
    os.utime(theirs, (1, 1))
    found = Tree({"/libz.so": replace(file(b"library"), content=Extent(str(theirs), 0, 7))})
    cache.save_value("stage", "a", found)
    assert cache.load_value("stage", "a") == found
    assert theirs.stat().st_mtime == 1
    assert not cache.holds(str(theirs))
    cache.save_value("stage", "b", ("an entry by itself", found["/libz.so"]))
    assert cache.load_value("stage", "b") == ("an entry by itself", found["/libz.so"])
    theirs.unlink()
    assert cache.load_value("stage", "a") is None
    assert cache.load_value("stage", "b") is None


def test_a_pack_keeps_what_has_the_bytes_of_its_digest(cache: Cache, tmp_path: Path) -> None:
    theirs = tmp_path / "libz.so"
    theirs.write_bytes(b"library")
    entry = replace(file(b"library", mode=0o755, uid=7), content=Extent(str(theirs), 0, 7), inode="/a")
    with cache.pack("key") as pack:
        kept = pack.keep("/libz.so", entry)
        assert pack.keep("/libz.so", replace(entry, digest="")).digest == entry.digest, "nobody had read it"
        assert pack.keep("/l", link("x")) == link("x")
    assert replace(kept, content=entry.content) == entry
    assert kept.read() == b"library"
    assert isinstance(kept.content, Extent)
    assert cache.holds(kept.content.file)
    theirs.write_bytes(b"another")
    with (
        pytest.raises(ImageFailed, match=r"libz\.so changed while it was copied to /libz\.so"),
        cache.pack("key") as pack,
    ):
        pack.keep("/libz.so", entry)
    theirs.write_bytes(b"less")
    with pytest.raises(ImageFailed, match=r"changed while it was copied"), cache.pack("key") as pack:
        pack.keep("/libz.so", replace(entry, digest=""))
