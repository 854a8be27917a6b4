"""Events on their way out of several threads: unmixed, and where a run that is stopped stops."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import Interrupted
from slimrun.events import Event, Note, Progress, TaskEnded, TaskStarted, Warned
from slimrun.work.relay import Gathered, Relay

if TYPE_CHECKING:
    from collections.abc import Callable

STARTED = TaskStarted(image="a", stage="python", what="make")
ENDED = TaskEnded(image="a", stage="python", status="changed")


def elsewhere(work: Callable[[], None]) -> BaseException | None:
    """What a function raised in another thread."""
    found: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0] if found else None


def test_groups_stay_together() -> None:
    heard: list[str] = []

    def emit(event: Event, /) -> None:
        assert isinstance(event, Note)
        heard.append(event.text)

    relay = Relay(emit)
    groups = [[Note(text=f"{name}{number}") for number in range(50)] for name in "abcd"]
    threads = [threading.Thread(target=relay.whole, args=(group,)) for group in groups for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = [heard[start : start + 50] for start in range(0, len(heard), 50)]
    assert len(runs) == 20
    for run in runs:
        assert run == [f"{run[0][0]}{number}" for number in range(50)]


def test_after_stop_others_are_interrupted_and_the_stopper_is_not() -> None:
    heard: list[Event] = []
    relay, note = Relay(heard.append), Note(text="x")
    assert elsewhere(lambda: relay(note)) is None
    relay.stop()
    assert isinstance(elsewhere(lambda: relay(note)), Interrupted)
    assert isinstance(elsewhere(lambda: Gathered(relay, "a", "b")(Progress(what="x", done=0))), Interrupted)
    relay(note)
    assert heard == [note, note]


def test_an_emit_that_fails_lets_go_of_the_lock() -> None:
    def emit(_event: Event, /) -> None:
        raise BrokenPipeError

    relay = Relay(emit)
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            relay(Note(text="x"))


def test_what_a_task_says_is_kept_and_its_progress_is_not() -> None:
    heard: list[Event] = []
    gathered = Gathered(Relay(heard.append), "a", "python")
    gathered(Warned(text="1"))
    gathered(Progress(what="x", done=3))
    assert heard == [Progress(what="x", done=3, image="a", stage="python")]
    assert gathered.take() == [Warned(text="1")]
    assert gathered.take() == []
    assert gathered.statuses == []


def test_steps_are_handed_on_whole_when_they_end() -> None:
    heard: list[Event] = []
    gathered = Gathered(Relay(heard.append), "a", "python")
    for event in (Warned(text="0"), STARTED, Warned(text="1"), ENDED, Warned(text="2"), STARTED):
        gathered(event)
    assert heard == [STARTED, Warned(text="1"), ENDED]
    assert gathered.statuses == ["changed"]
    assert gathered.take() == [Warned(text="0"), Warned(text="2"), STARTED], "a step that an error cut short"


def test_live_all_passes_at_once() -> None:
    heard: list[Event] = []
    gathered = Gathered(Relay(heard.append), "a", "python", live=True)
    for event in (STARTED, Warned(text="1"), ENDED):
        gathered(event)
    assert heard == [STARTED, Warned(text="1"), ENDED]
    assert (gathered.statuses, gathered.take()) == (["changed"], [])
