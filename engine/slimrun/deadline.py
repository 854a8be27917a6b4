"""How long one image may take: `run.timeout` of slim.yaml, looked at between stages and wherever a long step tells of itself."""

from __future__ import annotations

import time
from dataclasses import dataclass

from slimrun.errors import OutOfTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When an image's time is over, by this machine's monotonic clock; `limit` in seconds, as slim.yaml has it."""

    ends: float
    limit: float

    def left(self) -> float:
        """The seconds that are left, 0 where none are."""
        return max(0.0, self.ends - time.monotonic())

    def check(self) -> None:
        """Raise OutOfTime once the time is over."""
        if self.left() == 0:
            msg = f"the image takes longer than run.timeout, {self.limit:g} s"
            raise OutOfTime(msg, hint="raise run.timeout in slim.yaml; what was made so far is kept for the next run")
