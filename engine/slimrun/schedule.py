"""One graph of the stages of all images: a result that the cache has is taken, and what it lacks is made once, whoever needs it."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.deadline import Deadline
from slimrun.errors import Interrupted, OutOfTime, SlimrunError, Terminated, Unreachable
from slimrun.events import PlayStarted, Progress, Recap, TaskEnded, TaskStarted
from slimrun.outside import outside, pusher
from slimrun.plan.building import Make
from slimrun.plan.digest import digest_of
from slimrun.plan.steps import InstallWheels
from slimrun.work.hands import Hands
from slimrun.work.image import Image, Outcome
from slimrun.work.job import Answer, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slimrun.events import Status
    from slimrun.given import Context
    from slimrun.plan.compile import Plan, Stage
    from slimrun.work.job import Done, Job

__all__ = ["Outcome", "run_image", "run_plans"]

REFRESHED = ("resolve", "wheels")
# How many stages of a kind run at once, whatever the forks: reading an image and running one keep an engine busy, and compiling
# takes all processors.
COMPILES = "compiles"
AT_ONCE = {"TakePython": 2, "Verify": 4, COMPILES: 1}
# Nothing is waited for longer in one go: a signal that comes just before a thread lies down to wait does not wake it.
_PATIENCE = 0.5


def run_image(plan: Plan, context: Context) -> Outcome:
    """Carry out one plan; errors of slimrun end it and are part of the outcome, all others pass through."""
    return run_plans((plan,), context)[0]


def run_plans(
    plans: Sequence[Plan],
    context: Context,
    *,
    forks: int = 1,
    executor: Executor | None = None,
    title: str = "",
    ends_all: Callable[[Outcome], bool] = lambda _: False,
    ended: Callable[[Outcome], Outcome] = lambda outcome: outcome,
) -> tuple[Outcome, ...]:
    """Carry out plans, at most `forks` stages at once; answers with the outcomes of all that were begun, in the plans' order.

    With one fork all happens in this thread. With more, in threads; or in an `executor` of any kind, whose workers share the
    cache's folder: it takes and gives values alone. `ended` is called with each outcome as it comes, in this thread, and may
    make another of it; after one for which `ends_all` is true no further image is begun. Where images are made at once, one
    PlayStarted with `title` stands for all of theirs.
    """
    return _Walk(plans, Hands(context, forks, executor), title, ends_all, ended).run()


class _Walk:
    """One run over the graph; it happens in one thread, and only jobs are carried out in others."""

    def __init__(
        self,
        plans: Sequence[Plan],
        hands: Hands,
        title: str,
        ends_all: Callable[[Outcome], bool],
        ended: Callable[[Outcome], Outcome],
    ) -> None:
        self._context, self._hands, self._title = hands.context, hands, title
        self._relay = hands.relay
        self._ends_all, self._ended = ends_all, ended
        self._plans = list(enumerate(plans))[::-1]
        self._images: list[Image] = []
        self._outcomes: dict[int, Outcome] = {}
        self._running: dict[Future[Answer], tuple[Image, Job]] = {}
        self._made: dict[str, Done] = {}
        self._failed: dict[str, SlimrunError] = {}
        self._read: dict[str, tuple[tuple[str, str], ...]] = {}

    def run(self) -> tuple[Outcome, ...]:
        """Begin what can begin, wait for the first that ends, and again; on any exception all that runs is stopped first."""
        if self._title and self._hands.several:
            self._relay(PlayStarted(image=self._title))
        with self._hands:
            try:
                while self._fill():
                    for future in wait(self._running, _PATIENCE, return_when=FIRST_COMPLETED).done:
                        self._end(*self._running.pop(future), future.result())
            except BaseException:
                self._stop()
                raise
        return tuple(self._outcomes[number] for number in sorted(self._outcomes))

    def _fill(self) -> bool:
        """Give every free hand a job, those of images begun first before further images; whether any is at work."""
        while len(self._running) < self._hands.number:
            chosen = self._choose()
            if chosen is not None:
                self._start(*chosen)
            elif self._plans:
                self._begin(*self._plans.pop())
            else:
                break
        return bool(self._running)

    def _choose(self) -> tuple[Image, Job] | None:
        """A job that may begin now: none like it is at work, nor as many of its kind as may be."""
        at_work = {job.key for _, job in self._running.values()}
        busy = Counter(kind for _, job in self._running.values() for kind in kinds(job))
        for image in self._images:
            for job in image.jobs.values():
                free = all(busy[kind] < AT_ONCE.get(kind, self._hands.number) for kind in kinds(job))
                if free and job.key not in at_work:
                    return image, job
        return None

    def _start(self, image: Image, job: Job) -> None:
        del image.jobs[job.stage.name]
        image.started = True
        if (deadline := self._deadline(image)) is not None:
            job = replace(job, left=deadline.left())
        if self._hands.several:
            self._relay(Progress(what=f"{job.stage.tag} [{job.image}]", done=0, image=job.image, stage=job.stage.tag))
        self._running[self._hands.submit(job)] = image, job

    def _begin(self, number: int, plan: Plan) -> None:
        image = Image(plan, number, self._context.cache)
        if not (self._title and self._hands.several):
            self._relay(PlayStarted(image=plan.image))
        self._images.append(image)
        self._advance(image)

    def _advance(self, image: Image) -> None:
        """Settle all that needs no work; an image that has nothing left to wait for is over."""
        while ready := image.ready(in_order=not self._hands.several):
            image.begun.add(ready.name)
            self._settle(image, ready)
        at_work = any(other is image for other, _ in self._running.values())
        if image in self._images and not image.jobs and not at_work:
            self._images.remove(image)
            self._close(image)

    def _settle(self, image: Image, stage: Stage, *, why: str = "") -> None:
        """Take a stage's result from this run or the cache, or note the job that makes it."""
        if not self._hands.several and stage.name not in image.silent:
            self._relay(TaskStarted(image=image.plan.image, stage=stage.tag, what=stage.title))
        if not stage.steps:
            image.done.add(stage.name)
            self._tell(image, stage, "skipping", Answer())
            return
        began = time.monotonic()
        try:
            if (deadline := self._deadline(image)) is not None:
                deadline.check()
            job, done = self._look(image, stage)
        except (Interrupted, Terminated):
            raise
        except SlimrunError as error:
            self._fail(image, stage, error, Answer(seconds=time.monotonic() - began))
            return
        if done is None:
            image.jobs[stage.name] = job
        else:
            image.take(stage.name, done)
            image.change(stage.name)
            self._tell(image, stage, "ok", Answer(seconds=time.monotonic() - began), why=why)

    def _deadline(self, image: Image) -> Deadline | None:
        limit = self._context.settings.timeout
        return None if limit is None else Deadline(ends=image.began + limit, limit=limit)

    def _look(self, image: Image, stage: Stage) -> tuple[Job, Done | None]:
        """A stage as a job, and its result where there is one: of this run, or of the cache where that may be used."""
        settings, backend, cache = self._context.settings, self._context.backend, self._context.cache
        steps = digest_of(stage.steps)
        if steps not in self._read:  # a hundred images with one source tree: read once
            self._read[steps] = outside(stage, settings, self._context.environ, backend.name)
        forced = settings.no_cache or (settings.refresh and stage.name in REFRESHED)
        job = image.job(stage, self._read[steps], forced=forced)
        if job.key in self._failed:
            raise self._failed[job.key]
        done = self._made.get(job.key)
        if done is not None:
            return job, done
        if forced:
            return replace(job, cause="--no-cache" if settings.no_cache else "--refresh"), None
        done, finished = look_up(job, self._context), image.finished
        if done is not None and stage.name == "verify" and not (finished and backend.has(finished)):
            return replace(job, forced=True, cause=f"{backend.name} no longer has the image"), None
        if done is not None and stage.name == "push" and not self._is_pushed(job):
            return replace(job, forced=True, cause="the registry has another image there, or none"), None
        if (
            done is not None
            and stage.name == "report"
            and not (finished and cache.has("report", finished.config.digest()))
        ):
            return replace(job, forced=True), None
        return job, done

    def _is_pushed(self, job: Job) -> bool:
        """Whether what was pushed is still there; without the network that is believed."""
        context = self._context
        pushed = context.cache.load_value("stage", job.key)
        if pushed is None or context.settings.offline:
            return pushed is not None
        return pusher(context.settings, context.cache, context.emit, context.environ).is_there(pushed)

    def _end(self, image: Image, job: Job, answer: Answer) -> None:
        """Hand a job's answer to its image, and to all others that wait for the same."""
        stage = job.stage
        if answer.lost:
            self._lose(image, job, answer.lost)
            return
        if answer.error is not None:
            if not isinstance(answer.error, OutOfTime):  # that is this image's, and others have time
                self._failed[job.key] = answer.error
            self._fail(image, stage, answer.error, answer)
        elif answer.done is not None:
            self._made[job.key] = answer.done
            image.take(stage.name, answer.done)
            made = answer.done.made
            change = image.change(stage.name, job.cause if made else "")
            why = str(change) if made else ""
            self._tell(image, stage, "changed" if made else "ok", answer, why=why)
        self._advance(image)
        for other in tuple(self._images):
            waiting = other.jobs.get(stage.name)
            if waiting is not None and waiting.key == job.key:
                del other.jobs[stage.name]
                self._settle(other, stage, why=f"{image.plan.image} made it")
                self._advance(other)

    def _lose(self, image: Image, job: Job, lost: str) -> None:
        """A result that a job reads is damaged: make it again, without a word, and then the job."""
        if lost in image.silent:
            msg = f"what {lost} gave cannot be read back from the cache"
            raise RuntimeError(msg)
        key = image.lose(lost)
        if key not in self._made:
            self._context.cache.forget("stage", key)
        image.begun.discard(job.stage.name)
        self._advance(image)

    def _fail(self, image: Image, stage: Stage, error: SlimrunError, answer: Answer) -> None:
        image.error = error
        image.jobs.clear()
        status: Status = "unreachable" if isinstance(error, Unreachable) else "failed"
        self._tell(image, stage, status, answer, message=error.render())

    def _tell(
        self, image: Image, stage: Stage, status: Status, answer: Answer, *, message: str = "", why: str = ""
    ) -> None:
        """Say how a stage ended; where several images are made at once, all that is said of it stands together.

        What has nothing to do is then only counted: it would stand between the lines that say something.
        """
        if stage.name in image.silent and image.error is None:  # an error is news, wherever it comes
            return
        image.counts.update((*answer.statuses, status))
        if status == "skipping" and self._hands.several:
            return
        name, seconds = image.plan.image, answer.seconds
        ended = TaskEnded(image=name, stage=stage.tag, status=status, message=message, seconds=seconds, why=why)
        started = (TaskStarted(image=name, stage=stage.tag, what=stage.title),) if self._hands.several else ()
        self._relay.whole((*started, *answer.events, ended))

    def _close(self, image: Image) -> None:
        """An image is over; after one that ends all, only images that were worked on go on."""
        outcome = image.outcome()
        finished = outcome.finished
        self._relay(
            Recap(
                image=outcome.image,
                counts=outcome.counts,
                size=finished.size if finished else 0,
                seconds=outcome.seconds,
                digest=finished.config.digest() if finished else "",
                why=outcome.why,
            )
        )
        outcome = self._ended(outcome)
        self._outcomes[image.number] = outcome
        if self._ends_all(outcome):
            self._plans.clear()
            self._images = [other for other in self._images if other.started]

    def _stop(self) -> None:
        """Let what runs end: nothing more is begun, and what waits for a command is freed, until every thread is back.

        Once in any case: the signal may have come in the middle of beginning a job, which nobody has noted then.
        """
        self._relay.stop()
        for future in self._running:
            future.cancel()
        left = [*self._running] if self._hands.several else []
        while self._hands.several:
            with suppress(SlimrunError):
                self._context.backend.interrupt()
            left = [future for future in left if not future.done()]
            if not left:
                break
            wait(left, timeout=_PATIENCE)


def kinds(job: Job) -> set[str]:
    """The types of a job's steps, and whether it compiles: CPython, or wheels."""
    steps = job.stage.steps
    compiles = any(isinstance(step, Make) or (isinstance(step, InstallWheels) and step.builds) for step in steps)
    return {*(type(step).__name__ for step in steps), *((COMPILES,) if compiles else ())}
