"""One stage of one image as a value, and how it is carried out: a result that the cache has is taken, else it is made and kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slimrun.deadline import Deadline
from slimrun.errors import Interrupted, SlimrunError, Terminated
from slimrun.events import Progress
from slimrun.given import Context, Given, Unchanged
from slimrun.pipeline import WORKERS
from slimrun.plan.digest import digest_of

if TYPE_CHECKING:
    from slimrun.backend.base import Finished
    from slimrun.events import Event, Status
    from slimrun.plan.compile import Stage
    from slimrun.work.relay import Gathered

# What no later stage reads is not worth keeping in memory; a report is kept as JSON, and nowhere else.
_LAST = ("report", "push")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A stage to carry out: `inputs` are the keys of earlier stages' results; `forced` makes it anew whatever the cache has.

    `cause` says why it is carried out where nothing that decides its result has changed; `left` are the seconds that the image
    has, as a duration since a worker elsewhere has another clock.
    """

    image: str
    tags: tuple[str, ...]
    stage: Stage
    key: str
    inputs: tuple[tuple[str, str], ...]
    forced: bool = False
    cause: str = "its result is no longer in the cache"
    left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A stage's result, by digest; `made` is False where it was there, for the cache or the stage itself to find.

    `pins` has words and digest of each field of what resolve gave; `finished` is the image, once it is assembled.
    """

    key: str
    digest: str
    made: bool = False
    pins: tuple[tuple[str, tuple[str, str]], ...] = ()
    finished: Finished | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a job: `done`, or the `error` of slimrun that ended it, or the earlier stage whose result is `lost`.

    `events` are what it said and nobody heard yet, `statuses` those of its own steps; `seconds` is wall time.
    """

    done: Done | None = None
    error: SlimrunError | None = None
    lost: str = ""
    events: tuple[Event, ...] = ()
    statuses: tuple[Status, ...] = ()
    seconds: float = 0.0


class Lost(Exception):
    """An earlier stage's result is recorded and cannot be read: it is damaged, or parts of the cache were removed."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage


def look_up(job: Job, context: Context) -> Done | None:
    """What the cache has of a job, if it is whole."""
    record = context.cache.load("stage", job.key)
    if record is None:
        return None
    finished = None
    if job.stage.name == "assemble":
        found = context.cache.load_value("finished", job.key)
        if found is None or not all(map(context.cache.has_blob, found.config.diff_ids)):
            return None
        finished = replace(found, tags=job.tags)
    pins = tuple((name, (words, digest)) for name, (words, digest) in sorted(record.get("pins", {}).items()))
    return Done(key=job.key, digest=record["digest"], pins=pins, finished=finished)


def attempt(job: Job, context: Context, gathered: Gathered) -> Answer:
    """Carry out a job, and tell of it as a value; only what ends a whole run passes through."""
    began = time.monotonic()
    done, error, lost = None, None, ""
    limit = context.settings.timeout
    if job.left is not None and limit is not None:
        gathered.deadline = Deadline(ends=began + job.left, limit=limit)
    try:
        done = perform(job, replace(context, emit=gathered, deadline=gathered.deadline))
    except (Interrupted, Terminated):
        raise
    except Lost as found:
        lost = found.stage
    except SlimrunError as failure:
        error = failure
    return Answer(
        done=done,
        error=error,
        lost=lost,
        events=tuple(gathered.take()),
        statuses=tuple(gathered.statuses),
        seconds=time.monotonic() - began,
    )


def perform(job: Job, context: Context) -> Done:
    """Carry out a job while holding its key; raises Lost, and errors of slimrun.

    Whoever held the key before may have made the result: then it is taken, unless the job is forced.
    """
    cache, stage = context.cache, job.stage

    def waiting() -> None:
        emit(Progress(what="waiting for another slimrun", done=round(time.monotonic() - began), unit="s"))

    began, emit = time.monotonic(), context.emit
    with cache.lock(f"stage-{job.key}", waiting=waiting):
        found = None if job.forced else look_up(job, context)
        if found is not None:
            return found
        given = Given(
            image=job.image, tags=job.tags, key=job.key, stage=stage, results=_Results(job, context), keys=job.inputs
        )
        value = WORKERS[stage.name].function(given, context)
        made = not isinstance(value, Unchanged)
        if isinstance(value, Unchanged):
            value = value.value
        # What no stage reads needs no digest of its own: its key says as much, and a report is the largest value of all.
        last = stage.name in _LAST
        done = Done(key=job.key, digest=job.key if last else digest_of(value), made=made)
        if stage.name != "report":
            cache.save_value("stage", job.key, value)
        if not last:
            context.memo.keep(job.key, value)
        record: dict[str, Any] = {"digest": done.digest, "stage": stage.name, "image": job.image}
        if stage.name == "resolve":
            pins = {name: (words, digest_of(part)) for name, (words, part) in value.parts().items()}
            record["pins"], done = pins, replace(done, pins=tuple(sorted(pins.items())))
        if stage.name == "assemble":
            done = replace(done, finished=replace(value.finished(job.tags), base=given.pins.runtime))
            cache.save_value("finished", job.key, done.finished)
        cache.save("stage", job.key, record)
    return done


class _Results(Mapping[str, Any]):
    """Earlier results by stage, each read only when the stage asks for it."""

    def __init__(self, job: Job, context: Context) -> None:
        self._keys, self._context = dict(job.inputs), context

    def __getitem__(self, stage: str) -> Any:
        key, memo = self._keys[stage], self._context.memo
        value = memo.recall(key)
        if value is None:
            value = self._context.cache.load_value("stage", key)
            if value is None:
                raise Lost(stage)
            memo.keep(key, value)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
