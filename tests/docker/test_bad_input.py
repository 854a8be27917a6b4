"""What goes wrong, as a person meets it: a clear error with the next step, nothing half-written, no container left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import RECIPES, docker, left_over, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Done, Slimrun

SLEEP = "verify:\n  run:\n    - cmd: [-c, 'import time; time.sleep(60)']\n"
HEAD = "python: {image: 'python:3.11-slim'}\n"


@pytest.fixture(autouse=True)
def nothing_left() -> object:
    """After each of these the engine is as it was."""
    yield
    assert left_over() == []


def assert_clear(done: Done, code: int, *texts: str) -> None:
    assert done.code == code, done.text
    assert "Traceback" not in done.text
    for text in texts:
        assert text in done.text


def test_no_engine_names_the_socket_and_who_chose_it(slimrun: Slimrun, tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/no.sock"
    done = slimrun.fresh(tmp_path / "cache")(RECIPES / "hello.yaml", "--backend", "docker", DOCKER_HOST=socket)
    assert_clear(
        done, 4, f"no Docker Engine answers at {socket} (DOCKER_HOST)", "hint: start the engine", "UNREACHABLE!"
    )


def test_slim_yaml_chooses_the_engine_before_the_environment(slimrun: Slimrun, tmp_path: Path) -> None:
    config = tmp_path / "slim.yaml"
    config.write_text("docker:\n  host: tcp://127.0.0.1:9\n", encoding="utf-8")
    done = slimrun.fresh(tmp_path / "cache")(RECIPES / "hello.yaml", "--backend", "docker", "--config", config)
    assert_clear(done, 4, "tcp://127.0.0.1:9 (docker.host in slim.yaml, or --docker-host)", "Connection refused")


def test_unknown_image_has_its_place(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "name: x\npython:\n  image: python:9.99-nope\n")
    assert_clear(slimrun(recipe), 2, f"{recipe}:2:1", "there is no image", "python:9.99-nope", "hint:")


def test_an_image_without_python(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "name: x\npython:\n  image: busybox:glibc\n")
    assert_clear(slimrun(recipe), 2, "busybox:glibc has no python3", f"{recipe}:2:1", "hint:")


@pytest.mark.network
def test_wheel_that_does_not_exist(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, HEAD + "wheels:\n  - slimrun-no-such-distribution==1.0\n")
    assert_clear(slimrun(recipe), 2, "slimrun-no-such-distribution", f"{recipe}:3:", "hint:")


@pytest.mark.network
def test_wheel_for_another_python(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, HEAD + "wheels:\n  - psycopg2-binary==2.8.6\n")
    assert_clear(slimrun(recipe), 2, "psycopg2-binary", "3.9", f"{recipe}:3:", "hint:")


def test_verify_that_fails_leaves_tag_and_file_alone(slimrun: Slimrun, tmp_path: Path) -> None:
    good = write_recipe(tmp_path, "name: moves\n" + HEAD, "good.yaml")
    assert slimrun(good).code == 0
    before = docker("image", "inspect", "--format", "{{.Id}}", "moves").out
    text = "name: moves\n" + HEAD + "image: {env: {A: b}}\nverify:\n  run:\n    - cmd: [-c, 'raise SystemExit(3)']\n"
    bad = write_recipe(tmp_path, text, "bad.yaml")
    done = slimrun(bad, "--save", tmp_path / "moves.tar")
    assert_clear(done, 2, "exit status 3, expected 0", f"{bad}:6:", "FAILED!")
    assert docker("image", "inspect", "--format", "{{.Id}}", "moves").out == before
    assert not (tmp_path / "moves.tar").exists()


def test_import_that_fails_names_the_module_and_the_line(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, HEAD + "verify:\n  imports:\n    - json\n    - no_such_module\n")
    done = slimrun(recipe)
    assert_clear(done, 2, "import no_such_module: ModuleNotFoundError", f"{recipe}:5:7")


def test_missing_library_comes_with_its_chain(slimrun: Slimrun, tmp_path: Path) -> None:
    text = (
        HEAD
        + "prune:\n  drop: ['/usr/lib/**/libsqlite3.so.0*']\n"
        + "  keep: ['/usr/local/lib/python3.11/lib-dynload/_sqlite3*']\n"
    )
    done = slimrun(write_recipe(tmp_path, text))
    assert_clear(done, 2, "libsqlite3.so.0 is needed by", "because prune.keep names", "image.yaml:4:")


def test_too_large(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, HEAD + "verify: {max_size: 10MB}\n")
    assert_clear(slimrun(recipe), 2, "max_size", "of at most 10.0 MB", f"{recipe}:2:")


def test_glob_that_matches_nothing(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, HEAD + "prune:\n  drop: [/usr/local/lib/python3.11/nothing*]\n")
    assert_clear(slimrun(recipe), 2, "matches nothing", f"{recipe}:3:")


def test_what_a_later_version_does_is_said_before_anything_runs(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, HEAD + "prune:\n  level: tiny\n")
    done = slimrun(recipe)
    assert_clear(done, 3, "level tiny: not done yet [not-yet]", f"{recipe}:3:")
    assert "PLAY" not in done.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_in_verify_leaves_nothing(
    slimrun: Slimrun, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    text = f"name: interrupted\n{HEAD}image: {{env: {{N: '{code}'}}}}\n{SLEEP}"
    recipe = write_recipe(tmp_path, text)
    argv = slimrun.argv(recipe, "--save", tmp_path / "out.tar")
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=slimrun.environ()
    ) as process:
        deadline = time.monotonic() + 60
        while not docker("ps", "-q", "--filter", "label=io.slimrun.stage=verify").out.split():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "verify did not begin"
            time.sleep(0.2)
        time.sleep(1.0)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    assert "cleared away" in err
    assert docker("images", "-q", "interrupted").out == ""
    assert not (tmp_path / "out.tar").exists()


def test_killed_run_is_cleaned_up_by_clean(slimrun: Slimrun, tmp_path: Path) -> None:
    text = f"name: killed\n{HEAD}image: {{env: {{N: kill}}}}\n{SLEEP}"
    argv = slimrun.argv(write_recipe(tmp_path, text))
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=slimrun.environ()) as process:
        deadline = time.monotonic() + 60
        while not docker("ps", "-q", "--filter", "label=io.slimrun.stage=verify").out.split():
            assert time.monotonic() < deadline, "verify did not begin"
            time.sleep(0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = slimrun("clean")
    assert done.code == 0, done.text
    assert "removed container" in done.out
    assert "removed image slimrun.invalid/unverified:" in done.out
    assert slimrun("clean").out == "nothing to remove\n"


def test_twice_at_once_makes_it_once(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, f"name: twice\n{HEAD}image: {{env: {{N: twice}}}}\n")
    fresh = slimrun.fresh(tmp_path / "cache")
    runs = [
        subprocess.Popen(fresh.argv(recipe), stdout=subprocess.PIPE, text=True, env=fresh.environ()) for _ in range(2)
    ]
    outs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outs
    assert sum(out.count("changed: [twice]") for out in outs) == 6
