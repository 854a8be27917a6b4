"""Something that stands between slimrun and a real server: it counts requests, and stops an answer at a chosen place."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

_LINE = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|PATCH) (\S+) HTTP/1\.[01]\r\n")
CHUNK = 1 << 16


@dataclass
class Stop:
    """The answer to a request that `pattern` finds is let through for `after` bytes; `reached` says that it was stopped."""

    pattern: str
    after: int = 0
    reached: threading.Event = field(default_factory=threading.Event)


class Between:
    """Listens on a Unix socket or on loopback, and hands everything on; `asked` are the request lines that went by."""

    def __init__(self, target: str, *, path: Path | None = None) -> None:
        self._target = target
        self.asked: list[str] = []
        self.stop: Stop | None = None
        self._released = threading.Event()
        self._open: list[socket.socket] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.address = f"unix://{path}"

    @property
    def engine(self) -> str:
        """The address as DOCKER_HOST has it."""
        return self.address if self.address.startswith("unix://") else f"tcp://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def stop_at(self, pattern: str, *, after: int = 0) -> Stop:
        """Stop the answers to requests whose line this regular expression finds, from now on."""
        self.stop = Stop(pattern, after)
        self._released.clear()
        return self.stop

    def release(self) -> None:
        """Let everything go on."""
        self.stop = None
        self._released.set()

    def die(self) -> None:
        """Break off all connections and take no more, as a server that dies does."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.release()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = self._connect()
                self._open += [ours, theirs]
                halted: list[Stop] = []
                for work in (self._requests, self._answers):
                    threading.Thread(target=work, args=(ours, theirs, halted), daemon=True).start()

    def _connect(self) -> socket.socket:
        if self._target.startswith("unix://"):
            theirs = socket.socket(socket.AF_UNIX)
            theirs.connect(self._target.removeprefix("unix://"))
            return theirs
        host, _, port = self._target.partition(":")
        return socket.create_connection((host, int(port)))

    def _requests(self, ours: socket.socket, theirs: socket.socket, halted: list[Stop]) -> None:
        """A request begins a packet: clients send the head first, and bodies do not look like one."""
        with contextlib.suppress(OSError):
            while data := ours.recv(CHUNK):
                if found := _LINE.match(data):
                    line = f"{found[1].decode()} {found[2].decode()}"
                    self.asked.append(line)
                    halted.clear()
                    if self.stop is not None and re.search(self.stop.pattern, line):
                        halted.append(self.stop)
                theirs.sendall(data)
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_RDWR)  # a client that is gone is gone, also while its answer is held

    def _answers(self, ours: socket.socket, theirs: socket.socket, halted: list[Stop]) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := theirs.recv(CHUNK):
                if not halted:
                    passed = 0
                elif passed + len(data) > halted[0].after:
                    halted[0].reached.set()
                    self._released.wait()
                else:
                    passed += len(data)
                ours.sendall(data)
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_WR)
