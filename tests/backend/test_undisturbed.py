"""What is made although a signal came is taken away; whoever waits is not kept for ever."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from slimrun.backend import undisturbed as module
from slimrun.backend.undisturbed import undisturbed
from slimrun.errors import EngineUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Pressed(BaseException):
    """What a signal's handler raises."""


class Call:
    """`undisturbed`, with a signal as soon as `begun` is set; what was undone, and whether it was told that it was late."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.undone: list[int] = []
        self.late: list[bool] = []

    def __call__(self, make: Callable[[], int], *, undo: Callable[[int], None] | None = None) -> int:
        return undisturbed(make, undo or self.undone.append, lambda: self.late.append(True))


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call()

    def handler(_number: int, _frame: object) -> None:
        raise Pressed

    before = signal.signal(signal.SIGUSR1, handler)

    def press() -> None:
        if made.begun.wait(5):
            os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=press)
    thread.start()
    yield made
    thread.join(10)
    signal.signal(signal.SIGUSR1, before)


def test_without_a_signal() -> None:
    made = Call()
    assert made(lambda: 1) == 1
    assert (made.undone, made.late) == ([], [])


def test_what_make_raises_is_raised() -> None:
    made = Call()

    def make() -> int:
        msg = "no"
        raise KeyError(msg)

    with pytest.raises(KeyError, match="no"):
        made(make)
    assert (made.undone, made.late) == ([], [])


def test_it_is_waited_for_and_undone(call: Call) -> None:
    def make() -> int:
        call.begun.set()
        time.sleep(0.3)
        return 7

    with pytest.raises(Pressed):
        call(make)
    assert (call.undone, call.late) == ([7], [])


def test_what_fails_after_a_signal_leaves_nothing_to_undo(call: Call) -> None:
    def make() -> int:
        call.begun.set()
        time.sleep(0.3)
        raise KeyError

    with pytest.raises(Pressed):
        call(make)
    assert (call.undone, call.late) == ([], [])


def test_what_cannot_be_undone_is_told(call: Call) -> None:
    def make() -> int:
        call.begun.set()
        time.sleep(0.3)
        return 7

    def undo(_: int) -> None:
        msg = "nobody"
        raise EngineUnreachable(msg)

    with pytest.raises(Pressed):
        call(make, undo=undo)
    assert call.late == [True]


def test_what_does_not_end_is_told_and_undone_when_it_does(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    ended = threading.Event()

    def make() -> int:
        call.begun.set()
        ended.wait(5)
        return 7

    with pytest.raises(Pressed):
        call(make)
    assert (call.undone, call.late) == ([], [True])
    ended.set()
    deadline = time.monotonic() + 5
    while not call.undone and time.monotonic() < deadline:
        time.sleep(0.01)
    assert call.undone == [7]
