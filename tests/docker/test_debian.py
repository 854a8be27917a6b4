"""Debian's packages as base build and beside an official copy, from the real archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import RECIPES, docker, inspect, write_recipe
from tests.reports import report_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

pytestmark = pytest.mark.network


def test_py311_psycopg_is_one_image_on_both_backends(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = RECIPES / "py311-psycopg.yaml"
    done = slimrun(recipe, "--backend", "docker")
    assert done.code == 0, done.text
    digest = inspect("py311-psycopg:latest")["Id"]
    docker("image", "rm", "--force", "py311-psycopg:latest")
    local = slimrun.fresh(tmp_path / "cache")(recipe, "--backend", "local", "--save", tmp_path / "image.tar")
    assert local.code == 0, local.text
    docker("load", "-i", str(tmp_path / "image.tar"))
    assert inspect("py311-psycopg:latest")["Id"] == digest
    status = "import os; print(len(os.listdir('/var/lib/dpkg/status.d')) > 20)"
    assert docker("run", "--rm", "py311-psycopg", "-c", status).out == "True\n"


def test_packages_beside_an_official_copy(slimrun: Slimrun, tmp_path: Path) -> None:
    text = """name: packages
python: {image: 'python:3.11-slim'}
debian:
  packages: [libpq5, tzdata]
verify:
  run:
    - cmd: [-c, "import ctypes; print(ctypes.CDLL('libpq.so.5').PQlibVersion())"]
      stdout: ^15
    - cmd: [-c, "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Paris'))"]
      stdout: Paris
"""
    done = slimrun(write_recipe(tmp_path, text))
    assert done.code == 0, done.text
    explained = slimrun("explain", "packages", "/usr/lib/**/libpq.so.5.*")
    assert "libpq5" in explained.out
    assert "image.yaml:4:" in explained.out
    report = report_of(slimrun.cache / "slimrun", "packages")
    assert {item["name"] for item in report["debs"] if item["named"]} == {"libpq5", "tzdata"}
    assert "libssl3" in {item["name"] for item in report["debs"]}
    assert [item["path"] for item in (*report["files"], *report["removed"]) if not item["why"][-1]["where"]] == []


def test_a_package_that_does_not_exist(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "python: {image: 'python:3.11-slim'}\ndebian:\n  packages: [libpq55]\n")
    done = slimrun(recipe)
    assert done.code == 2, done.text
    assert f"{recipe}:3:" in done.text
    assert "libpq55" in done.text
    assert "Traceback" not in done.text
