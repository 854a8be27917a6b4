"""Every path of a real image has a reason that ends at a line of the recipe, also where the recipe says as little as it can."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.docker.conftest import RECIPES, docker, write_recipe
from tests.reports import report_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

# Debian 11 has another ncurses than the base build: its libtinfo could not serve these.
OLD_RUNTIME = """name: on-bullseye
python: {image: 'python:3.11-slim'}
runtime: debian:bullseye-slim
prune:
  drop: ['/**/lib-dynload/_curses*', '/**/lib-dynload/readline*']
"""


def report(slimrun: Slimrun, name: str) -> dict[str, Any]:
    return report_of(slimrun.cache / "slimrun", name)


def nowhere(value: dict[str, Any]) -> list[str]:
    """The paths whose reason ends in no line of a file."""
    rows = [*value["files"], *value["removed"]]
    assert len(rows) > 1000
    return [row["path"] for row in rows if not re.fullmatch(r".+\.yaml:\d+:\d+", row["why"][-1]["where"])]


def test_hello(slimrun: Slimrun) -> None:
    assert slimrun(RECIPES / "hello.yaml").code == 0
    assert nowhere(report_of(slimrun.cache / "slimrun", "hello")) == []


def test_a_recipe_that_leaves_all_to_what_is_built_in(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "python:\n  image: python:3.11-slim\n", "least.yaml")
    assert slimrun(recipe).code == 0
    assert nowhere(report_of(slimrun.cache / "slimrun", "least")) == []
    explained = slimrun("explain", "least", "/etc/passwd").out
    assert "because image.user: 65532:65532, as nobody says otherwise\n" in explained
    assert explained.endswith(f"because python.image: python:3.11-slim ({recipe}:1:1)\n")


def test_a_glibc_that_is_too_old_is_replaced_and_the_output_says_so(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, OLD_RUNTIME)
    done = slimrun(recipe)
    assert done.code == 0, done.text
    assert "[WARNING]: the runtime's glibc (Debian GLIBC 2.31-" in done.text
    assert "is replaced, in every path where it is, by Debian GLIBC 2.36-" in done.text
    assert "libcrypto.so.3 needs GLIBC_2.34 of libc.so.6;" in done.text
    value = report_of(slimrun.cache / "slimrun", "on-bullseye")
    assert nowhere(value) == []
    assert value["glibc"]["choice"] == "replaced"
    assert {"/usr/local/lib/libpython3.11.so.1.0"} <= {need["path"] for need in value["glibc"]["needs"]}
    assert value["hidden"] > 10_000_000, "Debian 11's glibc stays in its layer"
    assert any("is replaced" in text for text in value["warnings"])
    explained = slimrun("explain", "on-bullseye", "/**/libc-2.31.so").out
    assert "needs GLIBC_2.32 of libc.so.6" in explained
    assert explained.endswith(f"because python.image: python:3.11-slim ({recipe}:2:1)\n")
    docker("run", "--rm", "--entrypoint", "/bin/true", "on-bullseye")
