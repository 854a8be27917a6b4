"""docs/example: a repository as a team keeps one, run as it stands against stand-ins for the official images."""

from __future__ import annotations

import json
import shutil
import socket
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CANNOT
from tests.docker.conftest import ROOT, Slimrun, docker, inspect, left_over

if TYPE_CHECKING:
    from tests.docker.conftest import Done

pytestmark = pytest.mark.network
OLD = bool(list(Path("/root/.pyenv/versions").glob("3.7.*")))
SERVICES = [f"notes-py{py}-{runtime}" for py in ("3.11", "3.7") for runtime in ("busybox-glibc", "scratch")]
SALES = """\
        orders  total  share
region                      
north        3  62.50  0.368
south        2 100.00  0.589
west         1   7.25  0.043
first 2026-01-05 last 2026-02-03
"""


class Example:
    """A copy of the example in a repository of its own; slim.yaml is found by walking up, and gets mirrors."""

    def __init__(self, slimrun: Slimrun, folder: Path, registry: str) -> None:
        self.folder = folder / "example"
        shutil.copytree(ROOT / "docs/example", self.folder)
        (self.folder / ".git").mkdir()
        with (self.folder / "slim.yaml").open("a", encoding="utf-8") as slim:
            slim.write(f"\nmirrors:\n  images:\n    docker.io/library: {registry}/library\n")
        self._slimrun = slimrun

    def __call__(self, *words: str) -> Done:
        limit = () if OLD or "-l" in words else ("-l", "notes-py3.11-*,@batch")
        return self._slimrun(*words, *limit, cwd=self.folder, SLIMRUN_CONFIG="")


@pytest.fixture(scope="module")
def example(slimrun: Slimrun, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Example:
    made = Example(slimrun, tmp_path_factory.mktemp("repository"), registry)
    done = made("catalog.yaml", "-f", "2", "--metadata-file", "meta.json")
    assert done.code == 0, done.text
    names = [line.split()[0] for line in done.out.partition("PLAY RECAP")[2].splitlines() if " : ok=" in line]
    assert names == [name for name in [*SERVICES, "sales"] if OLD or "3.7" not in name]
    return made


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_answers_over_http(name: str, example: Example) -> None:
    if "3.7" in name and not OLD:
        pytest.skip(f"{CANNOT}CPython 3.7: no Debian suite has it, and there is no pyenv prefix of it")
    assert example.folder.is_dir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--detach", "--rm", "--read-only", "--network", "host", "--env", f"PORT={port}")
    container = docker("run", *options, name).out.strip()
    try:
        home = f"http://127.0.0.1:{port}"
        assert _answer(home)["python"].startswith(name.split("-")[1].removeprefix("py") + ".")
        with urllib.request.urlopen(f"{home}/notes", data=b"bread", timeout=10) as answer:
            assert (answer.status, json.load(answer)) == (201, {"id": 1})
        assert _answer(f"{home}/notes") == [{"id": 1, "text": "bread"}]
    finally:
        docker("rm", "--force", "--volumes", container)
    assert left_over() == []


def _answer(url: str) -> dict[str, str]:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                value: dict[str, str] = json.load(answer)
                return value
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


def test_the_job_sums_up(example: Example) -> None:
    assert example.folder.is_dir()
    assert docker("run", "--rm", "--read-only", "--network", "none", "sales").out == SALES


def test_metadata_is_that_of_the_engine(example: Example) -> None:
    rows = json.loads((example.folder / "meta.json").read_text())
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["name"]: row["groups"] for row in rows}["sales"] == ["batch", "nightly"]
    for row in rows:
        facts = inspect(row["tags"][0])
        assert facts["Id"] == row["digest"]
        labels = facts["Config"]["Labels"]  # type: ignore[index]
        assert labels["org.opencontainers.image.vendor"] == "Example Ltd"
        assert labels["org.opencontainers.image.title"] == row["name"]
        sbom = json.loads((example.folder / f"build/reports/{row['name']}.cdx.json").read_text())
        assert sbom["metadata"]["component"]["version"] == row["digest"]


def test_images_of_one_python_and_runtime_share_its_layers(example: Example) -> None:
    layers = {row["name"]: row["layers"] for row in json.loads((example.folder / "meta.json").read_text())}
    service, job, other = layers["notes-py3.11-busybox-glibc"], layers["sales"], layers["notes-py3.11-scratch"]
    assert service[:2] == job[:2], "the runtime's and CPython's"
    assert service[2:] != job[2:]
    assert service[0] not in other
    files = {tuple(rows)[-2] for name, rows in layers.items() if name.startswith("notes")}
    assert len(files) == 1, "the service's own files, in four images"


def test_only_what_changed_is_made_again(example: Example) -> None:
    done = example("catalog.yaml")
    assert done.code == 0, done.text
    assert "changed:" not in done.out
    source = example.folder / "sales/sales.py"
    source.write_text(source.read_text().replace("Sums up", "Adds up"))
    done = example("catalog.yaml")
    assert done.code == 0, done.text
    assert done.recap("sales")["changed"] > 0
    assert done.recap("notes-py3.11-scratch")["changed"] == 0


def test_the_policy_of_the_example_holds(example: Example) -> None:
    slim = example.folder / "slim.yaml"
    line = 1 + slim.read_text().splitlines().index("  forbid_root: true")
    done = example("catalog.yaml", "-l", "sales", "--set", "image.user=0")
    assert done.code == 3, done.text
    assert f"policy.forbid_root at {slim}:{line}:3" in done.err
    done = example("catalog.yaml", "-l", "sales", "--set", "runtime=debian:bookworm-slim")
    assert done.code == 3, done.text
    assert "'docker.io/library/debian:bookworm-slim' is not allowed" in done.err
    whole = slim.read_text()
    try:
        slim.write_text(whole.replace("max_size: 250MB", "max_size: 40MB\n  forbid_shell: true"))
        done = example("catalog.yaml", "-l", "sales")
    finally:
        slim.write_text(whole)
    assert done.code == 2, done.text
    assert f"{slim}:" in done.out
    assert "policy.max_size" in done.out
    assert "/bin/ash is a shell" in done.out
    assert left_over() == []
