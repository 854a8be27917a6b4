"""`slimrun list`: the images of a repository, each with its groups, size and state; asks no engine and no registry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from slimrun.cache.store import Cache
from slimrun.cli.choose import Chosen, limited, recipe_files
from slimrun.cli.last import recall
from slimrun.cli.options import Parser, default_cache, nearest_slim
from slimrun.cli.output import bytes_text
from slimrun.errors import RecipeInvalid, SlimrunError
from slimrun.events import silent
from slimrun.plan.compile import compile_plan
from slimrun.recipe.catalog import load_members
from slimrun.recipe.policy import image_rules
from slimrun.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.backend.base import Backend
    from slimrun.cli.last import Last

SUMMARY = "the images of a repository: groups, size, state"
_HEADS = ("NAME", "GROUPS", "SIZE", "STATE", "FILE")
Row = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Named:
    """A backend of which nothing but its name is asked."""

    name: str


def main(argv: Sequence[str]) -> int:
    """Print a line for each image: of the FILEs, or of all files in the folders that slim.yaml's `recipes` names."""
    words = Parser(prog="slimrun list", description=SUMMARY)
    words.add_argument(
        "files", nargs="*", metavar="FILE", help="recipes and catalogs (else all in slim.yaml's `recipes`)"
    )
    words.add_argument("-l", "--limit", action="append", default=[], metavar="GLOB|@GROUP,…", help="only these images")
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use")
    given = words.parse_intermixed_args(argv)
    files = [Path(name) for name in given.files] or recipe_files(nearest_slim(Path(), given.config))
    chosen: list[tuple[Path, Chosen]] = []
    broken: list[Row] = []
    for path in files:
        try:
            slim = nearest_slim(path.parent, given.config)
            chosen += [(path, Chosen(member=member, slim=slim)) for member in load_members(path, slim=slim)]
        except SlimrunError as error:
            broken.append((path.stem, "", "", f"invalid: {_first(error)}", str(path)))
    wanted = limited([item for _, item in chosen], given.limit)
    rows = [_row(path, item) for path, item in chosen if item in wanted]
    rows += broken if not given.limit else []
    print(_table(rows) if rows else "no recipes here: `slimrun init` writes a first one")
    return 0


def _first(error: SlimrunError) -> str:
    if isinstance(error, RecipeInvalid):
        return f"{error.problems[0].where}: {error.problems[0].text}"
    return error.message.partition("\n")[0]


def _row(path: Path, item: Chosen) -> Row:
    cache = Cache(item.slim.cache.dir or default_cache())
    last = recall(cache, item.recipe.name)
    if last is not None and last.recipe != str(item.recipe.source.resolve()):
        last = None  # another repository's image of this name
    size = bytes_text(last.size) if last and last.size else ""
    return item.recipe.name, ",".join(item.member.groups), size, _state(item, last, cache), str(path)


def _state(item: Chosen, last: Last | None, cache: Cache) -> str:
    from slimrun.given import Context
    from slimrun.work.look import look

    if last is None:
        return "never made"
    if last.error:
        return f"failed: {last.error}"
    slim = item.slim
    settings = Settings(cache_dir=cache.root, mirrors=slim.mirrors, build=slim.build, docker=slim.docker)
    context = Context(
        settings=settings,
        cache=cache,
        backend=cast("Backend", _Named(last.backend)),
        emit=silent,
        environ=tuple(sorted(os.environ.items())),
    )
    try:
        change = look(compile_plan(item.recipe, image_rules(slim)), context, ask=False).change
    except SlimrunError as error:
        return f"changed: {_first(error)}"
    return f"changed: {change.stage}: {change.why}" if change else "made"


def _table(rows: Sequence[Row]) -> str:
    widths = [max(len(row[column]) for row in (_HEADS, *rows)) for column in range(len(_HEADS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (_HEADS, *rows))
    return "\n".join(line.rstrip() for line in lines)
