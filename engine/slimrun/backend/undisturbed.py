"""Calls that Ctrl-C does not cut off, since what they make must be known to be taken away."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from slimrun.errors import SlimrunError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
# How long what was under way may take to end, in seconds; nobody who pressed Ctrl-C waits much longer.
PATIENCE = 5.0
# A signal that comes just before lying down to wait wakes nobody.
_TURN = 0.5


def undisturbed(make: Callable[[], _T], undo: Callable[[_T], object], late: Callable[[], object]) -> _T:
    """What `make` gives, called in a thread that no signal reaches; where one ends the waiting, it is undone once it is there.

    Raises what `make` raises, or the signal's exception; before that one, `late` is called where it is not undone in time.
    """
    # Bare locks: a signal in the midst of what `threading` does with its own leaves them as nobody expects.
    ended, deciding = allocate_lock(), allocate_lock()
    got: list[_T] = []
    handed: list[_T] = []
    failed: list[BaseException] = []
    left: list[bool] = []

    def run() -> None:
        try:
            got.append(make())
            with deciding:
                handed.extend(() if left else got)
            if not handed:
                undo(got[0])
        except BaseException as error:
            failed.append(error)
        finally:
            ended.release()

    def gone() -> bool:
        """Whether nothing is there of what was made."""
        if handed:
            return _undone(handed[0], undo)
        return (bool(failed) or ended.acquire(timeout=PATIENCE)) and not (got and failed)

    ended.acquire()
    try:
        start_new_thread(run, ())
        while not ended.acquire(timeout=_TURN):
            pass
        if failed:
            raise failed[0]
        return handed[0]
    except BaseException as error:
        if failed and error is failed[0]:
            raise
        with deciding:
            left.append(True)
        if not gone():
            late()
        raise


def _undone(value: _T, undo: Callable[[_T], object]) -> bool:
    with suppress(SlimrunError):
        undo(value)
        return True
    return False
