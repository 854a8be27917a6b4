"""`slimrun run`: recipes and catalogs to verified images."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.choose import add_choosing, choose
from slimrun.cli.files import check_target, write_file
from slimrun.cli.options import Parser, make_settings
from slimrun.cli.output import Renderer
from slimrun.cli.right import Memories
from slimrun.cli.stages import add_stages, check_stages, is_whole, plan_of, unpushable
from slimrun.errors import RecipeInvalid
from slimrun.recipe.planned import not_yet, slim_not_yet
from slimrun.recipe.policy import violations

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from slimrun.cli.choose import Chosen
    from slimrun.plan.compile import Plan
    from slimrun.schedule import Outcome
    from slimrun.settings import Settings

_SAVE = (
    "write the image too: docker-archive to *.tar, OCI layout to *.oci.tar or FOLDER/; {name} and {arch} are filled in"
)
_KEEP_GOING = (
    "go on with other recipes after one failed; in a catalog, also where an engine or registry does not answer"
)
SUMMARY = "recipes and catalogs to verified images"
# Several images: the first of these that occurs is the answer.
DIFFERENT = 6
_ORDER = (130, 143, 1, 4, 2, 3)


def parser() -> Parser:
    """What `run` takes."""
    words = Parser(prog="slimrun run", usage="slimrun [run] FILE... [options]", description=SUMMARY)
    add_choosing(words)
    words.add_argument("--backend", choices=("auto", "docker", "local"), help="what makes and runs images")
    words.add_argument("--docker-host", metavar="URL", help="the engine to use")
    words.add_argument("-f", "--forks", type=_forks, metavar="N", help="how many stages run at once (1)")
    add_stages(words)
    words.add_argument("--list-tasks", action="store_true", help="print what would be done, and do nothing")
    words.add_argument("--syntax-check", action="store_true", help="check the recipes, and do nothing")
    words.add_argument("--save", metavar="FILE", help=_SAVE)
    words.add_argument("--metadata-file", metavar="FILE", help="write names, digests and sizes as JSON")
    words.add_argument(
        "--offline", action="store_true", help="use what the cache has; ask no registry, index or archive"
    )
    words.add_argument("--no-cache", action="store_true", help="make every stage anew")
    words.add_argument("--refresh", action="store_true", help="settle images and wheels anew")
    words.add_argument("--keep-going", action="store_true", help=_KEEP_GOING)
    words.add_argument("--keep-failed", action="store_true", help="leave an image that failed verify in the engine")
    words.add_argument("--output", choices=("auto", "ansible", "dense", "json"), help="how to print")
    words.add_argument("-v", "--verbose", action="count", default=0, help="say more; again for still more")
    return words


def _forks(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,2}", text):
        msg = f"{text!r} is not a number from 1 to 999"
        raise ArgumentTypeError(msg)
    return int(text)


def main(argv: Sequence[str]) -> int:
    """Run recipes; answers with the exit code."""
    words = parser().parse_intermixed_args(argv)
    check_stages(words)
    memories = Memories()
    chosen = choose(words, memories)
    if words.syntax_check or words.list_tasks or words.list_tags:
        _look(chosen, words)
        return 0
    problems = [
        problem
        for item in chosen
        for problem in (
            *slim_not_yet(item.slim),
            *violations(item.recipe, item.slim),
            *unpushable(item, words),
            *not_yet(item.recipe),
        )
    ]
    if problems:
        raise RecipeInvalid(tuple(dict.fromkeys(problems)))
    if words.check:
        return _check(chosen, words)
    if words.save:
        from slimrun.cli.save import check_save

        check_save(words.save, [item.recipe.name for item in chosen])
    if words.metadata_file:
        check_target(Path(words.metadata_file), "--metadata-file")
    memories.keep()
    outcomes = {outcome.image: outcome for outcome in _run_all(chosen, words)}
    if words.metadata_file:
        rows = [
            _metadata(item, outcomes.get(item.recipe.name), whole=is_whole(plan_of(item, words))) for item in chosen
        ]
        text = json.dumps(rows, indent=2) + "\n"
        write_file(Path(words.metadata_file), (text.encode(),), "--metadata-file")
    codes = {item.error.exit_code for item in outcomes.values() if item.error}
    return next((code for code in _ORDER if code in codes), 0)


def _look(chosen: Sequence[Chosen], words: argparse.Namespace) -> None:
    """What only looks, each in its turn: that the recipes are valid, then what would be done."""
    if words.syntax_check:
        for item in chosen:
            print(f"ok: [{item.recipe.name}] {item.recipe.source}")
    if words.list_tasks:
        for item in chosen:
            print("\n".join(_task_lines(plan_of(item, words))))
    if words.list_tags:
        for item in chosen:
            names = dict.fromkeys(stage.tag for stage in plan_of(item, words).stages if stage.steps)
            print(f"\nplay [{item.recipe.name}]\n  tags: {', '.join(names)}")


def _run_all(chosen: Sequence[Chosen], words: argparse.Namespace) -> list[Outcome]:
    """The outcome of every image that was begun, in order; one cache and engine for those that share their settings."""
    from slimrun.cli.many import ends_all, run_together

    settled = [(make_settings(words, item.slim), item) for item in chosen]
    outcomes: list[Outcome] = []
    first = settled[0][0]
    with Renderer(first.output, first.verbosity) as renderer:
        for settings, rows in groupby(settled, key=_settings_of):
            group = [item for _, item in rows]
            plans = [plan_of(item, words) for item in group]
            outcomes += run_together(
                group, plans, settings, renderer, keep_going=words.keep_going, start=words.start_at_task
            )
            if any(ends_all(outcome, group, keep_going=words.keep_going) for outcome in outcomes):
                break
        renderer.finish([item.recipe.name for item in chosen])
    return outcomes


def _check(chosen: Sequence[Chosen], words: argparse.Namespace) -> int:
    """What a run would make, told as a run tells what it makes; answers with the exit code."""
    from slimrun.cli.many import look_together

    settled = [(make_settings(words, item.slim), item) for item in chosen]
    changed, codes = False, set[int]()
    first = settled[0][0]
    with Renderer(first.output, first.verbosity) as renderer:
        for settings, rows in groupby(settled, key=_settings_of):
            more, found = look_together([plan_of(item, words) for _, item in rows], settings, renderer)
            changed, codes = changed or more, codes | found
        renderer.finish([item.recipe.name for item in chosen])
    worst = next((code for code in _ORDER if code in codes), 0)
    return worst or (DIFFERENT if changed and words.exit_code else 0)


def _settings_of(row: tuple[Settings, Chosen]) -> Settings:
    return row[0]


def _task_lines(plan: Plan) -> Iterator[str]:
    yield f"\nplay [{plan.image}]"
    yield "  tasks:"
    for stage in plan.stages:
        if stage.steps:
            yield f"    {stage.tag} : {stage.title}"


def _metadata(item: Chosen, outcome: Outcome | None, *, whole: bool) -> dict[str, object]:
    finished = outcome.finished if outcome else None
    error = outcome.error if outcome else None
    return {
        "name": item.recipe.name,
        "tags": list(item.recipe.image.tags),
        "status": "not run" if outcome is None else "failed" if error else "ok" if whole else "not verified",
        "changed": bool(outcome and dict(outcome.counts).get("changed")),
        "why": outcome.why if outcome else None,
        "digest": f"sha256:{finished.config.digest()}" if finished else None,
        "size": finished.size if finished else None,
        "layers": [f"sha256:{diff_id}" for diff_id in finished.config.diff_ids] if finished else [],
        "error": error.message if error else None,
        "recipe": str(item.recipe.source),
        "catalog": item.member.catalog or None,
        "groups": list(item.member.groups),
    }
