"""Which stages of a plan are meant: --tags, --skip-tags, --start-at-task; and --check, which carries out none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.errors import BadCommandLine, NotCached, Problem, SlimrunError, Unreachable
from slimrun.events import PlayStarted, Recap, TaskEnded, TaskStarted
from slimrun.plan.compile import STAGES, compile_plan
from slimrun.recipe.policy import image_rules
from slimrun.recipe.reference import parse_reference
from slimrun.recipe.words import near_miss, quoted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from slimrun.cli.choose import Chosen
    from slimrun.events import Status
    from slimrun.given import Context
    from slimrun.plan.compile import Plan

# Without one of these there is an image still, if one without proof, name or record.
_SKIPPABLE = ("verify", "report", "push")
# A report says how verify went.
_NEEDS = {"verify": ("report", "push")}


def add_stages(words: argparse.ArgumentParser) -> None:
    """The options that choose stages."""
    words.add_argument(
        "-C", "--check", action="store_true", help="say what a run would make, by the cache; make nothing"
    )
    words.add_argument("--exit-code", action="store_true", help="with --check: exit 6 where a run would make something")
    words.add_argument("-t", "--tags", action="append", default=[], metavar="STAGE,…", help="up to the last of these")
    words.add_argument(
        "--skip-tags", action="append", default=[], metavar="STAGE,…", help="without verify, report or push"
    )
    words.add_argument("--start-at-task", metavar="STAGE", help="only if all before it is in the cache")
    words.add_argument(
        "--push", action="store_true", help="push each verified image under its tags, as registry.push does"
    )
    words.add_argument("--list-tags", action="store_true", help="print the stages by name, and do nothing")


def check_stages(words: argparse.Namespace) -> None:
    """Raise BadCommandLine for what names no stage, or asks for what contradicts itself."""
    _named(words.tags, "--tags", STAGES)
    _named(words.skip_tags, "--skip-tags", _SKIPPABLE)
    if words.start_at_task is not None:
        _named([_stage(words.start_at_task)], "--start-at-task", STAGES)
    if words.exit_code and not words.check:
        msg = "--exit-code says what --check found, and there is no --check"
        raise BadCommandLine(msg, hint="add -C")


def plan_of(item: Chosen, words: argparse.Namespace) -> Plan:
    """An image's plan, with no steps in the stages that are not meant."""
    plan = compile_plan(item.recipe, image_rules(item.slim), push=is_pushed(item, words))
    skipped = set(_named(words.skip_tags, "--skip-tags", _SKIPPABLE))
    skipped |= {name for tag in skipped for name in _NEEDS.get(tag, ())}
    tags = _named(words.tags, "--tags", STAGES)
    if tags:
        skipped |= {*STAGES[max(map(STAGES.index, tags)) + 1 :]}
    stages = (replace(stage, steps=()) if stage.tag in skipped else stage for stage in plan.stages)
    return replace(plan, stages=tuple(stages))


def is_pushed(item: Chosen, words: argparse.Namespace) -> bool:
    """Whether the image is to be pushed."""
    return bool(words.push or item.slim.registry.push)


def unpushable(item: Chosen, words: argparse.Namespace) -> Iterator[Problem]:
    """A problem for each name to push that names no registry: Docker Hub's own images are nobody's to push."""
    recipe = item.recipe
    for tag in recipe.image.tags if is_pushed(item, words) else ():
        reference = parse_reference(tag)
        if reference.registry == "docker.io" and reference.repository.startswith("library/"):
            origin = recipe.origin("image", "tags") or recipe.origin("python")
            where, source = (origin.where, origin.source) if origin else (recipe.python_where, "")
            text = f"{quoted(tag)} names no registry to push to"
            hint = "set registry.prefix in slim.yaml, or write image.tags with a registry"
            yield Problem(where=where, text=text, rule="no-registry", hint=hint, source=source)


def is_whole(plan: Plan) -> bool:
    """Whether the plan goes as far as an image that is proved and named."""
    return bool(plan.stage("verify").steps)


def check_start(plan: Plan, stage: str, context: Context) -> None:
    """Raise NotCached unless all stages before this one are in the cache."""
    from slimrun.work.look import look

    first = STAGES.index(_stage(stage))
    tags = {item.name: item.tag for item in plan.stages}
    for seen in look(plan, context, ask=False).stages:
        if STAGES.index(tags[seen.stage]) < first and seen.status == "changed":
            msg = f"[{plan.image}] --start-at-task {stage}: {seen.stage} is not in the cache ({seen.why})"
            raise NotCached(msg, hint=f"run it once without --start-at-task, or begin at {tags[seen.stage]}")


def check_only(plan: Plan, context: Context) -> tuple[bool, int]:
    """Tell what a run of this plan would do; whether it would make something, and the exit code of an error (0: none)."""
    from slimrun.work.look import look

    emit, image = context.emit, plan.image
    emit(PlayStarted(image=image))
    try:
        looked = look(plan, context, ask=True)
    except SlimrunError as error:
        status: Status = "unreachable" if isinstance(error, Unreachable) else "failed"
        emit(TaskEnded(image=image, stage="check", status=status, message=error.render()))
        emit(Recap(image=image, counts=((status, 1),)))
        return False, error.exit_code
    tags = {item.name: item.tag for item in plan.stages}
    for seen in looked.stages:
        emit(TaskStarted(image=image, stage=tags[seen.stage], what=seen.what))
        emit(TaskEnded(image=image, stage=tags[seen.stage], status=seen.status, why=seen.why))
    counts = Counter(seen.status for seen in looked.stages)
    change = looked.change
    emit(
        Recap(
            image=image,
            counts=tuple(sorted(counts.items())),
            size=looked.finished.size if looked.finished else 0,
            why=f"{change.stage}: {change.why}" if change else "nothing would change",
        )
    )
    return change is not None, 0


def _stage(text: str) -> str:
    """`wheels` of `wheels : install click`, as TASK lines have it."""
    return text.partition(" :")[0].strip()


def _named(words: Sequence[str], flag: str, known: Sequence[str]) -> tuple[str, ...]:
    """The stages that words name, comma by comma."""
    names = tuple(part.strip() for word in words for part in word.split(",") if part.strip())
    for name in names:
        if name in known:
            continue
        msg = f"{flag} {name}: no such stage"
        close = near_miss(name, known)
        if ":" in name or "/" in name:
            hint = f"for names of the image write --set 'image.tags=[{name}]'"
        elif name in STAGES:
            hint = f"only {', '.join(known)} can be left out"
        else:
            hint = f"did you mean {quoted(close)}?" if close else f"stages: {', '.join(known)}"
        raise BadCommandLine(msg, hint=hint)
    return names
