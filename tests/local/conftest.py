"""slimrun as a person runs it, without an engine: the registry of .ci/services stands in for Docker Hub."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.docker.conftest import ROOT, Done

if TYPE_CHECKING:
    from pathlib import Path

START = 'no registry of .ci/services: run `.ci/services start && .ci/images`, then eval "$(.ci/services env)"'


@dataclass(frozen=True)
class Local:
    """The command in a folder of its own, with a cache and a slim.yaml there; no engine is to be found."""

    folder: Path

    def __call__(self, *words: str | Path, **environ: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "slimrun", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.environ(**environ),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def environ(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.folder}/no.sock",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "SLIMRUN_CONFIG": str(self.folder / "slim.yaml"),
            "NO_COLOR": "1",
            **more,
        }


@pytest.fixture(scope="session")
def registry_address() -> str:
    if "SLIMRUN_TEST_REGISTRY" not in os.environ:
        pytest.skip(START)
    return os.environ["SLIMRUN_TEST_REGISTRY"]


@pytest.fixture(scope="module")
def local(registry_address: str, tmp_path_factory: pytest.TempPathFactory) -> Local:
    folder = tmp_path_factory.mktemp("local")
    (folder / "slim.yaml").write_text(f"mirrors:\n  images:\n    docker.io/library: {registry_address}/library\n")
    return Local(folder)


@pytest.fixture(scope="session")
def hello() -> Path:
    return ROOT / "recipes/hello.yaml"
