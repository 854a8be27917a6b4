"""A job in another process, or on another machine that shares the cache's folder: all of it is values that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from slimrun.events import Progress
from slimrun.work.job import attempt
from slimrun.work.opening import open_backend, opened
from slimrun.work.relay import Gathered, Relay

if TYPE_CHECKING:
    from slimrun.events import Event
    from slimrun.given import Context
    from slimrun.settings import BackendName, Settings
    from slimrun.work.job import Answer, Job
    from slimrun.work.opening import OpenBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a context can be made of again elsewhere; `open_backend` is a function of some module."""

    settings: Settings
    environ: tuple[tuple[str, str], ...]
    open_backend: OpenBackend = open_backend


def spec_of(context: Context) -> Spec:
    """A context as a value; which backend it has is settled by now."""
    name = cast("BackendName", context.backend.name)
    return Spec(settings=replace(context.settings, backend=name), environ=context.environ)


def perform_apart(job: Job, spec: Spec) -> Answer:
    """Carry out one job and close what it opened; what it said comes with the answer, without its progress.

    Nothing stays between jobs: a worker that dies or is sent home leaves what a killed run leaves, and `slimrun clean` finds it.
    """
    heard: list[Event] = []

    def hear(event: Event, /) -> None:
        if not isinstance(event, Progress):
            heard.append(event)

    with opened(spec.settings, hear, dict(spec.environ), spec.open_backend) as context:
        answer = attempt(job, context, Gathered(Relay(hear), job.image, job.stage.tag))
    return replace(answer, events=(*heard, *answer.events))
