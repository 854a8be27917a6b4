"""A few threads that do work while the calling thread shows progress and can be interrupted."""

from __future__ import annotations

import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import TYPE_CHECKING

from slimrun.events import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    from slimrun.events import Emit

SHOW_EVERY = 0.1
# A thread that is still connecting cannot be woken; it is a daemon and holds no file, so it is left behind.
PATIENCE = 1.0


class Stopped(Exception):
    """Work ends because the crew was told to stop."""


class Crew:
    """Daemon threads rather than an executor: an executor's exit waits for a transfer that hangs, Ctrl-C or not."""

    def __init__(self, size: int, *, what: str, total: int, emit: Emit) -> None:
        self.stop = Flag()
        self._size, self._what, self._total, self._emit = size, what, total, emit
        self._done, self._lock = 0, Lock()
        self._answers: list[requests.Response] = []

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Do every task; the first failure stops the others and is raised."""
        todo: SimpleQueue[tuple[int, Callable[[], None]]] = SimpleQueue()
        ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        for numbered in enumerate(tasks):
            todo.put(numbered)

        def work() -> None:
            while not self.stop.is_set():
                try:
                    number, task = todo.get_nowait()
                except Empty:
                    return
                try:
                    task()
                except BaseException as error:
                    ended.put((number, error))
                else:
                    ended.put((number, None))

        threads = [Thread(target=work, daemon=True) for _ in range(min(self._size, len(tasks)))]
        try:
            for thread in threads:
                thread.start()
            self._watch(ended, len(tasks))
        finally:
            self.stop.set()
            self._wake()
            until = time.monotonic() + PATIENCE
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))

    def advance(self, count: int) -> None:
        """Bytes that arrived; negative where a transfer begins anew."""
        with self._lock:
            self._done += count

    def holds(self, answer: requests.Response) -> None:
        """An answer that is being read, to be cut off when the crew stops."""
        self.check()
        with self._lock:
            self._answers = [other for other in self._answers if not other.raw.closed]
            self._answers.append(answer)

    def check(self) -> None:
        """Raises Stopped once the crew was told to stop."""
        if self.stop.is_set():
            raise Stopped

    def _watch(self, ended: SimpleQueue[tuple[int, BaseException | None]], count: int) -> None:
        left = count
        while left:
            try:
                _, error = ended.get(timeout=SHOW_EVERY)
            except Empty:
                pass
            else:
                left -= 1
                if error is not None:
                    raise error
            self._emit(Progress(what=self._what, done=self._done, total=self._total))

    def _wake(self) -> None:
        with self._lock:
            for answer in self._answers:
                # Closing a socket does not wake a thread that reads from it; shutting it down does (urllib3 2.3).
                with suppress(Exception):
                    answer.raw.shutdown()
