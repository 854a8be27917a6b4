"""A real engine, a loopback registry with stand-ins for the official images, and slimrun run as a person runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "recipes"
START = 'no engine of .ci/services: run `.ci/services start && .ci/images`, then eval "$(.ci/services env)"'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder talks to the engine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


@dataclass(frozen=True)
class Done:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def recap(self, name: str) -> dict[str, int]:
        """The counts of one image's RECAP line."""
        line = next(line for line in self.out.splitlines() if line.startswith(f"{name} : "))
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)(?= |$)", line)}


@dataclass(frozen=True)
class Slimrun:
    """The command with a cache and a slim.yaml of the test session."""

    config: Path
    cache: Path

    def __call__(self, *words: str | Path, cwd: Path | None = None, **environ: str) -> Done:
        done = subprocess.run(
            self.argv(*words), capture_output=True, text=True, check=False, cwd=cwd or ROOT, env=self.environ(**environ)
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def argv(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "slimrun", *map(str, words)]

    def environ(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "XDG_CACHE_HOME": str(self.cache),
            "SLIMRUN_CONFIG": str(self.config),
            "NO_COLOR": "1",
            **more,
        }

    def fresh(self, folder: Path) -> Slimrun:
        """The same with an empty cache."""
        return Slimrun(self.config, folder)


@pytest.fixture(scope="session")
def registry() -> str:
    """The loopback registry's address."""
    if not (os.environ.get("SLIMRUN_TEST_REGISTRY") and os.environ.get("DOCKER_HOST")):
        pytest.skip(START)
    return os.environ["SLIMRUN_TEST_REGISTRY"]


@pytest.fixture(scope="session")
def slimrun(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slimrun]:
    """slimrun with the registry as the mirror of Docker Hub's official images; its builders are gone in the end."""
    folder = tmp_path_factory.mktemp("slimrun")
    config = folder / "slim.yaml"
    config.write_text(f"mirrors:\n  images:\n    docker.io/library: {registry}/library\n", encoding="utf-8")
    made = Slimrun(config, folder / "cache")
    # What a killed run of an earlier session left in this engine is not this session's doing.
    cleaned = made("clean")
    assert cleaned.code == 0, cleaned.text
    yield made
    cleaned = made("clean", "--max-size", "0B")
    assert cleaned.code == 0, cleaned.text


@pytest.fixture
def only_there(registry: str) -> Iterator[str]:
    """A runtime that the registry has and the engine has not: busybox with some megabytes that nothing else has."""
    name = f"only-there-{os.urandom(6).hex()}:1"
    address = f"{registry}/library/{name}"
    docker("pull", "--quiet", f"{registry}/library/busybox:glibc")
    container = docker("create", f"{registry}/library/busybox:glibc").out.strip()
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(6_000_000))
        file.flush()
        docker("cp", file.name, f"{container}:/srv")
    docker("commit", container, address)
    docker("rm", container)
    docker("push", "--quiet", address)
    docker("image", "rm", address)
    yield name
    for line in docker("images", "--format", "{{.Repository}}:{{.Tag}}").out.split():
        if line.endswith(name):
            docker("image", "rm", "--force", line)


def docker(*words: str, check: bool = True, stdin: str | None = None) -> Done:
    """The docker command: an independent witness of what the engine has."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, input=stdin)
    if check and done.returncode:
        raise AssertionError(done.stderr)
    return Done(done.returncode, done.stdout, done.stderr)


def left_over() -> list[str]:
    """Containers that slimrun made and that are still there, and images that did not pass."""
    containers = docker("ps", "-aq", "--filter", "label=io.slimrun.run").out.split()
    return containers + docker("images", "-q", "slimrun.invalid/unverified").out.split()


def write_recipe(folder: Path, text: str, name: str = "image.yaml") -> Path:
    """A recipe of a test's own."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def inspect(image: str) -> dict[str, object]:
    """The engine's view of an image."""
    value = json.loads(docker("image", "inspect", image).out)[0]
    assert isinstance(value, dict)
    return value


# What compiles CPython, shared by all modules of this folder; it needs the names above.
from tests.docker.compiling import compiler, cpython, static  # noqa: E402, F401
