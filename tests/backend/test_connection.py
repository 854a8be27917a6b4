"""A container's files over a plain socket: links by one question, archives as they come, refusals in the engine's words."""

from __future__ import annotations

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from slimrun.backend.connection import Files, Refused, UnixConnection, buffered, plain_connection
from slimrun.backend.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = bytes(range(256)) * 5000


class Answers(BaseHTTPRequestHandler):
    """An engine whose container has three paths; another one's name says how to misbehave."""

    def do_HEAD(self) -> None:
        path = self.asked()
        facts = {"linkTarget": "/usr/lib" if path == "/lib" else ""}
        self.send_response(404 if path == "/none" else 200)
        self.send_header("X-Docker-Container-Path-Stat", base64.b64encode(json.dumps(facts).encode()).decode())
        self.end_headers()

    def do_GET(self) -> None:
        path = self.asked()
        if path in ("/none", "/broken", "/mute"):
            self.send_response(404 if path == "/none" else 500)
            self.end_headers()
            self.wfile.write({"/broken": b'{"message": "it broke"}', "/mute": b""}.get(path, b"{}"))
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def asked(self) -> str:
        parts = urlsplit(self.path)
        assert parts.path == "/v1.41/containers/c1/archive"
        assert self.request_version == "HTTP/1.0"  # so that no frames have to be taken off
        return parse_qs(parts.query)["path"][0]

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    with ThreadingUnixStreamServer(str(tmp_path / "s"), Answers) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Files(Host(f"unix://{tmp_path}/s", "a test"), "1.41", 5)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("path", "target"), [("/lib", "/usr/lib"), ("/a b&c", "/a b&c"), ("/none", None)])
def test_targets(files: Files, path: str, target: str | None) -> None:
    assert files.target("c1", path) == target


def test_an_archive_as_it_comes(files: Files) -> None:
    raw = files.archive("c1", "/usr")
    assert raw is not None
    with buffered(raw) as stream:
        assert stream.read(3) == BODY[:3]
        assert stream.read() == BODY[3:]
        assert stream.read() == b""
    assert raw.closed


def test_nothing_there(files: Files) -> None:
    assert files.archive("c1", "/none") is None


@pytest.mark.parametrize(("path", "text"), [("/broken", "it broke"), ("/mute", "status 500")])
def test_refusals_are_in_the_engine_s_words(files: Files, path: str, text: str) -> None:
    with pytest.raises(Refused, match=text):
        files.archive("c1", path)


def test_an_engine_that_is_gone(tmp_path: Path) -> None:
    files = Files(Host(f"unix://{tmp_path}/nothing", "a test"), "1.41", 5)
    assert files.reachable
    with pytest.raises(FileNotFoundError):
        files.target("c1", "/lib")


def test_an_engine_that_never_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        files = Files(Host(f"unix://{tmp_path}/s", "a test"), "1.41", 0.05)
        with pytest.raises(TimeoutError):
            files.archive("c1", "/lib")


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        (Host("unix:///run/x", ""), UnixConnection),
        (Host("tcp://127.0.0.1:2375", ""), object),
        (Host("tcp://127.0.0.1:2376", "", tls_verify=True), type(None)),
        (Host("tcp://127.0.0.1:2376", "", context="far"), type(None)),
        (Host("ssh://far", ""), type(None)),
    ],
)
def test_which_addresses_are_plain(host: Host, kind: type) -> None:
    found = plain_connection(host, 1)
    assert isinstance(found, kind)
    assert (found is None) is (kind is type(None))
    assert Files(host, "1.41", 1).reachable is (found is not None)
