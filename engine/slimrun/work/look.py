"""What a run would find, seen without running anything: which stages' results are there, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.outside import outside
from slimrun.work.image import Image
from slimrun.work.job import look_up

if TYPE_CHECKING:
    from slimrun.backend.base import Finished
    from slimrun.events import Status
    from slimrun.given import Context
    from slimrun.plan.compile import Plan

REFRESHED = ("resolve", "wheels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A stage as a run would begin it: `ok` is in the cache, `changed` would be made, `unknown` waits for one that would."""

    stage: str
    what: str
    status: Status
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """All stages of an image; `finished` is the image where it is assembled already."""

    stages: tuple[Seen, ...]
    finished: Finished | None

    @property
    def change(self) -> Seen | None:
        """The first stage that would be made; None where nothing would."""
        return next((seen for seen in self.stages if seen.status == "changed"), None)


def look(plan: Plan, context: Context, *, ask: bool) -> Looked:
    """Look at a plan's stages in the cache; with `ask`, ask the backend whether it has the image. Nothing is written.

    Raises errors of slimrun for files that a stage reads and that are not there.
    """
    image, lacking = Image(plan, 0, context.cache), set[str]()
    stages = []
    for stage in plan.stages:
        status: Status = "ok"
        why = ""
        if not stage.steps:
            status = "skipping"
            image.done.add(stage.name)
        elif lacking.intersection(stage.reads):
            status = "unknown"
        else:
            cause = _cause(image, stage.name, context)
            job = image.job(
                stage, outside(stage, context.settings, context.environ, context.backend.name), forced=False
            )
            done = None if cause else look_up(job, context)
            if done is not None and stage.name == "verify" and ask and not _has(image, context):
                done, cause = None, f"{context.backend.name} no longer has the image"
            if done is None:
                status, why = "changed", str(image.change(stage.name, cause or job.cause))
            else:
                image.take(stage.name, done)
        if status in ("changed", "unknown"):
            lacking.add(stage.name)
        stages.append(Seen(stage=stage.name, what=stage.title, status=status, why=why))
    return Looked(stages=tuple(stages), finished=image.finished)


def _cause(image: Image, stage: str, context: Context) -> str:
    """Why a stage would be made whatever the cache has; "" where nothing says so."""
    settings, finished = context.settings, image.finished
    if settings.no_cache:
        return "--no-cache"
    if settings.refresh and stage in REFRESHED:
        return "--refresh"
    if stage == "report" and not (finished and context.cache.has("report", finished.config.digest())):
        return "its result is no longer in the cache"
    return ""


def _has(image: Image, context: Context) -> bool:
    return image.finished is not None and context.backend.has(image.finished)
