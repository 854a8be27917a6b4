"""What is made although a signal came is taken away; whoever waits is not kept for ever."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from slimrun.backend import undisturbed as module
from slimrun.backend.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pressed(BaseException):
    """What a signal's handler raises."""


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The first wait for a result ends with Pressed once `begun` is set, as Ctrl-C would end it."""
    begun, wait, first = threading.Event(), module.Future.result, [True]

    def result(future: module.Future[object], timeout: float | None = None) -> object:
        if first:
            first.clear()
            assert begun.wait(5)
            raise Pressed
        return wait(future, timeout)

    monkeypatch.setattr(module.Future, "result", result)
    return begun


def test_without_a_signal() -> None:
    undone: list[int] = []
    assert undisturbed(lambda: 1, undone.append) == 1
    assert undone == []


def test_what_make_raises_is_raised() -> None:
    undone: list[int] = []

    def make() -> int:
        msg = "no"
        raise KeyError(msg)

    with pytest.raises(KeyError, match="no"):
        undisturbed(make, undone.append)
    assert undone == []


def test_it_is_waited_for_and_undone(pressed: threading.Event) -> None:
    undone: list[int] = []

    def make() -> int:
        pressed.set()
        time.sleep(0.2)
        return 7

    with pytest.raises(Pressed):
        undisturbed(make, undone.append)
    assert undone == [7]


def test_what_fails_after_a_signal_leaves_nothing_to_undo(pressed: threading.Event) -> None:
    undone: list[int] = []

    def make() -> int:
        pressed.set()
        time.sleep(0.1)
        raise KeyError

    with pytest.raises(Pressed):
        undisturbed(make, undone.append)
    assert undone == []


def test_what_does_not_end_is_told(pressed: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    ended, undone = threading.Event(), list[int]()

    def make() -> int:
        pressed.set()
        ended.wait(5)
        return 7

    with pytest.raises(TimeoutError):
        undisturbed(make, undone.append)
    ended.set()
    assert undone == []
