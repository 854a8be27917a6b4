"""Images that share an engine and a cache, made in one go; what is done with each that is finished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.cli.engine import open_context
from slimrun.cli.files import write_file
from slimrun.cli.last import remember
from slimrun.cli.output import bytes_text
from slimrun.cli.save import DEFAULT, save_image, target
from slimrun.cli.stages import check_only, check_start, is_whole
from slimrun.errors import ImageFailed, SlimrunError
from slimrun.schedule import run_plans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.backend.base import Finished
    from slimrun.cache.store import Cache
    from slimrun.cli.choose import Chosen
    from slimrun.cli.output import Renderer
    from slimrun.given import Context
    from slimrun.plan.compile import Plan
    from slimrun.recipe.slim_model import Reports
    from slimrun.schedule import Outcome
    from slimrun.settings import Settings

# More images than these are not spoken of one by one when all is done.
_FEW = 4


def run_together(
    chosen: Sequence[Chosen],
    plans: Sequence[Plan],
    settings: Settings,
    renderer: Renderer,
    *,
    keep_going: bool,
    start: str | None = None,
) -> list[Outcome]:
    """The outcome of each image that was begun, in order; `plans` has that of each of `chosen`.

    Raises NotCached, before anything runs, where stages before `start` are not in the cache.
    """
    whole = {plan.image: is_whole(plan) for plan in plans}
    items = {item.recipe.name: item for item in chosen}
    level = 0 if len(chosen) <= _FEW else 1
    catalogs = {item.member.catalog for item in chosen}
    with open_context(settings, renderer) as context:

        def ended(outcome: Outcome) -> Outcome:
            item = items[outcome.image]
            if not whole[outcome.image]:
                if outcome.error is None:
                    renderer.later(f"{outcome.image} was not verified: it got no tag", level=level)
                return outcome
            if outcome.finished is not None:
                outcome = _after(outcome, outcome.finished, item, context, renderer, level=level)
            remember(context.cache, item, outcome, context.backend.name)
            return outcome

        if start is not None:
            for plan in plans:
                check_start(plan, start, context)
        outcomes = run_plans(
            plans,
            context,
            forks=settings.forks,
            title=catalogs.pop() if len(catalogs) == 1 and len(chosen) > 1 else "",
            ends_all=lambda outcome: ends_all(outcome, chosen, keep_going=keep_going),
            ended=ended,
        )
        good = [outcome.finished for outcome in outcomes if outcome.finished is not None and whole[outcome.image]]
        if good and level and context.backend.name != "local":
            renderer.later(f"{len(good)} images; use one: docker run --rm {good[0].tags[0]}")
    return list(outcomes)


def look_together(plans: Sequence[Plan], settings: Settings, renderer: Renderer) -> tuple[bool, set[int]]:
    """Tell what a run of these plans would do; whether it would make something, and the exit codes of errors."""
    with open_context(settings, renderer) as context:
        found = [check_only(plan, context) for plan in plans]
    return any(changed for changed, _ in found), {code for _, code in found if code}


def ends_all(outcome: Outcome, chosen: Sequence[Chosen], *, keep_going: bool) -> bool:
    """Whether no further image is begun: after any failure, but in a catalog only where the world does not answer.

    The images of a catalog do not depend on each other; an engine that is gone is gone for all of them.
    """
    if outcome.error is None or keep_going:
        return False
    of_catalog = any(item.recipe.name == outcome.image and item.member.catalog for item in chosen)
    return not (of_catalog and isinstance(outcome.error, ImageFailed))


def _after(
    outcome: Outcome, finished: Finished, item: Chosen, context: Context, renderer: Renderer, *, level: int
) -> Outcome:
    """What follows success: reports and the image as files where they are wanted, and how to use it.

    Where no engine has the image it is a file in any case. What cannot be written is the image's own failure.
    """
    tag, name = finished.tags[0], outcome.image
    local = context.backend.name == "local"
    try:
        _write_reports(name, finished.config.digest(), item.slim.report, context.cache)
        use_it = "" if local else f"; use it: docker run --rm {tag}"
        renderer.later(f"{tag} is {bytes_text(finished.size)}{use_it}", level=level)
        renderer.later(f"slimrun explain {name} says why each file is there", level=1)
        if save := context.settings.save or (DEFAULT if local else None):
            place = target(save, name, finished)
            use = save_image(place, finished, context.cache)
            renderer.later(f"saved as {place}; use it: {use}", level=level)
    except SlimrunError as error:
        renderer.later(f"fatal: [{name}]: FAILED! => {error.render()}")
        return replace(outcome, error=error, finished=None)
    return outcome


def _write_reports(name: str, digest: str, wanted: Reports, cache: Cache) -> None:
    """The files about an image that slim.yaml asks for; one that says the same already is left as it is."""
    if not wanted.formats:
        return
    from slimrun.report.formats import render

    report = cache.load("report", digest)
    for kind in wanted.formats:
        file, text = render(report, name, kind)
        place, data = wanted.dir / file, text.encode()
        if not (place.is_file() and place.read_bytes() == data):
            write_file(place, (data,), "report.dir")
