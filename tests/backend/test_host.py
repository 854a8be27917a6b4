"""Which engine is meant, and the one question that is asked without docker-py, of a real server on a Unix socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer
from typing import TYPE_CHECKING

import pytest

from slimrun.backend.host import DEFAULT_HOST, Host, choose_host, image_facts
from slimrun.errors import EngineUnreachable
from slimrun.settings import DockerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "tcp://10.0.0.1:2375"


@pytest.mark.parametrize(
    ("settings", "environ", "url", "chosen_by"),
    [
        ({}, {}, DEFAULT_HOST, "the default"),
        ({"host": "unix:///s"}, {"DOCKER_HOST": URL}, "unix:///s", "docker.host in slim.yaml"),
        ({}, {"DOCKER_HOST": URL}, URL, "DOCKER_HOST"),
        ({}, {"DOCKER_HOST": ""}, DEFAULT_HOST, "the default"),
        ({}, {"DOCKER_HOST": URL, "DOCKER_CONTEXT": "other"}, URL, "DOCKER_HOST"),
        ({}, {"DOCKER_CONTEXT": "default"}, DEFAULT_HOST, "the default"),
        ({"context": "default"}, {"DOCKER_HOST": URL}, DEFAULT_HOST, "the default"),
    ],
)
def test_precedence(settings: dict[str, str], environ: dict[str, str], url: str, chosen_by: str) -> None:
    found = choose_host(DockerSettings(**settings), environ)  # type: ignore[arg-type]
    assert found.url == url
    assert found.chosen_by.startswith(chosen_by)
    assert not found.tls_verify


def test_tls() -> None:
    assert choose_host(DockerSettings(), {"DOCKER_HOST": URL, "DOCKER_TLS_VERIFY": "1"}).tls_verify
    assert not choose_host(DockerSettings(), {"DOCKER_HOST": URL, "DOCKER_TLS_VERIFY": ""}).tls_verify


@pytest.mark.parametrize(
    "environ", [{"DOCKER_CONTEXT": "nowhere-at-all"}, {"DOCKER_CONFIG": "FOLDER"}, {"HOME": "HOME"}]
)
def test_a_context_that_is_not_there(environ: dict[str, str], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / ".docker"):
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text('{"currentContext": "nowhere-at-all"}')
    given = {key: str(tmp_path) if value in ("FOLDER", "HOME") else value for key, value in environ.items()}
    with pytest.raises(EngineUnreachable, match="no docker context named 'nowhere-at-all'"):
        choose_host(DockerSettings(), given)


@pytest.mark.parametrize("text", ["foo", "/var/run/docker.sock", "unix://", "tcp://", "foo://bar", "unix:///a b"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(EngineUnreachable, match=r"DOCKER_HOST is .*, which is no address of an engine") as caught:
        choose_host(DockerSettings(), {"DOCKER_HOST": text})
    assert "unix:///var/run/docker.sock" in caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"currentContext": null}', '{"currentContext": ""}', "\udcff"])
def test_a_configuration_that_names_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert choose_host(DockerSettings(), {"DOCKER_CONFIG": str(tmp_path)}).url == DEFAULT_HOST


class Answers(BaseHTTPRequestHandler):
    """An engine that knows one image; the path of anything else says how to misbehave."""

    def do_GET(self) -> None:
        server: Engine = self.server  # type: ignore[assignment]
        server.asked.append(self.path)
        name = self.path.removeprefix("/images/").removesuffix("/json")
        if name == "hang":
            server.over.wait(5)
        if name == "dies":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = {"list": b"[]", "text": b"no json", "cut": b'{"Id"', "null": b"null"}.get(
            name, json.dumps({"Id": "x"}).encode()
        )
        self.send_response({"none": 404, "broken": 500}.get(name, 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class Engine(ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()
        super().__init__(path, Answers)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Host, Engine]]:
    path = str(tmp_path / "s")
    with Engine(path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Host(f"unix://{path}", "a test"), server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def test_an_image(engine: tuple[Host, Engine]) -> None:
    host, server = engine
    assert image_facts(host, "r.test:5000/a b:1", timeout=5) == {"Id": "x"}
    assert server.asked == ["/images/r.test%3A5000/a%20b%3A1/json"] or server.asked == [
        "/images/r.test:5000/a%20b:1/json"
    ]


@pytest.mark.parametrize("name", ["none", "broken", "list", "text", "cut", "null", "dies"])
def test_other_answers_say_nothing(name: str, engine: tuple[Host, Engine]) -> None:
    host, server = engine
    assert image_facts(host, name, timeout=5) is None
    assert len(server.asked) == 1


def test_no_answer_in_time(engine: tuple[Host, Engine]) -> None:
    began = time.monotonic()
    assert image_facts(engine[0], "hang", timeout=0.1) is None
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "url", ["unix:///nothing/here", "tcp://127.0.0.1:1", "ssh://x", "npipe:////./pipe/docker_engine"]
)
def test_nobody_to_ask(url: str) -> None:
    assert image_facts(Host(url, "a test"), "x", timeout=1) is None


def test_docker_is_not_loaded_for_it() -> None:
    """Loading docker-py takes longer than all else in a run in which all is cached."""
    text = (
        "import sys; from slimrun.backend.host import *; from slimrun.settings import DockerSettings; "
        "choose_host(DockerSettings(), {'DOCKER_HOST': 'unix:///x'}); image_facts(Host('unix:///x', ''), 'x', timeout=1); "
        "import slimrun.backend.daemon, slimrun.cli.run; print('docker' in sys.modules, 'requests' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], env={**os.environ}, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
