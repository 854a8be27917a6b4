"""CPython's own repository, made of Debian's source archive, and a slimrun that compiles it in a builder.

What builders are given of this machine's network carries marks, so that tests can look for them in images.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import RECIPES, Slimrun
from tests.docker.relay import Relay
from tests.fetch.gitmaker import git, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docker.conftest import Done

STATE = Path(os.environ.get("SLIMRUN_CI_STATE") or Path.home() / ".cache/slimrun-ci")
ADDRESS = "https://github.com/python/cpython"
# Half the time of -O3, and none of it is what these tests are about.
FAST = "python.git.configure=['OPT=-DNDEBUG -fwrapv -O1 -Wall']"
SECRETS = {"token": "t0k3n-of-build-env", "authority": "a mark in the CA bundle"}
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture(scope="session")
def cpython(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of CPython 3.11.2: one commit, branch `3.11`, tag `v3.11.2`; the same commit in every session."""
    found = sorted((STATE / "src").glob("python3.11_*.orig.tar.*"))
    if not found:
        pytest.skip("no source archive of CPython: run `.ci/services start && .ci/images`")
    folder = tmp_path_factory.mktemp("git") / "cpython"
    folder.mkdir()
    subprocess.run(["tar", "-xf", found[0], "--strip-components=1", "-C", folder], check=True)
    git(folder, "init", "-q", "-b", "3.11")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "CPython 3.11.2")
    git(folder, "tag", "-a", "-m", "v3.11.2", "v3.11.2")
    return folder


@dataclass(frozen=True)
class Compiler:
    """slimrun whose slim.yaml has all that concerns builds; `asked` is the proxy and mirror that its builders see."""

    slimrun: Slimrun
    asked: Relay

    def __call__(self, *words: str | Path, **environ: str) -> Done:
        return self.slimrun(*words, **environ)

    def recipe(self, name: str, *words: str | Path) -> Done:
        """A shipped recipe, compiled fast."""
        return self.slimrun(RECIPES / f"{name}.yaml", "--set", FAST, *words)


@pytest.fixture(scope="session")
def compiler(
    slimrun: Slimrun, registry: str, cpython: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compiler]:
    """One for the session: whoever compiles the same shares its builders. Their images are gone at its end."""
    folder = tmp_path_factory.mktemp("compiler")
    (folder / "ca.pem").write_text(f"# {SECRETS['authority']}\n{AUTHORITIES.read_text()}")
    with Relay() as relay:
        (folder / "slim.yaml").write_text(
            f"""
docker: {{network: host}}
mirrors:
  images: {{docker.io/library: {registry}/library}}
  git: {{'{ADDRESS}': '{cpython.as_uri()}'}}
  debian: http://{relay.address}/frozen
build:
  ca_certificates: ca.pem
  proxy: http://{relay.address}
  env: {{BUILD_TOKEN: {SECRETS["token"]}}}
"""
        )
        made = Slimrun(folder / "slim.yaml", slimrun.cache)
        yield Compiler(made, relay)
        cleaned = made("clean", "--max-size", "0B")
        assert cleaned.code == 0, cleaned.text


@pytest.fixture(scope="session")
def static(compiler: Compiler) -> Done:
    """recipes/py3-static.yaml, run for the first time in this session."""
    done = compiler.recipe("py3-static")
    assert done.code == 0, done.text
    return done


# Enough of CPython's shape for slimrun, compiled in a second.
TINY = {
    "configure": "#!/bin/sh\necho checking for gcc... gcc\n",
    "Include/patchlevel.h": '#define PY_VERSION "3.11.2"\n',
    "Makefile": "all:\n\tgcc -c x.c\ninstall:\n\ttrue\n",
    "x.c": "int f(void) { return 0; }\n",
}  # fmt: skip


def tiny(folder: Path, **files: str) -> Path:
    """A repository of TINY with these files instead."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    write(folder, TINY | files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "tiny")
    return folder
