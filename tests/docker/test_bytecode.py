"""Byte code in images: made by the image's interpreter, equal wherever it is made, and used without a look at the sources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import docker, write_recipe
from tests.docker.test_recipes import python_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

RECIPE = """name: {name}
python: {{image: 'python:{tag}'}}
prune: {{bytecode: {mode}, features: []}}
"""
# What is compiled while these are imported, and where the module json came from.
PROGRAM = """
import importlib.machinery as machinery
compiled, before = [], machinery.SourceFileLoader.source_to_code
def noted(self, data, path, **rest):
    compiled.append(path)
    return before(self, data, path, **rest)
machinery.SourceFileLoader.source_to_code = noted
import asyncio, json, sqlite3, ssl, unittest
import glob, os
folder = os.path.dirname(os.path.dirname(json.__file__))
sources, code = (len(glob.glob(folder + "/**/*" + end, recursive=True)) for end in (".py", ".pyc"))
print(json.dumps([len(compiled), sources, code, json.__file__.rpartition(".")[2]]))
"""


def build(slimrun: Slimrun, folder: Path, mode: str, *words: str, tag: str = "3.11-slim") -> str:
    """The digest of an image that is named after its mode."""
    meta = folder / "meta.json"
    name = f"bytecode-{mode}"
    done = slimrun(
        write_recipe(folder, RECIPE.format(name=name, mode=mode, tag=tag)), "--metadata-file", meta, *words, cwd=folder
    )
    assert done.code == 0, done.text
    assert "byte code was made by" not in done.text, "by the image's own interpreter"
    return str(json.loads(meta.read_text())[0]["digest"])


@pytest.fixture(scope="module")
def elsewhere(slimrun: Slimrun, tmp_path_factory: pytest.TempPathFactory) -> Slimrun:
    """slimrun with a cache that the engine's runs have nothing to do with."""
    return slimrun.fresh(tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize("mode", ["keep", "only"])
def test_one_digest_on_both_backends(slimrun: Slimrun, elsewhere: Slimrun, mode: str, tmp_path: Path) -> None:
    digest = build(slimrun, tmp_path, mode)
    count, sources, code, suffix = json.loads(
        docker("run", "--rm", "--read-only", f"bytecode-{mode}", "-c", PROGRAM).out
    )
    assert count == 0, "nothing was compiled"
    assert code > 500
    assert (sources, suffix) == ((code, "py") if mode == "keep" else (0, "pyc"))
    here = tmp_path / "local"
    here.mkdir()
    assert build(elsewhere, here, mode, "--backend", "local", "--save", str(here / "image.tar")) == digest


def test_without_it_all_is_compiled(slimrun: Slimrun, tmp_path: Path) -> None:
    build(slimrun, tmp_path, "drop")
    count, sources, code, _ = json.loads(docker("run", "--rm", "--read-only", "bytecode-drop", "-c", PROGRAM).out)
    assert count > 80
    assert (sources > 500, code) == (True, 0)


def test_an_interpreter_of_older_days_without_sources(slimrun: Slimrun, tmp_path: Path) -> None:
    python_image("3.7-slim")
    build(slimrun, tmp_path, "only", tag="3.7-slim")
    count, sources, code, suffix = json.loads(docker("run", "--rm", "--read-only", "bytecode-only", "-c", PROGRAM).out)
    assert (count, sources, suffix) == (0, 0, "pyc")
    assert code > 500
    failed = docker("run", "--rm", "bytecode-only", "-c", "import json; json.loads('{')", check=False)
    assert "/usr/local/lib/python3.7/json/__init__.py" in failed.err, "tracebacks name the sources all the same"


@pytest.mark.network
def test_debian_s_python_without_sources(slimrun: Slimrun, tmp_path: Path) -> None:
    """Its sysconfig data is a module by the name of a link."""
    text = "name: bytecode-debian\npython: {debian: {suite: bookworm}}\nruntime: scratch\nprune: {bytecode: only}\n"
    program = (
        "import importlib, sysconfig; print(importlib.import_module('_sysconfigdata__linux_x86_64-linux-gnu').__file__); "
        "print(sysconfig.get_config_var('Py_ENABLE_SHARED'))"
    )
    done = slimrun(write_recipe(tmp_path, text))
    assert done.code == 0, done.text
    ran = docker("run", "--rm", "--read-only", "bytecode-debian", "-c", program)
    assert ran.out.splitlines() == ["/usr/lib/python3.11/_sysconfigdata__linux_x86_64-linux-gnu.pyc", "1"]
