"""Same recipe and pins, same bytes: another folder, umask, time zone, hash seed and order change nothing."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

RECIPE = """name: same
python:
  image: python:3.11-slim
wheels:
{wheels}
files:
{files}
image:
  env: {{B: "2", A: "1"}}
verify:
  imports: [idna, certifi]
"""
WHEELS = ("  - idna==3.10", "  - certifi==2025.1.31")
FILES = ("  - {from: src, to: /app}", "  - {from: run.sh, to: /bin/run.sh}")


def build(slimrun: Slimrun, folder: Path, *, umask: int, order: int, **environ: str) -> str:
    """The digest of the image, made from an empty cache in a folder of its own."""
    before = os.umask(umask)
    try:
        source = folder / "src"
        (source / "deep").mkdir(parents=True)
        for name in ("b.txt", "a.txt", "deep/c.txt")[:: 1 if order > 0 else -1]:
            (source / name).write_text(name, encoding="utf-8")
        (folder / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / "run.sh").chmod(0o755 & ~umask)
        recipe = folder / "same.yaml"
        recipe.write_text(
            RECIPE.format(wheels="\n".join(WHEELS[::order]), files="\n".join(FILES[::order])), encoding="utf-8"
        )
        fresh = slimrun.fresh(folder / "cache")
        meta = folder / "meta.json"
        done = subprocess.run(
            fresh.argv(recipe, "--metadata-file", meta),
            cwd=folder,
            env=fresh.environ(**environ),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(json.loads(meta.read_text())[0]["digest"])


@pytest.mark.network
def test_two_builds_have_one_digest(slimrun: Slimrun, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "another" / "folder"
    one.mkdir()
    two.mkdir(parents=True)
    first = build(slimrun, one, umask=0o022, order=1, TZ="UTC", PYTHONHASHSEED="1", LC_ALL="C")
    second = build(slimrun, two, umask=0o077, order=-1, TZ="Asia/Kathmandu", PYTHONHASHSEED="2", LC_ALL="C.UTF-8")
    assert first == second


@pytest.mark.network
def test_the_epoch_is_the_only_clock(slimrun: Slimrun, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    first, second = (
        build(slimrun, tmp_path / name, umask=0o022, order=1, SOURCE_DATE_EPOCH=epoch)
        for name, epoch in (("a", "1700000000"), ("b", "1800000000"))
    )
    assert first != second
    assert build(slimrun, tmp_path / "c", umask=0o022, order=1, SOURCE_DATE_EPOCH="1700000000") == first
