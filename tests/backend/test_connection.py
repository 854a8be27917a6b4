"""Plain connections to an engine: what is closed is let go at once, and what is waited for can be broken off."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest

from slimrun.backend.connection import Files, Refused
from slimrun.backend.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-tar\r\n\r\n"


class Server:
    """Takes one connection, reads a request, answers with what it is given, and keeps the connection open."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(5)
        self.host = Host(f"tcp://127.0.0.1:{self._listener.getsockname()[1]}", "a test")
        self.asked = threading.Event()
        self._answer = answer
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(5)
        connection.recv(1 << 16)
        connection.sendall(self._answer)
        self._connection = connection
        self.asked.set()

    def is_left(self) -> bool:
        """Whether the client has closed its side."""
        self._thread.join(5)
        assert self._connection is not None
        return self._connection.recv(1) == b""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._listener.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with closing(Server(request.param)) as made:
        yield made


@pytest.mark.parametrize("server", [HEAD + b"x" * 100], indirect=True)
def test_a_closed_answer_lets_the_engine_go(server: Server) -> None:
    """Also while something still refers to it, as the traceback of an error does: the engine's lock is on the container."""
    answer = Files(server.host, "1.41", 5.0).archive("c", "/usr")
    assert answer is not None
    assert answer.read(10) == b"x" * 10
    kept = (answer, answer.__dict__)
    answer.close()
    assert server.is_left()
    assert kept[0].closed


@pytest.mark.parametrize(
    "server", [b"HTTP/1.0 404 Not Found\r\n\r\n", b"HTTP/1.0 500 Oh\r\n\r\n{}", HEAD + b"x"], indirect=True
)
def test_a_look_leaves_nothing_open(server: Server) -> None:
    files = Files(server.host, "1.41", 5.0)
    with suppress(Refused):
        assert files.target("c", "/usr") in (None, "/usr")
    assert server.is_left()
    files.break_off()


@pytest.mark.parametrize("server", [b"", HEAD, HEAD + b"x" * 100], ids=["no answer", "head", "some"], indirect=True)
def test_who_waits_is_broken_off(server: Server) -> None:
    """A thread that waits for the head or for more of the archive goes on at once, long before its timeout."""
    files, ended = Files(server.host, "1.41", 60.0), threading.Event()

    def read() -> None:
        try:
            answer = files.archive("c", "/usr")
            assert answer is not None
            with answer:
                while answer.read(1000):
                    pass
        except (OSError, HTTPException):
            pass
        ended.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert server.asked.wait(5)
    assert not ended.wait(0.2)
    files.break_off()
    assert ended.wait(5)
    thread.join()
    files.break_off()  # nothing is open any more, which is no error
