"""Builds on a real engine, without network: what a step sees, what stays of it, and what is made again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from slimrun.backend.chain import BuildStep
from slimrun.backend.daemon import DockerBackend
from slimrun.backend.local import LocalBackend
from slimrun.backend.surroundings import AUTHORITIES
from slimrun.cache.store import Cache
from slimrun.errors import BuildFailed, DiskFull, EngineNeeded, ImageFailed, NotCached, OutOfTime
from slimrun.events import Event, Progress, silent
from slimrun.settings import BuildSettings, DockerSettings, Mirrors, Settings
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree
from tests.docker.conftest import docker, left_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.plan.pins import ImagePin

IMAGE = "debian:bookworm-slim"


def sh(name: str, text: str, **more: Any) -> BuildStep:
    return BuildStep(name=name, commands=(("sh", "-c", text),), **more)


ONE = sh("one", "echo 1 >/one; echo made one")
TWO = sh("two", "cat /one; echo 2 >/two")
THREE = sh("three", "cat /one /two >/three")


class Bench:
    """A backend on an empty cache; `events` is what it said."""

    def __init__(self, registry: str, root: Path, **settings: Any) -> None:
        self.events: list[Event] = []
        mirrors = Mirrors(images=(("docker.io/library", f"{registry}/library"),))
        self.cache = Cache(root / "cache")
        self.settings = Settings(cache_dir=self.cache.root, mirrors=mirrors, **settings)
        self.backend = DockerBackend(self.settings, self.cache, self.events.append, os.environ)

    @property
    def base(self) -> ImagePin:
        return self.backend.resolve_image(IMAGE)

    def build(self, *steps: BuildStep, anew: int = 0) -> Any:
        return self.backend.build(self.base, steps, anew=anew)

    def text(self, *steps: BuildStep, path: str) -> str:
        built = self.build(*steps)
        return str(built.image.tree([path])[path].read().decode())

    def close(self) -> None:
        """Forget all that was built, and remove it."""
        for path in (self.cache.root / "records/build").glob("*"):
            path.unlink()
        self.backend.clean()
        self.backend.close()


@pytest.fixture
def bench(registry: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(registry, tmp_path)
    yield made
    made.close()
    assert left_over() == []
    assert docker("volume", "ls", "-q").out == ""


def images() -> set[str]:
    return {*docker("images", "-aq", "--no-trunc", "--filter", "label=io.slimrun.build").out.split()}


def test_each_step_is_made_once_and_sees_what_came_before(bench: Bench) -> None:
    first = bench.build(ONE, TWO)
    assert first.made == ("one", "two")
    assert first.image.tree(["/one", "/two"])["/two"].read() == b"2\n"
    again = bench.build(ONE, TWO)
    assert (again.made, again.key) == ((), first.key)
    assert bench.build(ONE, TWO, THREE).made == ("three",)
    assert bench.build(ONE).made == ()
    assert bench.build(ONE, replace(TWO, env=(("A", "1"),)), THREE).made == ("two", "three")
    assert bench.text(ONE, TWO, THREE, path="/three") == "1\n2\n"


def test_what_is_asked_to_be_made_again_is(bench: Bench) -> None:
    random = sh("random", "cat /proc/sys/kernel/random/uuid >/random")
    before = bench.text(ONE, random, path="/random")
    assert bench.build(ONE, random, anew=1).made == ("random",)
    assert bench.text(ONE, random, path="/random") != before
    assert bench.build(ONE, random, anew=2).made == ("one", "random")


def test_a_step_whose_image_left_the_engine_is_made_again(bench: Bench) -> None:
    bench.build(ONE, TWO, THREE)
    records = [json.loads(path.read_text()) for path in bench.cache.root.glob("records/build/*.json")]
    by_step = {record["step"]: record["image"] for record in records}
    docker("image", "rm", "--force", by_step["three"], by_step["two"])
    assert bench.build(ONE, TWO, THREE).made == ("two", "three")


def test_a_tree_is_laid_over_before_the_commands_run(bench: Bench) -> None:
    tree = Tree(
        {
            "/src/run": file(b"#!/bin/sh\nstat -c '%n %a %u:%g %Y' run data >/facts\n", mode=0o755),
            "/src/data": file(b"x"),
        }
    )
    step = BuildStep(name="run", tree=tree, commands=(("./run",),), workdir="/src")
    assert bench.text(step, path="/facts") == "run 755 0:0 315532800\ndata 644 0:0 315532800\n"
    only = BuildStep(name="source", tree=tree)
    built = bench.build(only)
    assert built.image.tree(["/src/data"])["/src/data"].read() == b"x"
    assert built.logs == (), "a step without commands prints nothing"


def test_a_step_has_no_network_unless_it_asks(bench: Bench) -> None:
    step = sh("look", "ls /sys/class/net >/net; hostname >>/net; env | cut -d = -f 1 | sort >/env")
    assert bench.text(step, path="/net") == "lo\nbuild\n"
    assert "APT_CONFIG" not in bench.text(step, path="/env")
    online = replace(step, network=True)
    assert "eth0" in bench.text(online, path="/net")
    assert "APT_CONFIG" in bench.text(online, path="/env")


def test_environment_belongs_to_a_command_and_not_to_the_image(registry: str, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text(f"# a mark\n{Path(certifi.where()).read_text()}")
    build = BuildSettings(ca_certificates=authorities, proxy="http://u:p4ss@127.0.0.1:1", env=(("TOKEN", "t0k3n"),))
    bench = Bench(registry, tmp_path, build=build)
    step = sh("look", f'test "$TOKEN" = t0k3n && test "$A" = b && test "$SSL_CERT_FILE" = {AUTHORITIES}'
              f' && test "$http_proxy" = http://u:p4ss@127.0.0.1:1 && head -n 1 {AUTHORITIES} && echo well >/well',
              env=(("A", "b"),), network=True)  # fmt: skip
    try:
        assert bench.text(step, path="/well") == "well\n"
        built = bench.build(step)
        assert "# a mark" in dict(built.logs)["look"].read_text()
        facts = (
            docker("image", "inspect", built.image._pin.digest).out
            + docker("history", "--no-trunc", built.image._pin.digest).out
        )
        assert not [word for word in ("t0k3n", "p4ss", "TOKEN", "a mark", str(tmp_path)) if word in facts]
        assert not [path for path in built.image.tree(["/run"]) if path.startswith("/run/slimrun/")]
    finally:
        bench.close()


def test_the_environment_of_builds_makes_another_build(registry: str, tmp_path: Path) -> None:
    one = Bench(registry, tmp_path)
    other = Bench(registry, tmp_path, build=BuildSettings(env=(("A", "1"),)))
    try:
        assert one.build(ONE).made == ("one",)
        assert other.build(ONE).made == ("one",)
        assert one.build(ONE).made == other.build(ONE).made == ()
    finally:
        one.close()
        other.close()


def test_hints_know_how_many_processors_there_are(bench: Bench) -> None:
    step = sh("hint", 'echo "$MAKEFLAGS" >/flags', hints=(("MAKEFLAGS", "-j{cores}"),))
    cores = docker("info", "--format", "{{.NCPU}}").out.strip()
    assert bench.text(step, path="/flags") == f"-j{cores}\n"
    assert bench.build(replace(step, hints=())).made == (), "and are in no key"


def test_all_that_was_printed_is_in_the_log(bench: Bench) -> None:
    step = BuildStep(name="say", commands=(("echo", "out"), ("sh", "-c", "echo err >&2; printf last")))
    built = bench.build(step)
    text = dict(built.logs)["say"].read_text()
    assert text == "$ echo out\nout\n$ sh -c 'echo err >&2; printf last'\nerr\nlast"
    done = [event.done for event in bench.events if isinstance(event, Progress) and event.what == "say"]
    assert list(dict.fromkeys(done)) == [1, 2, 3, 4, 5]
    assert dict(bench.build(step).logs)["say"].read_text() == text, "and stays there"


def test_a_command_that_fails_ends_the_chain_and_keeps_what_was_made(bench: Bench) -> None:
    bad = BuildStep(name="bad", commands=(("sh", "-c", "echo x.c:1:2: error: no >&2; exit 3"), ("touch", "/never")))
    with pytest.raises(BuildFailed) as caught:
        bench.build(ONE, bad, TWO)
    error = caught.value
    assert (error.step, error.status, error.exit_code) == ("bad", 3, 2)
    assert "first error: x.c:1:2: error: no" in error.message
    with Path(error.log).open() as stream:
        assert stream.read() == "$ sh -c 'echo x.c:1:2: error: no >&2; exit 3'\nx.c:1:2: error: no\n"
    assert left_over() == []
    with pytest.raises(BuildFailed):
        bench.build(ONE, bad)
    assert bench.build(ONE).made == ()


@pytest.mark.parametrize("command", [("no-such-program",), ("/etc/passwd",)])
def test_a_command_that_cannot_be_started(bench: Bench, command: tuple[str, ...]) -> None:
    with pytest.raises(BuildFailed) as caught:
        bench.build(BuildStep(name="bad", commands=(command,)))
    assert caught.value.status in (126, 127)
    assert command[0] in caught.value.message


def test_a_working_folder_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(ImageFailed, match="nowhere"):
        bench.build(BuildStep(name="bad", commands=(("true",),), workdir="/nowhere"))


def test_whoever_listens_can_end_a_build_that_says_nothing(bench: Bench) -> None:
    """As run.timeout does, and a run that is stopped elsewhere."""
    heard: list[Event] = []

    def listen(event: Event, /) -> None:
        heard.append(event)
        if sum(isinstance(each, Progress) for each in heard) == 4:
            msg = "the time is over"
            raise OutOfTime(msg)

    began = time.monotonic()
    with pytest.raises(OutOfTime):
        bench.backend.build(bench.base, (sh("slow", "echo begun; sleep 60"),), emit=listen)
    assert time.monotonic() - began < 30
    assert left_over() == []


def test_a_disk_that_is_full(bench: Bench) -> None:
    """/dev/shm has 64 MB: the kernel's own words for a file system without space."""
    with pytest.raises(DiskFull) as caught:
        bench.build(sh("fill", "head -c 100000000 /dev/zero >/dev/shm/x"))
    assert "No space left on device" in caught.value.message
    assert "-fill.log" in caught.value.hint


def test_a_builder_that_cannot_wait(bench: Bench) -> None:
    """An image without `sleep`: nothing can be built in it."""
    empty = docker("import", "-", "slimrun-test/empty", stdin="").out.strip()
    try:
        pin = replace(bench.base, digest=empty, reference="slimrun-test/empty")
        with pytest.raises(ImageFailed, match="sleep"):
            bench.backend.build(pin, (ONE,))
    finally:
        docker("image", "rm", "slimrun-test/empty")


def test_a_process_that_goes_on_after_its_output_has_ended(bench: Bench) -> None:
    step = sh("quiet", "exec >/dev/null 2>&1; sleep 0.5; echo done >/done")
    assert bench.text(step, path="/done") == "done\n"


def test_offline_builds_only_what_needs_no_network(registry: str, tmp_path: Path) -> None:
    online = Bench(registry, tmp_path)
    offline = Bench(registry, tmp_path, offline=True)
    fetch = replace(sh("fetch", "echo fetched >/fetched"), network=True)
    try:
        with pytest.raises(NotCached, match="the step fetch is not in the cache"):
            offline.build(fetch)
        online.build(fetch)
        assert offline.build(fetch, ONE).made == ("one",)
    finally:
        online.close()


def test_the_images_own_entrypoint_and_user_do_not_matter(bench: Bench) -> None:
    text = f'FROM {bench.base.digest}\nUSER 65534\nWORKDIR /tmp\nENTRYPOINT ["/bin/false"]\nENV PATH=/usr/bin:/bin\n'
    docker("build", "-q", "-t", "slimrun-test/odd", "-", stdin=text)
    try:
        digest = docker("image", "inspect", "--format", "{{.Id}}", "slimrun-test/odd").out.strip()
        pin = replace(bench.base, digest=digest, reference="slimrun-test/odd")
        image = bench.backend.build(pin, (sh("who", "id -u >/who; pwd >>/who"),)).image
        assert image.tree(["/who"])["/who"].read() == b"0\n/\n"
    finally:
        docker("image", "rm", "--force", "slimrun-test/odd")


def test_a_builder_out_of_a_file(bench: Bench, tmp_path: Path) -> None:
    archive = tmp_path / "builder.tar"
    docker("save", "-o", str(archive), bench.base.digest)
    pin = bench.backend.resolve_image(f"docker-archive:{archive}")
    built = bench.backend.build(pin, (ONE,))
    assert built.image.tree(["/one"])["/one"].read() == b"1\n"
    assert any("from-file" in line for line in bench.backend.clean())
    assert "from-file" not in docker("images").out


def test_two_runs_make_a_step_once(registry: str, tmp_path: Path) -> None:
    benches = [Bench(registry, tmp_path) for _ in range(2)]
    slow = sh("slow", "sleep 1; cat /proc/sys/kernel/random/uuid >/id")
    made: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda bench=bench: made.append(bench.build(slow).made)) for bench in benches]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(made) == [(), ("slow",)]
    finally:
        for bench in benches:
            bench.close()


def test_clean_removes_what_no_record_names_and_nothing_of_other_caches(registry: str, tmp_path: Path) -> None:
    ours, theirs = Bench(registry, tmp_path / "ours"), Bench(registry, tmp_path / "theirs")
    try:
        ours.build(ONE, TWO)
        theirs.build(replace(ONE, env=(("B", "1"),)))
        there = images()
        assert ours.backend.clean() == ()
        for path in (ours.cache.root / "records/build").iterdir():
            path.unlink()
        removed = ours.backend.clean()
        assert len(removed) == 2
        assert all("(build)" in line for line in removed)
        assert len(there - images()) == 2
        assert theirs.build(replace(ONE, env=(("B", "1"),))).made == ()
    finally:
        ours.close()
        theirs.close()


def test_a_name_that_another_cache_took_does_no_harm(registry: str, tmp_path: Path) -> None:
    """Two caches that make one step name its image the same; each goes by the id that it noted."""
    random = sh("random", "cat /proc/sys/kernel/random/uuid >/random")
    ours, theirs = Bench(registry, tmp_path / "ours"), Bench(registry, tmp_path / "theirs")
    try:
        mine = ours.text(random, path="/random")
        assert theirs.text(random, path="/random") != mine
        assert ours.build(random).made == ()
        assert ours.text(random, path="/random") == mine
    finally:
        theirs.close()
        ours.close()


INTERRUPTED = """
import os, sys
from pathlib import Path
from slimrun.backend.chain import BuildStep
from slimrun.backend.daemon import DockerBackend
from slimrun.cache.store import Cache
from slimrun.events import Note
from slimrun.settings import Settings
def say(event):
    if isinstance(event, Note):
        print(event.text, flush=True)
backend = DockerBackend(Settings(cache_dir=Path(sys.argv[1])), Cache(Path(sys.argv[1])), say, os.environ)
pin = backend.resolve_image(sys.argv[2])
wait = (("sh", "-c", "echo waiting; sleep 60"),)
steps = [BuildStep(name="one", commands=(("touch", "/one"),)), BuildStep(name="wait", network=True, commands=wait)]
try:
    backend.build(pin, steps)
finally:
    backend.close()
"""


def test_ctrl_c_leaves_no_container_and_no_volume(bench: Bench, registry: str) -> None:
    words = [sys.executable, "-c", INTERRUPTED, str(bench.cache.root), f"{registry}/library/{IMAGE}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while "wait: waiting" not in child.stdout.readline():
            assert child.poll() is None
        assert len(docker("ps", "-q", "--filter", "label=io.slimrun.stage=build wait").out.split()) == 1
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert left_over() == []
    assert docker("volume", "ls", "-q").out == ""
    (record,) = (bench.cache.root / "records/build").iterdir()
    assert json.loads(record.read_text())["step"] == "one", "what was finished stays"


def test_without_an_engine_nothing_is_built(registry: str, tmp_path: Path) -> None:
    mirrors = Mirrors(images=(("docker.io/library", f"{registry}/library"),))
    settings = Settings(cache_dir=tmp_path, mirrors=mirrors, docker=DockerSettings())
    backend = LocalBackend(settings, Cache(tmp_path), silent, os.environ)
    with pytest.raises(EngineNeeded) as caught:
        backend.build(backend.resolve_image(IMAGE), (ONE,))
    assert caught.value.exit_code == 4
    assert "one: building needs a Docker Engine" in caught.value.message
    assert "DOCKER_HOST" in caught.value.hint
