"""A recipe to a verified image file without an engine: the first run, the second, and what is said where something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import CANNOT
from tests.docker.conftest import Done
from tests.reports import report_of

if TYPE_CHECKING:
    from tests.local.conftest import Local

LIMIT = 250 << 20
DEAD = "127.0.0.1:9"
# Asked of the kernel here, not of slimrun: what it must not skip.
NAMESPACES = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def made(local: Local, hello: Path) -> Path:
    """hello, made once; the archive."""
    done = local(hello, "--backend", "local", "--metadata-file", "meta.json")
    assert done.code == 0, done.text
    return next((local.folder / "build").iterdir())


def test_the_last_line_says_how_to_use_it(local: Local, hello: Path, made: Path) -> None:
    lines = local(hello, "--backend", "local").out.splitlines()
    place = f"build/{made.name}"
    assert lines[-1] == f"saved as {place}; use it: docker load -i {place}"
    assert made.name.startswith("hello-")
    with tarfile.open(made) as archive:
        stream = archive.extractfile("manifest.json")
        assert stream is not None
        (entry,) = json.load(stream)
    (record,) = json.loads((local.folder / "meta.json").read_text())
    assert (f"sha256:{entry['Config']}", entry["RepoTags"]) == (f"{record['digest']}.json", ["hello:latest"])
    assert record["size"] < 45_000_000


def test_verify_was_not_skipped_where_commands_can_run(local: Local, made: Path) -> None:
    report = report_of(local.folder / "cache/slimrun", "hello")
    checks = {check["name"]: check for check in report["checks"]}
    assert made.is_file()
    if not NAMESPACES:
        pytest.skip(f"{CANNOT}commands in namespaces: `unshare --mount true` fails")
    assert not any(check["skipped"] for check in checks.values())
    assert checks["run -c print('hello')"]["ok"] is True
    assert checks["import _ssl"]["ok"] is True


def test_a_second_run_changes_nothing_and_has_no_network(local: Local, hello: Path, made: Path) -> None:
    """In a network namespace that has not even loopback."""
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"{CANNOT}a network namespace")
    before = made.stat()
    words = [*alone, sys.executable, "-m", "slimrun", str(hello), "--backend", "local"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=local.folder, env=local.environ())
    assert Done(0, done.stdout, done.stderr).recap("hello")["changed"] == 0
    assert made.stat() == before


def test_a_second_run_loads_no_library_for_engine_or_network(local: Local, hello: Path, made: Path) -> None:
    """Nor many others: what a second run takes is mostly what it imports (benchmarks/dockerfile.py prints its seconds)."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "slimrun", hello, "--backend", "local"],
        capture_output=True,
        text=True,
        check=True,
        cwd=local.folder,
        env=local.environ(),
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "slimrun.backend.local" in loaded
    assert not loaded & {
        "docker",
        "requests",
        "zstandard",
        "slimrun.oci.registry",
        "slimrun.backend.sandbox",
        "slimrun.elf.reader",
    }
    assert len(loaded) < 400
    assert made.is_file()


def test_an_archive_that_was_removed_is_written_again(local: Local, hello: Path, made: Path) -> None:
    data = made.read_bytes()
    made.unlink()
    done = local(hello, "--backend", "local")
    assert done.recap("hello")["changed"] == 0
    assert made.read_bytes() == data


def test_auto_says_that_it_goes_on_without_an_engine(local: Local, hello: Path, made: Path) -> None:
    done = local(hello)
    assert done.code == 0, done.text
    assert (
        f"no Docker Engine answers at unix://{local.folder}/no.sock (DOCKER_HOST): No such file"
        in done.out.splitlines()[0]
    )
    assert done.recap("hello")["changed"] == 0
    assert made.is_file()


@pytest.mark.parametrize("words", [("--backend", "docker"), ("--docker-host", f"tcp://{DEAD}")])
def test_an_engine_that_is_asked_for_by_name_is_not_done_without(
    local: Local, hello: Path, words: tuple[str, str]
) -> None:
    done = local(hello, *words, "--refresh")
    assert done.code == 4
    assert "no Docker Engine answers" in done.out


def test_slim_yaml_chooses(local: Local, hello: Path, made: Path) -> None:
    config = local.folder / "own.yaml"
    config.write_text((local.folder / "slim.yaml").read_text() + "backend: local\n")
    done = local(hello, "--config", config)
    assert (done.code, "no Docker Engine" in done.text) == (0, False)
    assert made.is_file()


def test_nothing_is_left_over(local: Local, made: Path) -> None:
    assert made.is_file()
    assert list((local.folder / "cache/slimrun/staging").iterdir()) == []
    done = local("clean")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "nothing to remove"


def test_memory_stays_below_a_quarter_of_a_gigabyte(local: Local, hello: Path, tmp_path: Path) -> None:
    """With the largest stand-in as base build: 840 MB, inflated, hashed, read, and nothing of it held."""
    recipe = tmp_path / "big.yaml"
    recipe.write_text(hello.read_text().replace("python:3.11-slim", "python:3.11").replace("name: hello", "name: big"))
    peak = (
        "import os, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
    )
    words = [sys.executable, "-m", "slimrun", str(recipe), "--backend", "local"]
    environ = local.environ(XDG_CACHE_HOME=str(tmp_path / "cache"))
    done = subprocess.run(
        [sys.executable, "-c", peak, *words], capture_output=True, text=True, check=True, cwd=tmp_path, env=environ
    )
    code, most = map(int, done.stdout.split())
    assert code == 0, done.stderr
    assert most < LIMIT


# Where something is missing -----------------------------------------------------------------------------------------------


def test_what_cannot_be_run_is_skipped_with_the_reason_and_run_once_it_can(
    local: Local, hello: Path, tmp_path: Path
) -> None:
    words = (hello, "--backend", "local")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = local(*words, **cache, PATH="/nonexistent")
    assert done.code == 0, done.text
    (line,) = [line for line in done.out.splitlines() if line.startswith("[WARNING]")]
    assert "checks skipped, not ok: this machine does not let commands run in namespaces" in line
    assert "there is no unshare" in line
    report = report_of(tmp_path / "cache/slimrun", "hello")
    skipped = [check for check in report["checks"] if check["skipped"]]
    assert "run -c print('hello')" in {check["name"] for check in skipped}
    assert not any(check["ok"] for check in skipped)
    again = local(*words, **cache, PATH="/nonexistent")
    assert again.recap("hello")["changed"] == 0
    assert "nothing of hello:latest was ever run" in again.out
    able = local(*words, **cache)
    assert able.recap("hello")["changed"] == (2 if NAMESPACES else 0), "verify and report, where commands can be run"


def test_an_image_that_does_not_do_what_it_says(local: Local, tmp_path: Path) -> None:
    recipe = tmp_path / "bad.yaml"
    recipe.write_text(
        "name: bad\npython: {image: python:3.11-slim}\nruntime: busybox:glibc\n"
        "verify:\n  run:\n    - cmd: [-c, 'import sys; sys.exit(3)']\n"
    )
    done = local(recipe, "--backend", "local")
    if not NAMESPACES:
        pytest.skip(f"{CANNOT}commands in namespaces: `unshare --mount true` fails")
    assert done.code == 2, done.text
    assert "exit status 3, expected 0" in done.out
    assert not (local.folder / "build").joinpath("bad-amd64.tar").exists()
    assert not [path for path in (local.folder / "cache/slimrun/staging").iterdir() if path.name.startswith("root-")]
    kept = local(recipe, "--backend", "local", "--keep-failed")
    (folder,) = [line.rpartition(" ")[2] for line in kept.out.splitlines() if "is unpacked in" in line]
    assert folder.endswith("/root")
    assert local("clean").out.startswith(("removed folder", "no Docker Engine"))
    assert not Path(folder).exists()


@pytest.mark.parametrize(
    ("image", "code", "said"), [("python:9.99", 2, "there is no image"), (f"{DEAD}/x:1", 4, "the registry")]
)
def test_an_image_that_is_not_there(local: Local, tmp_path: Path, image: str, code: int, said: str) -> None:
    recipe = tmp_path / "none.yaml"
    recipe.write_text(f"name: none\npython:\n  image: {image}\n")
    done = local(recipe, "--backend", "local")
    assert (done.code, said in done.out) == (code, True), done.text
    assert f"{recipe}:" in done.out
    assert "Traceback" not in done.text


def test_save_says_what_uses_it(local: Local, hello: Path, made: Path) -> None:
    for name, use in (
        ("x.tar", "docker load -i x.tar"),
        ("x.oci.tar", "skopeo copy oci-archive:x.oci.tar"),
        ("x/", "skopeo copy oci:x:"),
    ):
        done = local(hello, "--backend", "local", "--save", name)
        assert use in done.out.splitlines()[-1]
        assert (local.folder / name).exists()
    assert made.is_file()
