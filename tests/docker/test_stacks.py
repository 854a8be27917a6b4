"""Real stacks of PyPI's wheels, each imported and exercised in its image (tests/examples/stacks)."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import ROOT, docker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

STACKS = ROOT / "tests" / "examples" / "stacks"
NAMES = sorted(path.stem for path in STACKS.glob("*.yaml") if path.stem != "stack")

pytestmark = pytest.mark.network


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of our own, and a certificate by it for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    ca = ["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=an authority of a test"]
    server = [
        "-keyout",
        "server.key",
        "-out",
        "server.crt",
        "-subj",
        "/CN=localhost",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
    ]
    name = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    for words in ([*key, *ca], [*key, *server, *name]):
        subprocess.run(["openssl", "req", "-x509", *words], cwd=folder, check=True, capture_output=True)
    (folder / "server.key").chmod(0o644)
    return folder


def test_there_are_ten() -> None:
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_stack(slimrun: Slimrun, name: str) -> None:
    """The recipe's verify runs its program, and no tag moves before that has printed `ok`."""
    done = slimrun(STACKS / f"{name}.yaml", "--set", f"name=stack-{name}")
    assert done.code == 0, done.text
    assert done.recap(f"stack-{name}")["failed"] == 0


def test_the_orm_over_a_real_postgresql(slimrun: Slimrun) -> None:
    assert slimrun(STACKS / "sqlalchemy.yaml", "--set", "name=stack-sqlalchemy").code == 0
    dsn = f"{os.environ['SLIMRUN_TEST_POSTGRES']} sslmode=verify-full sslrootcert=/ca.crt"
    ran = docker(
        *("run", "--rm", "--network", "host", "--read-only", "--env", f"DATABASE={dsn}"),
        *("--volume", f"{os.environ['SLIMRUN_TEST_POSTGRES_CA']}:/ca.crt:ro", "stack-sqlalchemy", "/check.py"),
    )
    assert ran.out.splitlines() == ["postgresql", "ok"]


def test_a_client_with_an_authority_of_its_own(slimrun: Slimrun, authority: Path) -> None:
    assert slimrun(STACKS / "requests.yaml", "--set", "name=stack-requests").code == 0
    ran = docker(
        *("run", "--rm", "--network", "none", "--read-only", "--env", "TLS=/tls", "--volume", f"{authority}:/tls:ro"),
        *("stack-requests", "/check.py"),
    )
    assert ran.out.splitlines() == ["refused", "ok"]
