"""uv for real, against an index on loopback: what it answers, what it must not see, and what its refusals become."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from loopback import Answer, SimpleIndex, Site
from wheelmaker import make

from slimrun.errors import DownloadFailed, IndexUnreachable, Interrupted, RequirementNotMet, SlimrunError, WheelNotFound
from slimrun.events import Event, Progress
from slimrun.fetch import uv
from slimrun.fetch.index import Indexes
from slimrun.fetch.network import Network
from slimrun.fetch.target import Target
from slimrun.fetch.unsolved import Unsolved, failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.cache.store import Cache

PY37 = Target(version=(3, 7, 17), abi="cp37m", arch="x86_64", glibc=(2, 28))
PY311 = Target(version=(3, 11, 2), abi="cp311", arch="x86_64", glibc=(2, 36))
QUICK = Network(retries=0, connect_timeout=2.0, read_timeout=5.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels that the index of these tests has."""
    folder = tmp_path_factory.mktemp("wheels")
    make(folder, "app", "1.0", requires=("lib>=1", 'old; python_version < "3.8"'))
    make(folder, "lib", "1.0")
    make(folder, "lib", "2.0", requires_python=">=3.8")
    make(folder, "old", "1.0")
    make(folder, "ext", "1.0", tag="cp37-cp37m-manylinux_2_17_x86_64")
    make(folder, "ext", "1.1", tag="cp311-cp311-manylinux_2_34_x86_64")
    make(folder, "ext", "1.2", tag="cp311-cp311-manylinux_2_17_aarch64")
    make(folder, "picky", "1.0", requires=("lib<2",))
    (folder / "ext-1.3.tar.gz").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def index(made: Path) -> Any:
    with Site() as site:
        index = SimpleIndex(site)
        for wheel in sorted(made.iterdir()):
            python = ">=3.8" if wheel.name.startswith("lib-2.0") else ""
            index.add(wheel, requires_python=python)
        yield index


def ask(
    cache: Cache, index: SimpleIndex, *requirements: str, target: Target = PY311, constraints: Sequence[str] = ()
) -> dict[str, str]:
    indexes = Indexes(urls=(index.url,))
    answer = uv.compile_requirements(
        requirements, target=target, indexes=indexes, network=QUICK, cache=cache, constraints=constraints
    )
    return {package["name"]: package["version"] for package in answer["packages"]}


def test_markers_and_requires_python_are_the_targets(cache: Cache, index: SimpleIndex) -> None:
    assert ask(cache, index, "app", target=PY37) == {"app": "1.0", "lib": "1.0", "old": "1.0"}
    assert ask(cache, index, "app") == {"app": "1.0", "lib": "2.0"}


def test_constraints(cache: Cache, index: SimpleIndex) -> None:
    assert ask(cache, index, "app", constraints=["lib<2", "ext==9"]) == {"app": "1.0", "lib": "1.0"}


def test_tags_are_the_targets(cache: Cache, index: SimpleIndex) -> None:
    assert ask(cache, index, "ext") == {"ext": "1.1"}
    assert ask(cache, index, "ext", target=PY37) == {"ext": "1.0"}
    assert ask(cache, index, "ext", target=replace(PY311, arch="aarch64")) == {"ext": "1.2"}


@pytest.mark.parametrize(
    ("requirements", "target", "says", "hint", "name"),
    [
        (["nosuch"], PY311, "there is no package nosuch on http://127", "check the spelling", "nosuch"),
        (["lib==7"], PY311, "there is no version of lib==7", "there are 1.0, 2.0", "lib"),
        (["lib>7"], PY311, "there is no version of lib>7", "there are 1.0, 2.0", "lib"),
        (["ext==1.0"], PY311, "no wheel of ext==1.0 for CPython 3.11 on x86", "not for CPython 3.11; ext 1.1 has one", "ext"),
        (["ext==1.1"], replace(PY311, glibc=(2, 31)), "no wheel of ext==1.1", "for glibc 2.34 or newer, not for glibc 2.31", "ext"),
        (["ext==1.2"], PY311, "no wheel of ext==1.2", "for Linux aarch64", "ext"),
        (["ext==1.3"], PY311, "no wheel of ext==1.3", "it has sources only: name it in pip.from_source", "ext"),
        (["lib==2"], PY37, "lib 2.0 is for Python >=3.8, not 3.7.17", "lib 1.0 has a wheel for CPython 3.7", "lib"),
        (["picky", "lib==2.0"], PY311, "the requirements contradict each other: Because", "relax", ""),
        (["app @ file:///no/app-1.0-py3-none-any.whl"], PY311, "uv found no answer", "check the lines", ""),
    ],
)  # fmt: skip
def test_refusals(
    requirements: list[str], target: Target, says: str, hint: str, name: str, cache: Cache, index: SimpleIndex
) -> None:
    with pytest.raises(WheelNotFound) as caught:
        ask(cache, index, *requirements, target=target)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
    if name:
        assert isinstance(caught.value, Unsolved)
        assert caught.value.name == name


def test_an_extra_index_never_shadows_the_first(cache: Cache, index: SimpleIndex, site: Site, tmp_path: Path) -> None:
    other = SimpleIndex(site, "other")
    other.add(make(tmp_path, "lib", "99.0"))
    other.add(make(tmp_path, "mine", "1.0", requires=("lib",)))
    for urls, version in (((index.url, other.url), "2.0"), ((other.url, index.url), "99.0")):
        answer = uv.compile_requirements(
            ["mine"], target=PY311, indexes=Indexes(urls=urls), network=QUICK, cache=cache
        )  # fmt: skip
        assert [package["version"] for package in answer["packages"]] == [version, "1.0"]


@pytest.mark.parametrize(
    ("status", "says"), [(500, "does not answer"), (401, "refuses access"), (403, "refuses access")]
)
def test_an_index_that_fails(status: int, says: str, cache: Cache, site: Site) -> None:
    site.serve("/simple/lib/", Answer(status=status))
    address = f"{site.url}/simple".replace("http://", "http://me:secret@")
    with pytest.raises(IndexUnreachable, match=says) as caught:
        uv.compile_requirements(["lib"], target=PY311, indexes=Indexes(urls=(address,)), network=QUICK, cache=cache)
    assert caught.value.exit_code == 4
    assert "secret" not in caught.value.render()


def test_an_index_that_says_nothing_is_given_up(cache: Cache) -> None:
    network = replace(QUICK, retries=4, patience=3.0)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        indexes = Indexes(urls=(f"http://127.0.0.1:{deaf.getsockname()[1]}/simple",))
        began = time.monotonic()
        with pytest.raises(IndexUnreachable, match="timed out") as caught:
            uv.compile_requirements(["lib"], target=PY311, indexes=indexes, network=network, cache=cache)
    assert time.monotonic() - began < 15, "three tries of a second each, and what uv waits between them"
    assert caught.value.hint


def test_nobody_listens(cache: Cache) -> None:
    indexes = Indexes(urls=("http://127.0.0.1:9/simple",))
    with pytest.raises(IndexUnreachable, match=r"http://127\.0\.0\.1:9/simple/lib/: Connection refused"):
        uv.compile_requirements(["lib"], target=PY311, indexes=indexes, network=QUICK, cache=cache)


def test_configuration_of_the_current_folder_and_environment_is_not_seen(
    cache: Cache, index: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nconstraint-dependencies = ["lib<2"]\n')
    monkeypatch.chdir(tmp_path)
    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CONSTRAINT", str(tmp_path / "nothing"))
    assert ask(cache, index, "lib") == {"lib": "2.0"}
    assert (cache.root / "uv").is_dir()
    assert list(cache.scratch().iterdir()) == []


def test_an_index_on_this_machine_is_not_asked_through_a_proxy(cache: Cache, index: SimpleIndex) -> None:
    network = replace(QUICK, proxy="http://127.0.0.1:9")
    indexes = Indexes(urls=(index.url,))
    answer = uv.compile_requirements(["lib"], target=PY311, indexes=indexes, network=network, cache=cache)
    assert [package["name"] for package in answer["packages"]] == ["lib"]
    environ = {"no_proxy": "corp"}
    found = uv.child_environment(environ, indexes=indexes, network=network, cache=cache)
    assert found["NO_PROXY"] == "corp,localhost,127.0.0.1,::1"


def test_the_childs_environment(cache: Cache, network: Network) -> None:
    environ = {"PATH": "/bin", "HTTPS_PROXY": "http://p", "no_proxy": "x", "CURL_CA_BUNDLE": "/ca"}
    environ |= dict.fromkeys(("UV_INDEX", "PIP_INDEX_URL", "PYTHONPATH", "VIRTUAL_ENV"), "evil")
    indexes = Indexes(urls=("https://a/simple", "https://b/simple", "https://c/simple"))
    knowing = replace(network, credentials=(("https://b", "me:pw"),), mirrors=(("https://a/", "https://m/"),))
    found = uv.child_environment(environ, indexes=indexes, network=knowing, cache=cache)
    assert found["UV_INDEX"] == "https://m/simple https://me:pw@b/simple"
    assert found["UV_DEFAULT_INDEX"] == "https://c/simple"
    assert (found["HTTPS_PROXY"], found["no_proxy"], found["SSL_CERT_FILE"]) == ("http://p", "x", "/ca")
    assert "evil" not in found.values()
    assert "--system-certs" in uv.command(PY311, native_tls=True)
    assert not any("://" in word for word in uv.command(PY311, native_tls=True))


def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    program = tmp_path / "uv"
    program.write_text(f"#!{sys.executable}\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))


def test_ctrl_c_ends_the_child(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "pid"
    fake_uv(tmp_path, monkeypatch, f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)")

    def interrupt() -> None:
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        uv.compile_requirements(["x"], target=PY311, indexes=Indexes(), network=QUICK, cache=cache)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert list(cache.scratch().iterdir()) == []


def test_a_run_that_is_stopped_ends_the_child_and_a_slow_one_is_waited_for(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, told = tmp_path / "pid", list[Event]()
    body = f"import os, sys, time; open({str(mark)!r}, 'w').write(str(os.getpid())); text = sys.stdin.read(); time.sleep(%s)"
    fake_uv(tmp_path, monkeypatch, f"{body % 0.7}; print('asked =', repr(text.strip()))")
    answer = uv.compile_requirements(
        ["x"], target=PY311, indexes=Indexes(), network=QUICK, cache=cache, emit=told.append
    )
    assert answer == {"asked": "x"}
    assert told[0] == Progress(what="uv resolves", done=0, unit="s")

    def stop(_event: Event, /) -> None:
        msg = "the run is being stopped"
        raise Interrupted(msg)

    fake_uv(tmp_path, monkeypatch, body % 60)
    with pytest.raises(Interrupted):
        uv.compile_requirements(["x"], target=PY311, indexes=Indexes(), network=QUICK, cache=cache, emit=stop)
    if mark.exists() and mark.read_text():
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)


def test_a_uv_that_answers_something_else(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_uv(tmp_path, monkeypatch, "print('not = toml = at all')")
    with pytest.raises(RequirementNotMet, match="uv's answer cannot be read"):
        uv.compile_requirements(["x"], target=PY311, indexes=Indexes(), network=QUICK, cache=cache)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: (_ for _ in ()).throw(FileNotFoundError()))
    with pytest.raises(RequirementNotMet, match="the uv program"):
        uv.compile_requirements(["x"], target=PY311, indexes=Indexes(), network=QUICK, cache=cache)


UNTRUSTED = """error: Request failed after 3 retries in 1s
  cause: Failed to fetch: https://me:pw@h/simple/a/
  cause: invalid peer certificate: UnknownIssuer
"""
GONE = """error: Failed to download `six @ https://h/six-1-py3-none-any.whl`
  cause: HTTP status client error (404 Not Found) for url (https://h/six-1-py3-none-any.whl)
"""


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (UNTRUSTED, IndexUnreachable, "UnknownIssuer"),
        (GONE, DownloadFailed, "https://h/six-1-py3-none-any.whl is not there"),
        ("error: something new", WheelNotFound, "uv found no answer: something new"),
        ("", WheelNotFound, "uv found no answer"),
    ],
)
def test_other_words(text: str, error: type[SlimrunError], says: str) -> None:
    found = failure(text, target=PY311, indexes=Indexes(urls=("http://127.0.0.1:9",)), network=QUICK)
    assert isinstance(found, error)
    assert says in found.message
    assert found.hint
    assert "pw" not in found.render()
    if "certificate" in text:
        assert "ca_certificates" in found.hint
