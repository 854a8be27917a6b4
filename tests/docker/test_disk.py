"""Disks that are full and folders that cannot be written: a clear error, and nothing half-written, with both backends."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CANNOT
from tests.docker.conftest import RECIPES, left_over

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docker.conftest import Done, Slimrun

HELLO = RECIPES / "hello.yaml"
BACKENDS = pytest.mark.parametrize("backend", ["docker", "local"])


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own, so full or so read-only as `options` say."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"{CANNOT}a small file system: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def run(slimrun: Slimrun, cache: Path, *words: str | Path) -> Done:
    config = cache.parent / "own.yaml" if cache.parent.name != "disk" else cache.parent.parent / "own.yaml"
    config.write_text(f"{slimrun.config.read_text()}cache: {{dir: '{cache}'}}\n", encoding="utf-8")
    return slimrun(HELLO, "--config", config, *words)


def assert_clear(done: Done, code: int, *texts: str) -> None:
    assert done.code == code, done.text
    assert "Traceback" not in done.text
    assert [text for text in texts if text not in done.text] == [], done.text
    assert left_over() == []


@BACKENDS
# While an image is read, while layers are written, with room for nothing at all.
@pytest.mark.parametrize("size", ["20m", "60m", "64k"])
def test_a_full_cache(slimrun: Slimrun, tmp_path: Path, backend: str, size: str) -> None:
    with small_disk(tmp_path / "disk", f"size={size}") as disk:
        done = run(slimrun, disk / "cache", "--backend", backend, "--save", tmp_path / "x.tar")
        text = f"no space left while writing below {disk}/cache"
        assert_clear(done, 2, text, "hint: free some space, or set cache.dir in slim.yaml to another disk")
        staging = disk / "cache/staging"
        assert not staging.is_dir() or list(staging.iterdir()) == []
        assert not (tmp_path / "x.tar").exists()


@BACKENDS
def test_a_cache_that_has_room_again_goes_on(slimrun: Slimrun, tmp_path: Path, backend: str) -> None:
    """What was complete when the disk was full is used, and nothing of what was not is taken for complete."""
    with small_disk(tmp_path / "disk", "size=60m") as disk:
        assert run(slimrun, disk / "cache", "--backend", backend).code == 2
        subprocess.run(["mount", "-o", "remount,size=2g", disk], check=True)
        done = run(slimrun, disk / "cache", "--backend", backend, "--save", tmp_path / "x.tar")
        assert_clear(done, 0)
        assert done.recap("hello")["ok"] > done.recap("hello")["changed"]


@BACKENDS
def test_a_full_target(slimrun: Slimrun, tmp_path: Path, backend: str) -> None:
    with small_disk(tmp_path / "disk", "size=10m") as disk:
        for place in (f"{disk}/x.tar", f"{disk}/x.oci.tar", f"{disk}/layout/"):
            done = slimrun(HELLO, "--backend", backend, "--save", place)
            assert_clear(done, 2, f"cannot write {place.rstrip('/')}", "No space left on device", "--save")
            assert [path for path in disk.rglob("*") if path.is_file() and path.parent.name != "sha256"] == []
        assert [path for path in disk.rglob(".*") if path.is_file()] == [], "no staging file stays"


@BACKENDS
def test_a_cache_that_cannot_be_written(slimrun: Slimrun, tmp_path: Path, backend: str) -> None:
    with small_disk(tmp_path / "disk", "ro") as disk:
        done = run(slimrun, disk / "cache", "--backend", backend)
        assert_clear(
            done, 2, "Read-only file system", "hint: set cache.dir in slim.yaml to a folder that you can write"
        )


@BACKENDS
def test_a_file_where_the_cache_should_be(slimrun: Slimrun, tmp_path: Path, backend: str) -> None:
    (tmp_path / "file").write_text("mine")
    done = run(slimrun, tmp_path / "file", "--backend", backend)
    assert_clear(done, 2, f"cannot write below {tmp_path}/file", "hint: set cache.dir in slim.yaml")
    assert (tmp_path / "file").read_text() == "mine"
