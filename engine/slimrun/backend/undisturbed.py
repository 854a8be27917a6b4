"""Calls that Ctrl-C does not cut off, since what they make must be known to be taken away."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
# How long what was under way may take to end, in seconds; nobody who pressed Ctrl-C waits much longer.
PATIENCE = 5.0


def undisturbed(make: Callable[[], _T], undo: Callable[[_T], object]) -> _T:
    """What `make` gives, called in a thread that no signal reaches; where one ends the waiting, it is undone when it is there.

    Raises what `make` and `undo` raise, and TimeoutError where `make` does not end in time after a signal.
    """
    made: Future[_T] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return made.result()
    except BaseException as error:
        own = made.done() and made.exception() is error
        if not own and made.exception(PATIENCE) is None:
            undo(made.result())
        raise
