"""An engine that goes away or falls silent in the middle: exit 4, a word on which engine, and the next run goes on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.between import Between
from tests.docker.conftest import RECIPES, docker, left_over

if TYPE_CHECKING:
    from tests.docker.conftest import Slimrun

HELLO = RECIPES / "hello.yaml"
# Folders of the base build, the runtime's layers, the finished image, the check that runs in it.
PLACES = ["GET .*/containers/.*/archive", "GET .*/images/.*/get", "POST .*/images/load", "POST .*/containers/.*/wait"]


@pytest.mark.parametrize("pattern", PLACES)
def test_an_engine_that_dies(slimrun: Slimrun, tmp_path: Path, pattern: str) -> None:
    """Folders are read as archives behind TCP, where layers are never read directly."""
    fresh = slimrun.fresh(tmp_path / "cache")
    words = (HELLO, "--backend", "docker", "--save", tmp_path / "x.tar")
    path = None if "archive" in pattern else tmp_path / "s"
    with Between(os.environ["DOCKER_HOST"], path=path) as between:
        stop = between.stop_at(pattern, after=100_000 if pattern.startswith("GET") else 0)
        env = fresh.environ(DOCKER_HOST=between.engine)
        with subprocess.Popen(
            fresh.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        ) as run:
            assert stop.reached.wait(60)
            between.die()
            out, err = run.communicate(timeout=60)
        assert run.returncode == 4, out + err
        assert "UNREACHABLE!" in out
        assert f"at {between.engine}" in out
        assert "hint: " in out
        assert "Traceback" not in out + err
        assert "own fault" not in out + err
        assert list((tmp_path / "cache/slimrun/staging").iterdir()) == []
        assert not (tmp_path / "x.tar").exists()
    # The engine is there again: what the run could not take away any more, `clean` does.
    cleaned = fresh("clean")
    assert cleaned.code == 0, cleaned.text
    assert left_over() == []
    again = fresh(*words)
    assert again.code == 0, again.text


def test_an_engine_that_answers_and_then_is_silent(slimrun: Slimrun, tmp_path: Path) -> None:
    """docker.timeout is how long that is endured; `clean` endures no more than half a minute."""
    config = tmp_path / "slim.yaml"
    config.write_text(f"{slimrun.config.read_text()}docker: {{timeout: 3s}}\n", encoding="utf-8")
    with Between(os.environ["DOCKER_HOST"], path=tmp_path / "s") as between:
        between.stop_at("(GET|POST) .*/(images|containers)/")
        for words in ((HELLO, "--backend", "docker", "--refresh"), ("clean",)):
            began = time.monotonic()
            done = slimrun(*words, "--config", config, DOCKER_HOST=between.address)
            assert done.code == 4, done.text
            assert "did not answer in time" in done.text
            assert "raise docker.timeout in slim.yaml" in done.text
            assert time.monotonic() - began < 25


def test_who_never_answers_at_all(slimrun: Slimrun, tmp_path: Path) -> None:
    """Engines and a registry that take the connection and no more; asked at once, as each is waited for."""
    config = tmp_path / "slim.yaml"
    with socket.create_server(("127.0.0.1", 0)) as registry, socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "s"))
        engine.listen()
        address = f"127.0.0.1:{registry.getsockname()[1]}"
        config.write_text(f"mirrors: {{images: {json.dumps({'docker.io/library': f'{address}/library'})}}}\n")
        fresh = slimrun.fresh(tmp_path / "cache")
        env = fresh.environ(DOCKER_HOST=f"unix://{tmp_path}/s")
        wanted = {
            ("clean", "--config", config): (0, "going on without one"),
            (HELLO, "--backend", "docker", "--config", config): (4, f"no Docker Engine answers at unix://{tmp_path}/s"),
            (HELLO, "--backend", "local", "--config", config): (
                4,
                f"the registry {address} takes the connection and does not",
            ),
        }
        began = time.monotonic()
        runs = [
            subprocess.Popen(fresh.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
            for words in wanted
        ]
        for run, (code, text) in zip(runs, wanted.values(), strict=True):
            out = run.communicate(timeout=90)[0]
            assert (run.returncode, text in out) == (code, True), out
            assert "Traceback" not in out
        assert time.monotonic() - began < 60, "about half a minute, on a machine that has other things to do"


def test_names_that_are_no_engine(slimrun: Slimrun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, reason in (
        (tmp_path / "file", "Connection refused"),
        (tmp_path, "Connection refused"),
        (Path("/dev/null"), ""),
    ):
        done = slimrun(HELLO, "--backend", "docker", DOCKER_HOST=f"unix://{path}")
        assert done.code == 4, done.text
        assert f"no Docker Engine answers at unix://{path} (DOCKER_HOST): {reason}" in done.text
    assert docker("version", check=False).code == 0
