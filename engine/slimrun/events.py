"""What happened, as values: the engine emits them, the command line renders them, tests collect them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["ok", "changed", "skipping", "failed", "unreachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayStarted:
    """Work on one image begins."""

    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """A stage of an image begins; `what` says what it will do in a few words."""

    image: str
    stage: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """A stage of an image ended; `seconds` is wall time."""

    image: str
    stage: str
    status: Status
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long step is; `total` 0 means unknown. `unit` is `B` for bytes, else the name of what is counted."""

    what: str
    done: int
    total: int = 0
    unit: str = "B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line worth reading: level 0 always, 1 with -v, 2 with -vv, 3 with -vvv."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that is not wrong and that a person should know; never silent."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recap:
    """The sums of one image: tasks by status, the size in bytes (uncompressed layers), wall time."""

    image: str
    counts: tuple[tuple[Status, int], ...]
    size: int = 0
    seconds: float = 0.0
    digest: str = ""


Event = PlayStarted | TaskStarted | TaskEnded | Progress | Note | Warned | Recap


class Emit(Protocol):
    """Receives events in the order they happen; must not raise."""

    def __call__(self, event: Event, /) -> None: ...


def silent(_event: Event, /) -> None:
    """The Emit that drops everything."""
