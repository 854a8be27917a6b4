"""The cache cut down: oldest use first, what belongs together at once, and never what a run that is alive may use."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from slimrun.cache.store import Cache
from slimrun.cache.trim import Trimmed, running, trim
from slimrun.plan.part import Part
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG_AGO = 1_600_000_000
TICK = 0.02  # the clock of a file system goes by steps of some milliseconds


class Full:
    """A cache whose blobs and stages were used when a test says."""

    def __init__(self, root: Path) -> None:
        self.cache = Cache(root)

    def blob(self, text: str, used: int) -> str:
        with self.cache.new_blob() as blob:
            blob.write(text.encode() * 1000)
            digest = blob.digest
        _set(self.cache.blob_path(digest), used)
        return digest

    def stage(self, key: str, used: int) -> None:
        with self.cache.pack(key) as pack:
            entry = pack.add(key.encode() * 1000)
        self.cache.save_value("stage", key, Part(tree=Tree({"/x": entry})))
        self.cache.save("stage", key, {"digest": key})
        with self.cache.lock(f"stage-{key}"):
            pass
        for path in self.paths(key):
            _set(path, used)

    def paths(self, key: str) -> list[Path]:
        root = self.cache.root
        return [root / "records/stage" / f"{key}.json", root / "values/stage" / key, root / "packs" / key]

    def has(self, key: str) -> bool:
        there = [path.exists() for path in self.paths(key)]
        assert all(there) or not any(there), "a key's files stand and fall together"
        return there[0]

    def size(self) -> int:
        folders = ("blobs", "packs", "records", "values", "uv", "git")
        return sum(
            path.stat().st_size for name in folders for path in (self.cache.root / name).rglob("*") if path.is_file()
        )


def _set(path: Path, seconds: int) -> None:
    os.utime(path, (LONG_AGO + seconds, LONG_AGO + seconds))


@pytest.fixture
def full(tmp_path: Path) -> Full:
    return Full(tmp_path / "cache")


def test_oldest_use_goes_first(full: Full) -> None:
    digests = [full.blob(text, used) for text, used in (("a", 3), ("b", 1), ("c", 2))]
    done = trim(full.cache.root, 2000)
    assert done == Trimmed(count=1, freed=1000, size=2000, held=0)
    assert [full.cache.has_blob(digest) for digest in digests] == [True, False, True]
    _set(full.cache.blob_path(digests[0]), 0)
    trim(full.cache.root, 1999)
    assert [full.cache.has_blob(digest) for digest in digests] == [False, False, True]
    assert trim(full.cache.root, 1000) == Trimmed(count=0, freed=0, size=1000, held=0)


def test_using_is_what_counts_not_making(full: Full) -> None:
    first, second = full.blob("a", 1), full.blob("b", 2)
    assert full.cache.has_blob(first)
    trim(full.cache.root, 1000)
    assert (full.cache.has_blob(first), full.cache.has_blob(second)) == (True, False)
    full.stage("one", 1)
    full.stage("two", 2)
    assert full.cache.load("stage", "one")
    trim(full.cache.root, full.size() - 1)
    assert full.has("one")
    full.stage("three", 3)
    _set(full.paths("one")[0], 0)
    assert full.cache.load_value("stage", "one"), "reading a value uses the packs that it points into"
    assert full.paths("one")[2].stat().st_mtime > LONG_AGO + 10**6
    trim(full.cache.root, full.size() - 1)
    assert (full.has("one"), full.has("three")) == (True, False)


def test_random_caches(full: Full) -> None:
    """At most the size is left, what goes is older than what stays, and no more goes than must."""
    source = random.Random(4711)
    for _ in range(8):
        stages = {f"k{number}": source.randrange(1000) for number in range(8)}
        for key, used in stages.items():
            full.stage(key, used)
        most = source.randrange(full.size() + 1)
        done = trim(full.cache.root, most)
        gone = {used for key, used in stages.items() if not full.has(key)}
        left = {used for key, used in stages.items() if full.has(key)}
        assert full.size() == done.size <= most
        assert not gone or not left or max(gone) <= min(left)
        assert done.held == 0
        trim(full.cache.root, 0)
        assert full.size() == 0
    assert list((full.cache.root / "locks").iterdir()) == []


def test_nothing_is_removed_without_a_size(full: Full) -> None:
    full.blob("a", 0)
    assert trim(full.cache.root, None) == Trimmed(count=0, freed=0, size=1000, held=0)
    assert trim(full.cache.root / "none", 0) == Trimmed(count=0, freed=0, size=0, held=0)
    assert not (full.cache.root / "none").exists()


def test_what_a_run_used_stays(full: Full) -> None:
    old, used = full.blob("a", 1), full.blob("b", 0)
    full.stage("seen", 0)
    full.stage("other", 1)
    with running(full.cache.root):
        assert full.cache.has_blob(used)
        assert full.cache.load("stage", "seen")
        made = full.blob("c", 2)
        full.cache.has_blob(made)
        done = trim(full.cache.root, 0)
        assert not full.cache.has_blob(old)
        assert not full.has("other")
        assert full.has("seen")
        assert full.cache.has_blob(used)
        assert full.cache.has_blob(made)
        assert done.held == done.size == full.size()
        assert full.cache.load_value("stage", "seen"), "the values and packs of a stage that a run has seen are whole"
    time.sleep(TICK)
    assert trim(full.cache.root, 0).size == 0


def test_the_oldest_run_counts(full: Full) -> None:
    with running(full.cache.root):
        used = full.blob("b", 0)
        assert full.cache.has_blob(used)
        time.sleep(TICK)
        with running(full.cache.root):
            trim(full.cache.root, 0)
        assert full.cache.has_blob(used)


RUN = """
import sys, time
from pathlib import Path
from slimrun.cache.store import Cache
from slimrun.cache.trim import running
with running(Path(sys.argv[1])):
    print(Cache(Path(sys.argv[1])).has_blob(sys.argv[2]), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(full: Full) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that uses a blob and goes on."""
    digest = full.blob("a", 0)
    argv = [sys.executable, "-c", RUN, str(full.cache.root), digest]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process, digest
        process.kill()


def test_another_process_that_was_killed_holds_nothing(full: Full, other: tuple[subprocess.Popen[str], str]) -> None:
    process, digest = other
    trim(full.cache.root, 0)
    assert full.cache.blob_path(digest).is_file()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list((full.cache.root / "runs").iterdir())) == 1
    time.sleep(TICK)
    done = trim(full.cache.root, 0)
    assert (done.count, done.size) == (1, 0)
    assert list((full.cache.root / "runs").iterdir()) == []


def test_a_stage_that_somebody_makes_is_left_alone(full: Full) -> None:
    full.stage("busy", 0)
    with full.cache.lock("stage-busy"):
        assert trim(full.cache.root, 0).count == 0
    assert trim(full.cache.root, 0).count == 1


def test_half_written_files_of_killed_runs_go(full: Full) -> None:
    staging = full.cache.scratch()
    (staging / "tmpold").write_bytes(b"x" * 10)
    (staging / "folder/deep").mkdir(parents=True)
    (staging / "folder/deep/file").write_bytes(b"y" * 5)
    (staging / "root-1-x").mkdir()
    for path in (
        staging / "tmpold",
        staging / "folder/deep/file",
        staging / "folder/deep",
        staging / "folder",
        staging / "root-1-x",
    ):
        _set(path, 0)
    with running(full.cache.root):
        (staging / "tmpnew").write_bytes(b"z")
        done = trim(full.cache.root, None)
    assert (done.count, done.freed) == (2, 15)
    assert sorted(path.name for path in staging.iterdir()) == ["root-1-x", "tmpnew"]


def test_what_is_remembered_of_images_stays(full: Full) -> None:
    for kind in ("last", "last-run", "report"):
        _set(full.cache.save(kind, "app", {"error": ""}), 0)
    assert trim(full.cache.root, 0).count == 1
    assert full.cache.load("last", "app") == full.cache.load("last-run", "app") == {"error": ""}
    assert full.cache.load("report", "app") is None


def test_what_others_keep_in_the_cache_goes_as_a_whole(full: Full) -> None:
    tool = full.cache.root / "uv/simple/deep"
    tool.mkdir(parents=True)
    (tool / "file").write_bytes(b"x" * 500)
    for path in (tool / "file", tool, tool.parent):
        _set(path, 5)
    digest = full.blob("a", 9)
    assert trim(full.cache.root, 1200) == Trimmed(count=1, freed=500, size=1000, held=0)
    assert not (full.cache.root / "uv/simple").exists()
    assert full.cache.has_blob(digest)


def test_a_run_that_trims_itself_away_makes_anew(full: Full) -> None:
    """What is gone counts as absent, and nothing of it is half there."""
    full.stage("one", 0)
    full.paths("one")[2].unlink()
    assert full.cache.load_value("stage", "one") is None
    time.sleep(TICK)
    trim(full.cache.root, 0)
    assert full.cache.load("stage", "one") is None
    full.stage("one", 0)
    assert full.cache.load_value("stage", "one")
