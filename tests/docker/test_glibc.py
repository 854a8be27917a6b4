"""A runtime whose glibc is too old for what comes onto it (ELF.md 2.3): replaced as a whole, and its own programs still run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .conftest import docker, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Slimrun

RECIPE = """
name: old-runtime
python: {{image: "python:3.11-slim"}}
runtime: debian:bullseye-slim
wheels: [cryptography]
{more}
verify:
  imports: [cryptography.hazmat.bindings._rust, ssl, sqlite3]
  run:
    - {{cmd: [-c, "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))"], stdout: "^glibc 2.36$"}}
"""
# Debian 11's tput and Debian 12's libncursesw want two versions of libtinfo that no libtinfo has both of.
NO_CURSES = 'prune: {drop: ["/**/lib-dynload/_curses*", "/**/lib-dynload/readline*"]}'


def test_a_runtime_that_is_too_old(slimrun: Slimrun, tmp_path: Path) -> None:
    refused = slimrun(write_recipe(tmp_path, RECIPE.format(more=""), "a.yaml"))
    assert refused.code == 2, refused.text
    lines = [line.strip() for line in refused.text.splitlines()]
    assert any("needs NCURSES6_TINFO_6.2.20211010 of libtinfo.so.6" in line for line in lines)
    assert any(line.startswith("because libncursesw.so.6.4 is needed by") for line in lines)
    assert any(line.startswith("because python.image: python:3.11-slim (") and "a.yaml:3:" in line for line in lines)
    assert any(line.endswith("which /usr/bin/tabs needs [copy-not-taken]") for line in lines)

    made = slimrun(
        write_recipe(tmp_path, RECIPE.format(more=NO_CURSES), "b.yaml"), "--metadata-file", tmp_path / "m.json"
    )
    assert made.code == 0, made.text
    assert "is replaced, in every path where it is, by Debian GLIBC 2.36" in made.text
    own = "bash --version | head -n 1; tput -V; ls / | head -n 1; getent passwd root"
    said = docker("run", "--rm", "--network", "none", "--entrypoint", "/bin/bash", "old-runtime:latest", "-c", own)
    assert said.out.splitlines()[0].startswith("GNU bash, version 5.1")
    assert said.out.splitlines()[1:] == ["ncurses 6.2.20201114", "bin", "root:x:0:0:root:/root:/bin/bash"]
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    docker("image", "rm", "old-runtime:latest")
