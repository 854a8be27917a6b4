"""Several images at once on a real engine: equal stages once, one that fails, Ctrl-C however often, and two runs side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import ROOT, docker, left_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.docker.conftest import Done, Slimrun

RECIPE = """
python: {image: "python:3.11-slim"}
runtime: ${runtime}
image: {env: {N: "${n}"}}
verify: {run: [{cmd: [-c, "${code:-print('up')}"]}]}
"""
CATALOG = """
catalog: together
images:
  - recipe: app.yaml
    name: together-%(name)s-${n}-${kind}
    vars: {runtime: "busybox:glibc"}
    matrix: {n: ["1", "2"], kind: [bb]}
  - recipe: app.yaml
    name: together-%(name)s-${n}-${kind}
    vars: {runtime: scratch}
    matrix: {n: ["1", "2"], kind: [none]}
"""
NAMES = ("1-bb", "2-bb", "1-none", "2-none")


@pytest.fixture(autouse=True)
def nothing_left() -> object:
    """After each of these the engine is as it was."""
    yield
    assert left_over() == []


@pytest.fixture
def catalog(tmp_path: Path) -> Callable[..., Path]:
    """A catalog of four images in a repository of its own."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/app.yaml").write_text(RECIPE)

    def write(name: str, **variables: str) -> Path:
        for image in images(name):  # an earlier session's
            docker("image", "rm", f"together-{name}-{image}")
        path = tmp_path / "repo" / f"{name}.yaml"
        more = "".join(f', {key}: "{value}"' for key, value in variables.items())
        path.write_text((CATALOG % {"name": name}).replace('"}\n    matrix', f'"{more}}}\n    matrix').replace(
            "scratch}", f"scratch{more}}}"))  # fmt: skip
        return path

    return write


def images(name: str) -> list[str]:
    """The engine's images of a catalog."""
    lines = docker("images", "--format", "{{.Repository}}", "--filter", f"reference=together-{name}-*").out
    return sorted(line.removeprefix(f"together-{name}-") for line in lines.split())


def digests(folder: Path) -> dict[str, str]:
    return {row["name"]: row["digest"] for row in json.loads((folder / "meta.json").read_text())}


def test_four_at_once_are_what_they_are_one_by_one(
    slimrun: Slimrun, catalog: Callable[..., Path], tmp_path: Path
) -> None:
    path, meta = catalog("four"), tmp_path / "meta.json"
    fresh = slimrun.fresh(tmp_path / "cache")
    done = fresh(path, "-f", "4", "--metadata-file", meta)
    assert done.code == 0, done.text
    assert done.out.count("\nPLAY [") == 1
    assert "changed: [together-four-1-bb]" in done.out
    assert done.out.count("TASK [python : take CPython out of python:3.11-slim]") >= 1
    recaps = [line.split(" : ")[0] for line in done.out.splitlines() if " : ok=" in line]
    assert recaps == [f"together-four-{name}" for name in NAMES], "in the catalog's order"
    changed = [done.recap(f"together-four-{name}")["changed"] for name in NAMES]
    assert sum(changed) == 2 + 1 + 2 + 4 * 3, "resolve and prune for each runtime, Python once"
    assert images("four") == sorted(NAMES)
    expected = digests(tmp_path)
    again = fresh(path, "-f", "3", "--metadata-file", meta)
    assert [again.recap(f"together-four-{name}")["changed"] for name in NAMES] == [0] * 4
    assert again.out.count("(nothing changed)") == 4
    one = slimrun.fresh(tmp_path / "other")(path, "-l", "*-1-*", "--metadata-file", meta)
    assert one.code == 0, one.text
    assert digests(tmp_path) == {name: digest for name, digest in expected.items() if "-1-" in name}
    layers = [
        json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", f"together-four-{name}").out)
        for name in ("1-bb", "2-bb")
    ]
    assert layers[0][:2] == layers[1][:2], "one Python for both"


APART = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from slimrun.plan.compile import compile_plan
from slimrun.recipe.catalog import load_members
from slimrun.recipe.slim import load_slim
from slimrun.schedule import run_plans
from slimrun.settings import Settings
from slimrun.work.opening import opened

if __name__ == "__main__":
    catalog, config, cache = map(Path, sys.argv[1:])
    slim = load_slim(config)
    members = [member for member in load_members(catalog, slim=slim) if member.recipe.name.endswith("bb")]
    plans = [compile_plan(member.recipe) for member in members]
    settings = Settings(cache_dir=cache, backend="docker", mirrors=slim.mirrors)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        with opened(settings, lambda event: None, dict(os.environ)) as context:
            for outcome in run_plans(plans, context, forks=2, executor=pool):
                if outcome.error:
                    sys.exit(outcome.error.render())
                print(outcome.image, outcome.finished.config.digest())
"""


def test_worker_processes_make_the_same(slimrun: Slimrun, catalog: Callable[..., Path], tmp_path: Path) -> None:
    path, script = catalog("apart"), tmp_path / "apart.py"
    script.write_text(APART)
    argv = [sys.executable, str(script), str(path), str(slimrun.config), str(tmp_path / "cache")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, env=slimrun.environ())
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    assert images("apart") == ["1-bb", "2-bb"]
    assert slimrun(path, "-l", "*-bb", "--metadata-file", tmp_path / "meta.json").code == 0
    assert {name: digest.removeprefix("sha256:") for name, digest in digests(tmp_path).items()} == found


def test_one_that_fails_is_alone_in_it(slimrun: Slimrun, catalog: Callable[..., Path]) -> None:
    path = catalog("fails", code="import os; os.environ['N'] == '1' and 1/0")
    done = slimrun(path, "-f", "4")
    assert done.code == 2, done.text
    assert done.out.count("FAILED!") == 2
    assert "Traceback (most recent call last)" in done.out, "of the command in the image"
    assert images("fails") == ["2-bb", "2-none"]
    assert [done.recap(f"together-fails-{name}")["failed"] for name in NAMES] == [1, 0, 1, 0]


def sleeping(catalog: Callable[..., Path], name: str, seconds: float) -> Path:
    return catalog(name, code=f"import time; time.sleep({seconds})")


def begun(process: subprocess.Popen[str], count: int, seconds: str) -> None:
    """Wait until so many commands that sleep so long are at work, in containers or namespaces."""
    deadline = time.monotonic() + 90
    while _asleep(seconds) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "verify did not begin"
        time.sleep(0.1)


def _asleep(seconds: str) -> int:
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        found += f"import time; time.sleep({seconds})".encode() in words and b"-c" in words
    return found


@pytest.mark.parametrize(
    ("backend", "numbers", "code"),
    [
        ("docker", (signal.SIGINT,), 130),
        ("docker", (signal.SIGTERM,), 143),
        ("docker", (signal.SIGINT, signal.SIGTERM, signal.SIGINT), 130),
        ("local", (signal.SIGTERM,), 143),
        ("local", (signal.SIGINT, signal.SIGINT), 130),
    ],
)
def test_ctrl_c_clears_all_away(
    numbers: tuple[signal.Signals, ...],
    code: int,
    backend: str,
    slimrun: Slimrun,
    catalog: Callable[..., Path],
    tmp_path: Path,
) -> None:
    seconds = f"61.{os.getpid()}{len(numbers)}{code}"
    path = sleeping(catalog, "stopped", float(seconds))
    argv = slimrun.argv(path, "-f", "3", "--backend", backend, "--save", f"{tmp_path}/{{name}}.tar")
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=slimrun.environ()
    ) as process:
        begun(process, 3, str(float(seconds)))
        pressed = time.monotonic()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, out + err
    assert time.monotonic() - pressed < 15
    assert "Traceback" not in out + err
    assert "cleared away" in err
    assert _asleep(str(float(seconds))) == 0
    assert images("stopped") == []
    assert list(tmp_path.glob("*.tar")) == []
    assert [item.name for item in (slimrun.cache / "slimrun/staging").iterdir()] == []


def test_two_runs_side_by_side_share_their_work(slimrun: Slimrun, catalog: Callable[..., Path], tmp_path: Path) -> None:
    path = catalog("both")
    fresh = slimrun.fresh(tmp_path / "cache")
    runs = [
        subprocess.Popen(
            fresh.argv(path, "-f", "2", "-l", "*-bb"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=fresh.environ(),
        )
        for _ in range(2)
    ]
    outs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outs
    assert sum(out.count("changed: [") for out in outs) == 3 + 2 * 3
    assert images("both") == ["1-bb", "2-bb"]


def test_one_of_two_runs_is_stopped_and_the_other_does_not_mind(
    slimrun: Slimrun, catalog: Callable[..., Path], tmp_path: Path
) -> None:
    seconds = f"4.{os.getpid()}"
    path = sleeping(catalog, "minds", float(seconds))
    fresh = slimrun.fresh(tmp_path / "cache")
    argv = fresh.argv(path, "-f", "4")
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=fresh.environ()
    ) as first:
        begun(first, 1, str(float(seconds)))
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=fresh.environ()) as second:
            time.sleep(1.0)
            first.send_signal(signal.SIGINT)
            _, err = first.communicate(timeout=30)
            out = second.communicate(timeout=120)[0]
    assert first.returncode == 130, err
    assert second.returncode == 0, out
    assert images("minds") == sorted(NAMES)


def recap_of(done: Done) -> list[str]:
    return [line for line in done.out.splitlines() if " : ok=" in line]


def test_an_image_says_what_changed(slimrun: Slimrun, catalog: Callable[..., Path]) -> None:
    path = catalog("why")
    assert slimrun(path, "-f", "2").code == 0
    path.write_text(path.read_text().replace("scratch}", "scratch}\n    set: {prune: {strip: false}}"))
    done = slimrun(path, "-f", "2")
    assert done.code == 0, done.text
    lines = dict(line.split(" : ") for line in recap_of(done))
    assert all(lines[f"together-why-{name}"].endswith("(nothing changed)") for name in ("1-bb", "2-bb"))
    assert all("prune: prune.strip changed" in lines[f"together-why-{name}"] for name in ("1-none", "2-none")), lines
