"""Ctrl-C while something arrives: exit 130, nothing half-written, no container; and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.docker.between import Between
from tests.docker.conftest import RECIPES, left_over, write_recipe
from tests.fetch.loopback import Answer, SimpleIndex, Site
from tests.fetch.wheelmaker import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.conftest import Slimrun

HELLO = RECIPES / "hello.yaml"
PATIENCE = 60.0
# A person who presses Ctrl-C waits for the engine to take away a container, not for what was under way.
SOON = 15.0


def interrupt(slimrun: Slimrun, reached: Callable[[], bool], *words: str | Path, **environ: str) -> str:
    """Start a run, press Ctrl-C once it is where it should be; answers with what it printed."""
    argv, env = slimrun.argv(*words), slimrun.environ(**environ)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it did not get there"
            time.sleep(0.05)
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130, out + err
    assert time.monotonic() - pressed < SOON
    assert "Traceback" not in out + err
    assert "interrupted; what was begun has been cleared away" in err
    return out + err


def assert_nothing_half(slimrun: Slimrun, *absent: Path) -> None:
    staging = slimrun.cache / "slimrun/staging"
    assert not staging.is_dir() or list(staging.iterdir()) == []
    assert [path for path in absent if path.exists()] == []
    assert left_over() == []


def test_while_an_image_is_pulled(slimrun: Slimrun, tmp_path: Path, registry: str, only_there: str) -> None:
    recipe = write_recipe(tmp_path, f"name: pulled\npython: {{image: 'python:3.11-slim'}}\nruntime: {only_there}\n")
    name = only_there.partition(":")[0]
    with Between(registry) as between:
        config = tmp_path / "slim.yaml"
        mirrors = {
            f"docker.io/library/{name}": f"{between.address}/library/{name}",
            "docker.io/library": f"{registry}/library",
        }
        config.write_text(f"mirrors: {{images: {json.dumps(mirrors)}}}\n", encoding="utf-8")
        words = (recipe, "--config", config, "--backend", "docker", "--save", tmp_path / "x.tar")
        stop = between.stop_at("/blobs/", after=100_000)
        out = interrupt(slimrun, stop.reached.is_set, *words)
        assert "TASK [resolve" in out
        assert_nothing_half(slimrun, tmp_path / "x.tar")
        between.release()
        again = slimrun(*words)
        assert again.code == 0, again.text
        assert (tmp_path / "x.tar").is_file()


@pytest.mark.parametrize("pattern", ["GET .*/containers/.*/archive", "GET .*/images/.*/get", "POST .*/images/load"])
def test_while_the_engine_hands_over_or_takes(slimrun: Slimrun, tmp_path: Path, pattern: str) -> None:
    """Folders of the base build; the runtime's layers; the finished image. Folders are archives behind TCP alone."""
    path = None if "archive" in pattern else tmp_path / "s"
    with Between(os.environ["DOCKER_HOST"], path=path) as between:
        fresh = slimrun.fresh(tmp_path / "cache")
        stop = between.stop_at(pattern, after=100_000 if "load" not in pattern else 0)
        words = (HELLO, "--backend", "docker", "--save", tmp_path / "x.tar")
        interrupt(fresh, stop.reached.is_set, *words, DOCKER_HOST=between.engine)
        assert_nothing_half(fresh, tmp_path / "x.tar")
        between.release()
        again = fresh(*words, DOCKER_HOST=between.engine)
        assert again.code == 0, again.text
        assert_nothing_half(fresh)


@contextmanager
def creating(slimrun: Slimrun, path: Path) -> Iterator[tuple[Between, subprocess.Popen[str]]]:
    """A run whose engine has created a container, and has not said so yet."""
    with Between(os.environ["DOCKER_HOST"], path=path) as between:
        stop = between.stop_at("POST .*/containers/create")
        argv, env = slimrun.argv(HELLO, "--backend", "docker"), slimrun.environ(DOCKER_HOST=between.engine)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
            assert stop.reached.wait(PATIENCE)
            assert left_over() != []
            yield between, process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_a_container_is_created(slimrun: Slimrun, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Who asked for it does not know which it is yet."""
    fresh = slimrun.fresh(tmp_path / "cache")
    with creating(fresh, tmp_path / "s") as (between, process):
        process.send_signal(number)
        time.sleep(0.5)
        assert process.poll() is None, "it waits for the answer"
        between.release()
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, out + err
    assert "what was begun has been cleared away" in err
    assert_nothing_half(fresh)


def test_an_engine_that_does_not_say_which_container_it_created(slimrun: Slimrun, tmp_path: Path) -> None:
    with creating(slimrun.fresh(tmp_path / "cache"), tmp_path / "s") as (_, process):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert "[WARNING]: a container that was being created may be left" in out + err
    assert slimrun("clean").code == 0
    assert left_over() == []


def test_while_wheels_are_downloaded(slimrun: Slimrun, tmp_path: Path) -> None:
    text = "name: wheels\npython: {image: 'python:3.11-slim'}\nwheels: [demo]\nverify: {imports: [demo]}\n"
    with Site() as site:
        index = SimpleIndex(site)
        wheel = make(tmp_path, "demo", "1.0")
        index.add(wheel)
        path = f"/main/files/{wheel.name}"
        site.answers[path] = [Answer(body=wheel.read_bytes(), before=PATIENCE)]
        config = tmp_path / "slim.yaml"
        config.write_text(f"{slimrun.config.read_text()}  pypi: {index.url}\n", encoding="utf-8")
        words = (write_recipe(tmp_path, text), "--config", config, "--backend", "docker", "--save", tmp_path / "x.tar")
        interrupt(slimrun, lambda: path in site.asked, *words)
        assert_nothing_half(slimrun, tmp_path / "x.tar")
        site.serve(path, wheel.read_bytes())
        again = slimrun(*words)
        assert again.code == 0, again.text
        assert (tmp_path / "x.tar").is_file()


def test_while_the_engine_answers_nothing_any_more(slimrun: Slimrun, tmp_path: Path) -> None:
    """What cannot be cleared away is told; `clean` does it when the engine is there again."""
    config = tmp_path / "slim.yaml"
    config.write_text(f"{slimrun.config.read_text()}docker: {{timeout: 2s}}\n", encoding="utf-8")
    with Between(os.environ["DOCKER_HOST"]) as between:
        fresh = slimrun.fresh(tmp_path / "cache")
        stop = between.stop_at("GET .*/archive|DELETE ")
        out = interrupt(
            fresh,
            stop.reached.is_set,
            HELLO,
            "--backend",
            "docker",
            "--config",
            config,
            DOCKER_HOST=between.engine,
        )
        assert "[WARNING]: a container that was read from may be left" in out
        assert "hint: `slimrun clean` removes it once the engine answers" in out
    assert slimrun("clean").code == 0
    assert left_over() == []
