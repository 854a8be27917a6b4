"""Ctrl-C and SIGTERM: the first ends the run, and clearing away what was begun is not disturbed by more of them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from slimrun.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# A person who presses Ctrl-C twice is impatient, not willing to clear away by hand. One who still waits after this is stuck.
GRACE = 15.0


class Signals:
    """The handler of both; `say` is called with what a person should know."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._first = say, 0.0

    def install(self) -> None:
        """Handle both signals from now on; a SIGINT that whoever started us ignores stays ignored."""
        signal.signal(signal.SIGTERM, self)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if not self._first:
            self._first = time.monotonic()
            if number == signal.SIGTERM:
                msg = "terminated; what was begun has been cleared away"
                raise Terminated(msg)
            raise KeyboardInterrupt
        if time.monotonic() - self._first < GRACE:
            self._say("clearing away what was begun; a moment")
            return
        self._say("leaving at once; `slimrun clean` removes what is left")
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
