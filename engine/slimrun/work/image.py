"""One image's way through its stages: which are done, which can begin, and how this run differs from the last one."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slimrun.pipeline import WORKERS
from slimrun.plan.digest import digest_of
from slimrun.work.job import Job
from slimrun.work.parts import Change, Parts, compare, key_of, parts_of, summary

if TYPE_CHECKING:
    from slimrun.backend.base import Finished
    from slimrun.cache.store import Cache
    from slimrun.errors import SlimrunError
    from slimrun.events import Status
    from slimrun.plan.compile import Plan, Stage
    from slimrun.work.job import Done

# These results hold the image's name or tags, or are about them.
_NAMED = ("verify", "report")
_KIND = "last-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one image went: what it is, or the error that ended it; `counts` of tasks by status, wall time in seconds.

    `changes` has the stages that ran or have another result than last time, with what made them so.
    """

    image: str
    tags: tuple[str, ...]
    counts: tuple[tuple[Status, int], ...]
    seconds: float
    finished: Finished | None = None
    error: SlimrunError | None = None
    changes: tuple[Change, ...] = ()

    @property
    def why(self) -> str:
        """Why the image was made, or that nothing changed."""
        return summary(self.changes)


class Image:
    """The state of one image in a run; `done` has the stages that are over, `begun` those whose work is under way too.

    `jobs` are to be carried out; `started` says whether one ever was, for this image's sake.
    """

    def __init__(self, plan: Plan, number: int, cache: Cache) -> None:
        self.plan, self.number = plan, number
        self.counts: Counter[Status] = Counter()
        self.finished: Finished | None = None
        self.error: SlimrunError | None = None
        self.done: set[str] = set()
        self.begun: set[str] = set()
        self.silent: set[str] = set()  # made again because a result was lost: nobody need hear of it twice
        self.started = False
        self.jobs: dict[str, Job] = {}
        self.began = time.monotonic()
        self._results: dict[str, Done] = {}
        self._changes: list[Change] = []
        self._parts: dict[str, Parts] = {}
        self._cache, self._key = cache, digest_of(plan.image)
        self._last: dict[str, Any] = cache.load(_KIND, self._key) or {}

    def ready(self, *, in_order: bool) -> Stage | None:
        """The first stage that can begin: when what it reads is there; or, `in_order` and where it does nothing, all before it."""
        before = self.error is None
        for stage in self.plan.stages:
            there = before if in_order or not stage.steps else self.done.issuperset(stage.reads)
            if there and stage.name not in self.begun and self.error is None:
                return stage
            before = before and stage.name in self.done
        return None

    def job(self, stage: Stage, outside: tuple[tuple[str, str], ...], *, forced: bool) -> Job:
        """The stage as a job; its key holds all that decides its result."""
        results = {name: done.digest for name, done in self._results.items()}
        pins = dict(self._results["resolve"].pins) if "resolve" in self._results else {}
        names = (self.plan.image, self.plan.tags) if stage.name in _NAMED else ()
        parts = parts_of(stage, WORKERS[stage.name].revision, names, results, pins, outside)
        self._parts[stage.name] = parts
        inputs = tuple((name, self._results[name].key) for name in stage.reads if name in self._results)
        key = key_of(stage.name, parts)
        return Job(image=self.plan.image, tags=self.plan.tags, stage=stage, key=key, inputs=inputs, forced=forced)

    def take(self, stage: str, done: Done) -> None:
        """Note a stage's result."""
        self.done.add(stage)
        self._results[stage] = done
        if done.finished is not None:  # layers and config may be another image's too, tags are not
            self.finished = replace(done.finished, tags=self.plan.tags)

    def lose(self, stage: str) -> str:
        """A stage's result turned out to be damaged: it is to be made again. Answers with its key."""
        self.done.discard(stage)
        self.begun.discard(stage)
        self.silent.add(stage)
        return self._results.pop(stage).key

    def change(self, stage: str, cause: str = "") -> Change:
        """How a stage differs from the last run; where it does not and ran all the same, `cause` is why it did."""
        last = self._last.get(stage)
        change = compare(stage, self._parts[stage], last)
        if cause and not (change.reasons or change.follows):
            change = Change(stage=stage, reasons=(cause,))
        change = replace(change, made=bool(cause))
        if cause or (last is not None and (change.reasons or change.follows)):
            self._changes.append(change)
        return change

    def outcome(self) -> Outcome:
        """How the image went; what its stages rested on is kept for the next run's comparison."""
        rested = {name: parts for name, parts in self._parts.items() if name in self.done}
        kept = {name: parts for name, parts in self._last.items() if name not in self._parts}
        if kept | rested != self._last:
            self._cache.save(_KIND, self._key, kept | rested)
        return Outcome(
            image=self.plan.image,
            tags=self.plan.tags,
            counts=tuple(sorted(self.counts.items())),
            seconds=time.monotonic() - self.began,
            finished=self.finished if self.error is None else None,
            error=self.error,
            changes=tuple(self._changes),
        )
