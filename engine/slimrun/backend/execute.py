"""A command in a running container: what it prints as it comes, and how it ended.

Over the engine's multiplexed stream (Engine API, "attach to a container": a header of 8 bytes before each piece), read by us: what
docker-py offers cannot be waited for with a limit, and leaves its socket open.
"""

from __future__ import annotations

import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slimrun.backend.docker import Engine

    Pairs = tuple[tuple[str, str], ...]

# How long a command may be silent before `tick` is called.
SILENCE = 1.0
_HEADER = 8
_PIECE = 1 << 16
_PATIENCE = 0.1
# Both outputs through one pipe, so that an error stands below the command that it is about.
_IN_ORDER = ("sh", "-c", 'exec "$@" 2>&1', "sh")


class Execution:
    """One command, run as root with this environment, which is no part of what is committed."""

    def __init__(self, engine: Engine, container: str, argv: Sequence[str], env: Pairs, workdir: str) -> None:
        self._engine, self._doing = engine, f"running {argv[0]}"
        with engine.using(self._doing) as client:
            words = [*_IN_ORDER, *argv]
            made = client.exec_create(container, words, environment=dict(env), workdir=workdir, user="0:0")
        self._id = str(made["Id"])

    def output(self, tick: Callable[[], object]) -> Iterator[bytes]:
        """Start it, and give what it prints until it ends; `tick` is called while it is silent, and may raise."""
        with self._engine.using(self._doing) as client:
            socket = client.exec_start(self._id, socket=True)
        with _closed(socket):
            yield from _frames(_pieces(socket, self._read, tick))

    def status(self) -> int:
        """Its exit status, once the output has ended; a command may close its output and go on."""
        while True:
            with self._engine.using(self._doing) as client:
                facts = client.exec_inspect(self._id)
            if not facts["Running"]:
                return int(facts["ExitCode"])
            time.sleep(_PATIENCE)

    def _read(self, socket: Any) -> bytes:
        read = getattr(socket, "recv", None) or socket.read  # TLS and ssh; a Unix socket comes as a file
        with self._engine.using(self._doing):
            return bytes(read(_PIECE))


def _pieces(socket: Any, read: Callable[[Any], bytes], tick: Callable[[], object]) -> Iterator[bytes]:
    """What arrives, until the other side has closed; `tick` is called in each SILENCE."""
    pending = getattr(socket, "pending", lambda: 0)  # what TLS has decrypted already
    while True:
        if not pending() and not select.select([socket], [], [], SILENCE)[0]:
            tick()
        elif data := read(socket):
            yield data
        else:
            return


def _frames(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The payloads, without their headers; what a stream that breaks off has begun is given as far as it came."""
    left, held = 0, b""
    for piece in pieces:
        held += piece
        while held:
            if not left:
                if len(held) < _HEADER:
                    break
                left, held = int.from_bytes(held[4:_HEADER], "big"), held[_HEADER:]
                continue
            data, held = held[:left], held[left:]
            left -= len(data)
            yield data


@contextmanager
def _closed(socket: Any) -> Iterator[None]:
    """Close the connection, which is not used again: docker-py hangs the response on it."""
    try:
        yield
    finally:
        getattr(socket, "_response", socket).close()
