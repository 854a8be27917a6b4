"""What a step's commands print: all of it in a file, and when one fails, the lines that say why."""

from __future__ import annotations

import re
import shlex
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slimrun.cache.store import writing
from slimrun.errors import BuildFailed, DiskFull
from slimrun.events import Note, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from slimrun.errors import SlimrunError
    from slimrun.events import Emit

TAIL = 20
KEPT = 200
_FIRST = re.compile(
    r"(?::\d+(?::\d+)?: (?:fatal )?error: "  # gcc, clang
    r"|: undefined reference to "
    r"|^(?:configure: )?error: (?!in [`'])|^E: "  # configure (which names its folder first), Python's build tools, apt
    r"|\*\*\* .* Stop\.$)"
)
_FULL = re.compile(r"No space left on device|[Dd]isk quota exceeded|not enough free space")
_KILLED = 137


class BuildLog:
    """The output of one step."""

    def __init__(self, path: Path, stream: BinaryIO, step: str, emit: Emit) -> None:
        self._path, self._stream, self._step, self._emit = path, stream, step, emit
        self._rest, self._count = b"", 0
        self._last: deque[str] = deque(maxlen=KEPT)
        self._first = self._full = ""

    @staticmethod
    @contextmanager
    def writing(path: Path, step: str, emit: Emit) -> Iterator[BuildLog]:
        """A log that is written from its beginning."""
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                log = BuildLog(path, stream, step, emit)
                yield log
                log.finish()

    def command(self, argv: Sequence[str]) -> None:
        """Note which command's output follows."""
        text = f"$ {shlex.join(argv)}"
        self.finish()
        self._stream.write(f"{text}\n".encode("utf-8", "surrogateescape"))
        self._say(text)

    def write(self, data: bytes) -> None:
        """Append what arrived."""
        self._stream.write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8", "replace").rstrip("\r"))

    def tick(self) -> None:
        """Tell that the step goes on; raises what the Emit raises: the run is being stopped, or its time is over."""
        self._emit(Progress(what=self._step, done=self._count, unit="lines"))

    def finish(self) -> None:
        """Take what came without a line's end for a line."""
        if self._rest:
            self._line(self._rest.decode("utf-8", "replace"))
            self._rest = b""

    def failure(self, argv: Sequence[str], status: int) -> SlimrunError:
        """Why a command failed, for a person: the first error that a compiler or tool named, and the last lines."""
        self.finish()
        self._stream.flush()
        where = f"all that it printed is in {self._path}"
        if self._full:
            msg = f"{self._step}: the engine has no space left: {self._full}"
            return DiskFull(msg, hint=f"`docker system df` shows what takes it, `slimrun clean` helps; {where}")
        text = f"{self._step}: {argv[0]} ended with status {status}"
        if status == _KILLED:
            text += " (it was killed: perhaps the engine ran out of memory)"
        if self._first:
            text += f"\n    first error: {self._first}"
        last = list(self._last)[-TAIL:]
        text += "".join(f"\n    | {line}" for line in last)
        lines = tuple(self._last)
        return BuildFailed(text, step=self._step, log=str(self._path), status=status, lines=lines, hint=where)

    def _line(self, line: str) -> None:
        if not self._first and _FIRST.search(line):
            self._first = line.strip()
        if not self._full and _FULL.search(line):
            self._full = line.strip()
        self._say(line)

    def _say(self, line: str) -> None:
        self._count += 1
        self._last.append(line)
        self.tick()
        self._emit(Note(text=f"{self._step}: {line}", level=3))
