"""One recipe, two backends, caches of their own: one image digest, and file systems that are read as equal."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.docker.conftest import ROOT, docker, registry, slimrun  # noqa: F401 (fixtures)
from tests.docker.test_recipes import python_image

from slimrun.backend.daemon import DockerBackend
from slimrun.backend.local import LocalBackend
from slimrun.cache.store import Cache
from slimrun.events import silent
from slimrun.settings import Mirrors, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

    from slimrun.tree.tree import Tree

pytestmark = pytest.mark.docker


def digest(slimrun: Slimrun, recipe: Path, folder: Path, backend: str) -> str:  # noqa: F811
    folder.mkdir()
    words = (recipe, "--backend", backend, "--save", folder / "image.tar", "--metadata-file", folder / "meta.json")
    done = slimrun.fresh(folder / "cache")(*words)
    assert done.code == 0, done.text
    (record,) = json.loads((folder / "meta.json").read_text())
    return str(record["digest"])


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("hello", "3.11-slim"),
        pytest.param("psycopg", "3.11-slim", marks=pytest.mark.network),
        pytest.param("py37-psycopg", "3.7-slim", marks=pytest.mark.network),
    ],
)
def test_docker_and_local_make_one_image(slimrun: Slimrun, tmp_path: Path, name: str, tag: str) -> None:  # noqa: F811
    python_image(tag)
    recipe = ROOT / "recipes" / f"{name}.yaml"
    local = digest(slimrun, recipe, tmp_path / "local", "local")
    assert digest(slimrun, recipe, tmp_path / "docker", "docker") == local
    assert (tmp_path / "local/image.tar").read_bytes() == (tmp_path / "docker/image.tar").read_bytes()
    docker("load", "-i", str(tmp_path / "local/image.tar"))
    assert json.loads(docker("image", "inspect", f"{name}:latest").out)[0]["Id"] == local


def known(tree: Tree) -> Tree:
    """A tree in which what an engine's layers hold is read."""
    return tree.map(lambda _, entry: entry.known())


@pytest.mark.parametrize("reference", ["python:3.11-slim", "python:3.11", "busybox:glibc"])
def test_both_read_the_same_files(registry: str, tmp_path: Path, reference: str) -> None:  # noqa: F811
    """Entry for entry: modes, owners, hard links, digests; and the same config."""
    settings = Settings(cache_dir=tmp_path, mirrors=Mirrors(images=(("docker.io/library", f"{registry}/library"),)))
    docker("pull", "-q", f"{registry}/library/{reference}")
    engine = DockerBackend(settings, Cache(tmp_path / "docker"), silent, os.environ)
    local = LocalBackend(settings, Cache(tmp_path / "local"), silent, os.environ)
    try:
        pins = engine.resolve_image(reference), local.resolve_image(reference)
        assert pins[0] == pins[1]
        theirs, ours = engine.open_image(pins[0]), local.open_image(pins[1])
        folders = ["/usr/local", "/usr/bin", "/usr/lib", "/lib", "/lib64", "/bin", "/etc", "/none"]
        for libraries in ([], ["/usr/lib/x86_64-linux-gnu", "/none"]):
            one, two = known(theirs.tree(folders, libraries=libraries)), ours.tree(folders, libraries=libraries)
            assert one.dump() == two.dump()
            assert one.digest() == two.digest()
            assert any(path.endswith(".a") for path in one) or reference != "python:3.11"
        lean = [backend.tree([], libraries=["/usr/lib/x86_64-linux-gnu"]) for backend in (theirs, ours)]
        assert known(lean[0]).digest() == lean[1].digest()
        assert not any(path.endswith(".a") for path in lean[0])
        assert theirs.env == ours.env
        for path in ("/usr/local/bin/python3", "/bin/sh", "/usr/bin/env", "/lib/ld-linux-x86-64.so.2", "/none"):
            assert theirs.target(path) == ours.target(path), path
        assert theirs.layered().config == ours.layered().config
        assert theirs.layered().tree.digest() == ours.layered().tree.digest()
    finally:
        engine.close()
        local.close()
