"""What happened, as values: the engine emits them, the command line renders them, tests collect them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["ok", "changed", "skipping", "failed", "unreachable", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayStarted:
    """Work on one image begins."""

    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """A stage of an image begins, or a step of one that tells of its steps; `what` says what it will do in a few words.

    Each has a TaskEnded of the same image and stage; those of steps lie between the two of their stage.
    """

    image: str
    stage: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """A stage of an image ended; `seconds` is wall time, `why` which of its inputs made it run."""

    image: str
    stage: str
    status: Status
    message: str = ""
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long step is; `total` 0 means unknown. `unit` is `B` for bytes, else the name of what is counted.

    `image` and `stage` are those of the task that the step belongs to, where it is known.
    """

    what: str
    done: int
    total: int = 0
    unit: str = "B"
    image: str = ""
    stage: str = ""


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
    """The sums of one image: tasks by status, the size in bytes (uncompressed layers), wall time, `why` it was made or not."""

    image: str
    counts: tuple[tuple[Status, int], ...]
    size: int = 0
    seconds: float = 0.0
    digest: str = ""
    why: str = ""


Event = PlayStarted | TaskStarted | TaskEnded | Progress | Note | Warned | Recap


class Emit(Protocol):
    """Receives events in the order they happen.

    It raises Interrupted in a thread whose run is being stopped, and OutOfTime for a Progress of an image whose time is over,
    so that a long step that reports itself ends there; nothing else.
    """

    def __call__(self, event: Event, /) -> None: ...


def silent(_event: Event, /) -> None:
    """The Emit that drops everything."""
