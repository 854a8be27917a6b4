"""Walks the stages of one image after another: a result that the cache has is taken, what it lacks is made."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slimrun.errors import SlimrunError, Terminated, Unreachable
from slimrun.events import PlayStarted, Recap, Status, TaskEnded, TaskStarted
from slimrun.outside import outside
from slimrun.pipeline import WORKERS, Context, Given, Unchanged
from slimrun.plan.digest import digest_of, stage_key

if TYPE_CHECKING:
    from slimrun.backend.base import Finished
    from slimrun.plan.compile import Plan, Stage

REFRESHED = ("resolve", "wheels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one image went: what it is, or the error that ended it; `counts` of tasks by status, wall time in seconds."""

    image: str
    tags: tuple[str, ...]
    counts: tuple[tuple[Status, int], ...]
    seconds: float
    finished: Finished | None = None
    error: SlimrunError | None = None


class _Results(Mapping[str, Any]):
    """Earlier results by stage, read from the cache only when a stage asks for one; one that is damaged is made anew."""

    def __init__(self, plan: Plan, context: Context) -> None:
        self._plan, self._context = plan, context
        self.cached: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self.digests: dict[str, str] = {}
        self.finished: Finished | None = None

    def put(self, stage: str, key: str, digest: str, value: Any = None) -> None:
        """Note a stage's result; without a value it is read from the cache when it is asked for."""
        self.cached[stage], self.digests[stage] = key, digest
        self._values.pop(stage, None)
        if value is not None:
            self._values[stage] = value

    def __getitem__(self, stage: str) -> Any:
        if stage not in self._values:
            if stage not in self.cached:
                raise KeyError(stage)
            self._values[stage] = self._context.cache.load_value("stage", self.cached[stage])
            if self._values[stage] is None:  # damaged, or parts of the cache were removed
                self._context.cache.forget("stage", self.cached[stage])
                _run_stage(self._plan, self._plan.stage(stage), self, self._context)
        return self._values[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cached)

    def __len__(self) -> int:
        return len(self.cached)


def run_image(plan: Plan, context: Context) -> Outcome:
    """Carry out one plan; errors of slimrun end it and are part of the outcome, all others pass through."""
    began, emit = time.monotonic(), context.emit
    counts: Counter[Status] = Counter()
    results = _Results(plan, context)
    error: SlimrunError | None = None
    emit(PlayStarted(image=plan.image))
    for stage in plan.stages:
        begun = time.monotonic()
        emit(TaskStarted(image=plan.image, stage=stage.tag, what=stage.title))
        status: Status = "skipping"
        message = ""
        try:
            if stage.steps:
                status = _run_stage(plan, stage, results, context)
        except Terminated:
            raise
        except SlimrunError as failure:
            error = failure
            status = "unreachable" if isinstance(failure, Unreachable) else "failed"
            message = failure.render()
        counts[status] += 1
        seconds = time.monotonic() - begun
        emit(TaskEnded(image=plan.image, stage=stage.tag, status=status, message=message, seconds=seconds))
        if error is not None:
            break
    seconds = time.monotonic() - began
    finished = results.finished if error is None else None
    emit(
        Recap(
            image=plan.image,
            counts=tuple(sorted(counts.items())),
            size=finished.size if finished else 0,
            seconds=seconds,
            digest=finished.config.digest() if finished else "",
        )
    )
    return Outcome(
        image=plan.image,
        tags=plan.tags,
        counts=tuple(sorted(counts.items())),
        seconds=seconds,
        finished=finished,
        error=error,
    )


def _run_stage(plan: Plan, stage: Stage, results: _Results, context: Context) -> Status:
    """Take a stage's result from the cache (ok), or make and keep it (changed)."""
    cache, worker = context.cache, WORKERS[stage.name]
    inputs = tuple((name, results.digests[name]) for name in stage.reads if name in results.digests)
    names = (plan.image, plan.tags) if stage.name in ("verify", "report") else ()
    key = stage_key(
        stage.name,
        worker.revision,
        (stage.steps, names),
        (inputs, outside(stage, context.settings, context.environ, context.backend.name)),
    )
    with cache.lock(f"stage-{key}"):
        forced = context.settings.no_cache or (context.settings.refresh and stage.name in REFRESHED)
        record = None if forced else cache.load("stage", key)
        if record is not None:
            results.put(stage.name, key, record["digest"])
            if _still_there(stage, results, context):
                return "ok"
        given = Given(image=plan.image, tags=plan.tags, key=key, stage=stage, results=results)
        value = worker.function(given, context)
        status: Status = "changed"
        if isinstance(value, Unchanged):
            value, status = value.value, "ok"
        digest = digest_of(value)
        cache.save_value("stage", key, value)
        if stage.name == "assemble":
            results.finished = replace(value.finished(plan.tags), base=given.pins.runtime)
            cache.save_value("finished", key, results.finished)
        cache.save("stage", key, {"digest": digest, "stage": stage.name, "image": plan.image})
    results.put(stage.name, key, digest, value)
    return status


def _still_there(stage: Stage, results: _Results, context: Context) -> bool:
    """Whether a cached result is whole: layers in the cache, and for a verified image, the image in the engine."""
    if stage.name == "assemble":
        results.finished = context.cache.load_value("finished", results.cached[stage.name])
        return results.finished is not None and all(map(context.cache.has_blob, results.finished.config.diff_ids))
    if stage.name == "report":
        return results.finished is not None and context.cache.has("report", results.finished.config.digest())
    if stage.name == "verify":
        return results.finished is not None and context.backend.has(results.finished)
    return True
