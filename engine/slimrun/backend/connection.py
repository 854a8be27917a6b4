"""Connections to an engine that need no docker-py: a Unix socket, or TCP without TLS; and what is read over them."""

from __future__ import annotations

import base64
import io
import json
import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from slimrun.backend.host import Host

CHUNK = 1 << 16
_MESSAGE = 1 << 16


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def plain_connection(host: Host, timeout: float) -> HTTPConnection | None:
    """A connection to an engine's address, not opened yet; None where the address wants TLS or ssh."""
    kind, _, place = host.url.partition("://")
    if kind == "unix":
        return UnixConnection(place, timeout)
    if kind in ("tcp", "http") and not host.tls_verify and not host.context:
        return HTTPConnection(place.partition("/")[0], timeout=timeout)
    return None


class Refused(Exception):
    """The engine's answer to a request that it did not carry out, in its own words."""


class Files:
    """A container's files over plain connections: docker-py takes as long to hand a large archive on as an engine to make it.

    Raises OSError, HTTPException and Refused.
    """

    def __init__(self, host: Host, version: str, timeout: float) -> None:
        self._host, self._version, self._timeout = host, version, timeout
        self._open: set[HTTPConnection] = set()

    @property
    def reachable(self) -> bool:
        """Whether the engine's address is one that needs no docker-py."""
        return plain_connection(self._host, self._timeout) is not None

    def target(self, container: str, path: str) -> str | None:
        """The path, or a link's target as the engine reports it (absolute); None where nothing is there."""
        connection, answer = self._ask("HEAD", container, path)
        self._close(connection)
        if answer is None:
            return None
        facts = json.loads(base64.b64decode(answer.getheader("X-Docker-Container-Path-Stat") or "e30="))
        return str(facts.get("linkTarget") or path)

    def archive(self, container: str, path: str) -> io.RawIOBase | None:
        """The tar of a path as it arrives, or None where nothing is there."""
        connection, answer = self._ask("GET", container, path)
        if answer is None:
            self._close(connection)
            return None
        return Answer(connection, answer, self._open.discard)

    def break_off(self) -> None:
        """End what other threads wait for or read: an error for them, or the end of their archive."""
        for connection in tuple(self._open):
            with suppress(OSError, AttributeError):  # it was not open yet, or is closed by now
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, container: str, path: str) -> tuple[HTTPConnection, HTTPResponse | None]:
        connection: Any = plain_connection(self._host, self._timeout)
        place = f"/v{self._version}/containers/{container}/archive?{urlencode({'path': path})}"
        self._open.add(connection)
        try:
            connection.connect()
            # Of HTTP 1.0, as 1.1 would put a frame around each 32 kB, and taking these off costs as much as reading.
            connection.sock.sendall(f"{method} {place} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            answer = HTTPResponse(connection.sock, method=method)
            answer.begin()
            if answer.status == 404:
                return connection, None
            if answer.status != 200:
                raise Refused(_words(answer))
        except BaseException:
            self._close(connection)
            raise
        return connection, answer

    def _close(self, connection: HTTPConnection) -> None:
        self._open.discard(connection)
        connection.close()


class Answer(Stream):
    """The body of an answer as it arrives; closes the connection with itself, and says so to `closed`."""

    def __init__(
        self, connection: HTTPConnection, answer: HTTPResponse, closed: Callable[[HTTPConnection], None]
    ) -> None:
        self._connection, self._answer, self._closed = connection, answer, closed

    def fill(self, buffer: memoryview) -> int:
        return self._answer.readinto(buffer)

    def close(self) -> None:
        # The answer holds the socket open too, and an engine that is not let go keeps its lock on the container.
        self._answer.close()
        self._connection.close()
        self._closed(self._connection)
        super().close()


def _words(answer: HTTPResponse) -> str:
    text = answer.read(_MESSAGE).decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return str(value.get("message") or text) if isinstance(value, dict) else text or f"status {answer.status}"


class Chunks(Stream):
    """What docker-py hands on in pieces, as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, memoryview(b"")

    def fill(self, buffer: memoryview) -> int:
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        super().close()


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """A stream as a file that is read in whole counts."""
    return io.BufferedReader(raw, CHUNK)
