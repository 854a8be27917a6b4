"""The one way by which events leave a run: safe for threads, and where a run that is being stopped stops."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock, get_ident
from typing import TYPE_CHECKING

from slimrun.errors import Interrupted
from slimrun.events import Progress, TaskEnded, TaskStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slimrun.deadline import Deadline
    from slimrun.events import Emit, Event, Status


class Relay:
    """An Emit for several threads: one event at a time, and groups of them unmixed.

    After `stop`, it raises Interrupted in every thread but the one that called it.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit, self._lock = emit, Lock()
        self._stopper: int | None = None

    def __call__(self, event: Event, /) -> None:
        """Hand one event on."""
        self.whole((event,))

    def whole(self, events: Iterable[Event]) -> None:
        """Hand several events on, with no other between them."""
        if self._stopper not in (None, get_ident()):
            msg = "the run is being stopped"
            raise Interrupted(msg)
        with self._lock:
            for event in events:
                self._emit(event)

    def stop(self) -> None:
        """Let whoever tells of its work elsewhere end there."""
        self._stopper = get_ident()


class Gathered:
    """An Emit for one task of an image: what it says is kept and handed on whole; progress passes at once.

    A stage may tell of its steps with TaskStarted and TaskEnded of its own: each is handed on whole when it ends, and counted.
    Progress past the `deadline` raises OutOfTime.
    """

    deadline: Deadline | None = None

    def __init__(self, relay: Relay, image: str, stage: str, *, live: bool = False) -> None:
        self._relay, self._image, self._stage, self._live = relay, image, stage, live
        self._events: list[Event] = []
        self._step: list[Event] | None = None
        self.statuses: list[Status] = []

    def __call__(self, event: Event, /) -> None:
        """Take one event."""
        if isinstance(event, TaskEnded):
            self.statuses.append(event.status)
        if isinstance(event, Progress):
            if self.deadline is not None:
                self.deadline.check()
            event = replace(event, image=self._image, stage=self._stage)
        if self._live or isinstance(event, Progress):
            self._relay(event)
        elif isinstance(event, TaskStarted):
            self._step = [event]
        elif isinstance(event, TaskEnded):
            self._relay.whole([*(self._step or ()), event])
            self._step = None
        else:
            (self._events if self._step is None else self._step).append(event)

    def take(self) -> list[Event]:
        """What was kept and not handed on yet."""
        events = [*self._events, *(self._step or ())]
        self._events, self._step = [], None
        return events
