"""`slimrun run`: recipes to verified images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.files import check_target, write_file
from slimrun.cli.options import Parser, make_settings, nearest_slim
from slimrun.cli.output import Renderer, bytes_text
from slimrun.errors import BadCommandLine, RecipeInvalid
from slimrun.plan.compile import compile_plan
from slimrun.recipe.load import load_recipe
from slimrun.recipe.planned import not_yet, slim_not_yet
from slimrun.recipe.variables import parse_extra_vars

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from slimrun.backend.base import Finished
    from slimrun.pipeline import Context
    from slimrun.plan.compile import Plan
    from slimrun.recipe.model import Recipe
    from slimrun.recipe.slim_model import Slim
    from slimrun.schedule import Outcome

_SAVE = (
    "write the image too: docker-archive to *.tar, OCI layout to *.oci.tar or FOLDER/; {name} and {arch} are filled in"
)
SUMMARY = "recipes to verified images"
# Several images: the first of these that occurs is the answer.
_ORDER = (130, 143, 1, 4, 2, 3)


def parser() -> Parser:
    """What `run` takes."""
    words = Parser(prog="slimrun run", usage="slimrun [run] FILE... [options]", description=SUMMARY)
    words.add_argument("files", nargs="+", metavar="FILE", help="a recipe")
    words.add_argument("-e", "--extra-vars", action="append", default=[], metavar="K=V|@FILE", help="set a variable")
    words.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="set a recipe key")
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use (else $SLIMRUN_CONFIG, else the nearest)")
    words.add_argument("--backend", choices=("auto", "docker", "local"), help="what makes and runs images")
    words.add_argument("--docker-host", metavar="URL", help="the engine to use")
    words.add_argument("--list-tasks", action="store_true", help="print what would be done, and do nothing")
    words.add_argument("--syntax-check", action="store_true", help="check the recipes, and do nothing")
    words.add_argument("--save", metavar="FILE", help=_SAVE)
    words.add_argument("--metadata-file", metavar="FILE", help="write names, digests and sizes as JSON")
    words.add_argument(
        "--offline", action="store_true", help="use what the cache has; ask no registry, index or archive"
    )
    words.add_argument("--no-cache", action="store_true", help="make every stage anew")
    words.add_argument("--refresh", action="store_true", help="settle images and wheels anew")
    words.add_argument("--keep-going", action="store_true", help="go on with other recipes after one failed")
    words.add_argument("--keep-failed", action="store_true", help="leave an image that failed verify in the engine")
    words.add_argument("--output", choices=("auto", "ansible", "dense", "json"), help="how to print")
    words.add_argument("-v", "--verbose", action="count", default=0, help="say more; again for still more")
    return words


def main(argv: Sequence[str]) -> int:
    """Run recipes; answers with the exit code."""
    words = parser().parse_intermixed_args(argv)
    loaded = _load_all(words)
    if words.syntax_check:
        for recipe, _ in loaded:
            print(f"ok: [{recipe.name}] {recipe.source}")
        return 0
    if words.list_tasks:
        for recipe, _ in loaded:
            print("\n".join(_task_lines(compile_plan(recipe))))
        return 0
    problems = [problem for recipe, slim in loaded for problem in (*slim_not_yet(slim), *not_yet(recipe))]
    if problems:
        raise RecipeInvalid(tuple(dict.fromkeys(problems)))
    _check_save(words.save, loaded)
    if words.metadata_file:
        check_target(Path(words.metadata_file), "--metadata-file")
    outcomes = list(_run_all(loaded, words))
    if words.metadata_file:
        write_file(
            Path(words.metadata_file),
            ((json.dumps([_metadata(item) for item in outcomes], indent=2) + "\n").encode(),),
            "--metadata-file",
        )
    codes = {item.error.exit_code for item in outcomes if item.error}
    return next((code for code in _ORDER if code in codes), 0)


def _load_all(words: argparse.Namespace) -> list[tuple[Recipe, Slim]]:
    """Every recipe with its slim.yaml; the problems of all files are reported together."""
    loaded: list[tuple[Recipe, Slim]] = []
    problems = []
    extra = parse_extra_vars(tuple(words.extra_vars))
    for name in words.files:
        path = Path(name)
        try:
            slim = nearest_slim(path.parent, words.config)
            loaded.append((load_recipe(path, sets=tuple(words.set), extra_vars=extra, slim=slim), slim))
        except RecipeInvalid as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise RecipeInvalid(tuple(problems))
    return loaded


def _run_all(loaded: list[tuple[Recipe, Slim]], words: argparse.Namespace) -> Iterator[Outcome]:
    from slimrun.cli.engine import open_context
    from slimrun.schedule import run_image

    for recipe, slim in loaded:
        settings = make_settings(words, slim)
        with Renderer(settings.output, settings.verbosity) as renderer:
            with open_context(settings, renderer) as context:
                outcome = run_image(compile_plan(recipe), context)
                if outcome.finished is not None:
                    _after(outcome, outcome.finished, context, renderer)
            yield outcome
        if outcome.error is not None and not words.keep_going:
            return


def _after(outcome: Outcome, finished: Finished, context: Context, renderer: Renderer) -> None:
    """What follows success: the image as a file where it is asked for, or where no engine has it, and how to use it."""
    from slimrun.cli.save import DEFAULT, save_image, target

    tag, name = finished.tags[0], outcome.image
    local = context.backend.name == "local"
    use_it = "" if local else f"; use it: docker run --rm {tag}"
    renderer.line(f"\n{tag} is {bytes_text(finished.size)}{use_it}")
    renderer.line(f"slimrun explain {name} says why each file is there", level=1)
    if save := context.settings.save or (DEFAULT if local else None):
        place = target(save, name, finished)
        use = save_image(place, finished, context.cache)
        renderer.line(f"saved as {place}; use it: {use}")


def _check_save(save: str | None, loaded: list[tuple[Recipe, Slim]]) -> None:
    if save and len(loaded) > 1 and "{name}" not in save:
        msg = "--save names one file for several images"
        raise BadCommandLine(msg, hint="write {name} in it: --save 'build/{name}.tar'")
    if save and not save.endswith("/") and not Path(save).is_dir():
        check_target(Path(save), "--save")


def _task_lines(plan: Plan) -> Iterator[str]:
    yield f"\nplay [{plan.image}]"
    yield "  tasks:"
    for stage in plan.stages:
        if stage.steps:
            yield f"    {stage.name} : {stage.title}"


def _metadata(outcome: Outcome) -> dict[str, object]:
    finished = outcome.finished
    return {
        "name": outcome.image,
        "tags": list(outcome.tags),
        "status": "failed" if outcome.error else "ok",
        "digest": f"sha256:{finished.config.digest()}" if finished else None,
        "size": finished.size if finished else None,
        "layers": [f"sha256:{diff_id}" for diff_id in finished.config.diff_ids] if finished else [],
        "error": outcome.error.message if outcome.error else None,
    }
