"""Whether an engine answers, asked without docker-py, and what `auto` makes of it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from tests.fetch.loopback import Answer, Site

from slimrun.backend.host import Host, refusal
from slimrun.cli.engine import open_context
from slimrun.events import Event, Note
from slimrun.settings import DockerSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path


def asked(url: str, timeout: float = 2.0) -> str:
    return refusal(Host(url, "a test"), timeout=timeout)


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_an_engine_on_tcp(kind: str) -> None:
    with Site() as site:
        site.serve("/_ping", b"OK")
        assert asked(site.url.replace("http", kind)) == ""
        site.serve("/_ping", Answer(status=503))
        assert asked(site.url.replace("http", kind)) == "it answers 503"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("unix:///nonexistent/docker.sock", "No such file or directory"),
        ("tcp://127.0.0.1:9", "Connection refused"),
        ("tcp://127.0.0.1:port", "nonnumeric port"),
        ("nonsense", "nonsense"),
        ("ssh://nobody@127.0.0.1:9", ""),
    ],
)
def test_no_engine_has_a_reason(url: str, said: str) -> None:
    reason = asked(url)
    assert reason
    assert said in reason


def test_a_socket_that_takes_no_connections(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(str(tmp_path / "s"))
        assert asked(f"unix://{tmp_path}/s") == "Connection refused"


def test_one_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert asked(f"tcp://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2) == "timed out"


def chosen(tmp_path: Path, **settings: object) -> tuple[str, list[Event]]:
    events: list[Event] = []
    with open_context(Settings(cache_dir=tmp_path, **settings), events.append) as context:
        return context.backend.name, events


def test_auto_takes_the_engine_that_answers(tmp_path: Path) -> None:
    with Site() as site:
        site.serve("/_ping", b"OK")
        assert chosen(tmp_path, docker=DockerSettings(host=site.url.replace("http", "tcp"))) == ("docker", [])


def test_auto_goes_on_without_and_says_so_in_one_line(tmp_path: Path) -> None:
    name, events = chosen(tmp_path, docker=DockerSettings(host="tcp://127.0.0.1:9"))
    (note,) = events
    assert name == "local"
    assert isinstance(note, Note)
    assert note.level == 0
    assert note.text.startswith(
        "no Docker Engine answers at tcp://127.0.0.1:9 (docker.host in slim.yaml, or --docker-host): "
    )
    assert "\n" not in note.text


def test_auto_and_a_context_that_is_not_there(tmp_path: Path) -> None:
    name, events = chosen(tmp_path, docker=DockerSettings(context="none-such"))
    assert name == "local"
    assert "there is no docker context named 'none-such'" in str(events)


@pytest.mark.parametrize("name", ["docker", "local"])
def test_a_name_is_not_questioned(tmp_path: Path, name: str) -> None:
    assert chosen(tmp_path, backend=name, docker=DockerSettings(host="tcp://127.0.0.1:9")) == (name, [])
