"""Which images a command line means: its FILEs, recipes and catalogs, and --limit."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.options import nearest_slim
from slimrun.errors import BadCommandLine, Problem, RecipeInvalid
from slimrun.recipe.catalog import Member, clashes, load_members
from slimrun.recipe.places import ENDINGS
from slimrun.recipe.slim import FILE_NAME
from slimrun.recipe.variables import parse_extra_vars
from slimrun.recipe.words import names, near_miss, quoted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from slimrun.cli.right import Memories
    from slimrun.recipe.model import Recipe
    from slimrun.recipe.slim_model import Slim


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One image to make, and the slim.yaml of the FILE that named it."""

    member: Member
    slim: Slim

    @property
    def recipe(self) -> Recipe:
        """The image's recipe."""
        return self.member.recipe


def add_choosing(words: argparse.ArgumentParser) -> None:
    """The options that say which images are meant, and what is changed in their recipes."""
    words.add_argument("files", nargs="+", metavar="FILE", help="a recipe, or a catalog of many")
    words.add_argument("-l", "--limit", action="append", default=[], metavar="GLOB|@GROUP,…", help="only these images")
    words.add_argument("-e", "--extra-vars", action="append", default=[], metavar="K=V|@FILE", help="set a variable")
    words.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="set a recipe key")
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use (else $SLIMRUN_CONFIG, else the nearest)")


def choose(words: argparse.Namespace, memories: Memories | None = None) -> tuple[Chosen, ...]:
    """Every image that is meant, in the order of the FILEs and of their catalogs; all problems are reported together.

    `memories` know what was right before.

    Raises RecipeInvalid, Invalid, and BadCommandLine for a --limit that fits nothing.
    """
    chosen: list[Chosen] = []
    problems: list[Problem] = []
    extra = parse_extra_vars(tuple(words.extra_vars))
    for name in words.files:
        path = Path(name)
        try:
            slim = nearest_slim(path.parent, words.config, memory_of=memories.of if memories else None)
            memory = memories.of(slim.cache.dir) if memories else None
            found = load_members(path, sets=tuple(words.set), extra_vars=extra, slim=slim, memory=memory)
        except RecipeInvalid as error:
            problems += error.problems
        else:
            chosen += (Chosen(member=member, slim=slim) for member in found)
    problems += clashes(item.member for item in chosen)
    if problems:
        raise RecipeInvalid(tuple(dict.fromkeys(problems)))
    return limited(chosen, words.limit)


def recipe_files(slim: Slim) -> list[Path]:
    """Every file in the folders that slim.yaml names, as paths from here where they are below it; not those of folders in them."""
    here = Path.cwd()
    folders = [folder for folder in slim.recipes if folder.is_dir()]
    files = [
        path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in ENDINGS and path.is_file()
    ]
    files = [path for path in files if path.name[0] != "." and path.name != FILE_NAME]
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in files]


def limited(chosen: Sequence[Chosen], limits: Sequence[str]) -> tuple[Chosen, ...]:
    """Those that fit one of the patterns, all without one; raises BadCommandLine for a pattern that fits nothing."""
    patterns = [part.strip() for limit in limits for part in limit.split(",") if part.strip()]
    for pattern in patterns:
        if not any(_fits(item.member, pattern) for item in chosen):
            raise _nothing(pattern, chosen)
    return tuple(item for item in chosen if not limits or any(_fits(item.member, pattern) for pattern in patterns))


def _fits(member: Member, pattern: str) -> bool:
    return pattern[1:] in member.groups if pattern.startswith("@") else fnmatchcase(member.recipe.name, pattern)


def _nothing(pattern: str, chosen: Sequence[Chosen]) -> BadCommandLine:
    known = {item.recipe.name for item in chosen}
    groups = {f"@{group}" for item in chosen for group in item.member.groups}
    close = near_miss(pattern, groups if pattern.startswith("@") else known)
    if close:
        hint = f"did you mean {quoted(close)}?"
    elif pattern.startswith("@"):
        hint = f"groups: {names(groups)}" if groups else "no image here is in a group"
    else:
        hint = f"images: {names(sorted(known)[:12])}{' and others' if len(known) > 12 else ''}"
    return BadCommandLine(f"--limit {pattern} fits none of {len(chosen)} images", hint=hint)
