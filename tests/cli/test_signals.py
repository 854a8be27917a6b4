"""The first signal ends the run, and clearing away is not disturbed by more."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from slimrun.cli import signals
from slimrun.cli.signals import Signals
from slimrun.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_only_the_first_raises(number: signal.Signals, error: type[BaseException]) -> None:
    said: list[str] = []
    Signals(said.append).install()
    with pytest.raises(error):
        signal.raise_signal(number)
    for again in (signal.SIGINT, signal.SIGTERM, number):
        signal.raise_signal(again)
    assert said == ["clearing away what was begun; a moment"] * 3


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Signals(pytest.fail).install()
    signal.raise_signal(signal.SIGINT)


SCRIPT = """
import signal, sys, time
from slimrun.cli import signals
signals.GRACE = float(sys.argv[1])
signals.Signals(lambda text: print(text, flush=True)).install()
try:
    print("up", flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    print("clearing", flush=True)
    time.sleep(1.5)
    print("cleared", flush=True)
"""


@pytest.mark.parametrize(
    ("grace", "code", "lines"),
    [
        ("30", 0, ["clearing", "clearing away what was begun; a moment", "cleared"]),
        ("0", -signal.SIGINT, ["clearing", "leaving at once; `slimrun clean` removes what is left"]),
    ],
)
def test_a_second_press(grace: str, code: int, lines: list[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, grace], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "clearing\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read().splitlines()
    assert child.returncode == code
    assert ["clearing", *rest] == lines


def test_the_grace_is_longer_than_clearing_takes_and_shorter_than_patience() -> None:
    assert 5 <= signals.GRACE <= 30
