"""`slimrun lint`: what is wrong with recipes, what the policy forbids, and what a good recipe would not say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.choose import recipe_files
from slimrun.cli.options import Parser, nearest_slim
from slimrun.cli.problems import FORMATS, Graded
from slimrun.errors import Invalid, Problem, RecipeInvalid, Where
from slimrun.recipe.catalog import load_members
from slimrun.recipe.lint import RULES, lint, unknown_rules
from slimrun.recipe.policy import violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.recipe.slim_model import Slim

SUMMARY = "what is wrong with recipes, and what could be better"


def main(argv: Sequence[str]) -> int:
    """Print all that is found; 3 where something is an error, 0 where nothing is or all of it only warns."""
    words = Parser(prog="slimrun lint", description=SUMMARY)
    words.add_argument(
        "files", nargs="*", metavar="FILE", help="recipes and catalogs (else all in slim.yaml's `recipes`)"
    )
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use")
    words.add_argument("--format", choices=tuple(FORMATS), help="how to print (github in GitHub Actions, else text)")
    words.add_argument("--rules", action="store_true", help="list the rules, with the profile that each belongs to")
    given = words.parse_intermixed_args(argv)
    if given.rules:
        print("\n".join(f"{name:16}{rule.profile}" for name, rule in RULES.items()))
        return 0
    files = [Path(name) for name in given.files] or recipe_files(nearest_slim(Path(), given.config))
    found: dict[Graded, None] = {}
    for path in files:
        found.update(dict.fromkeys(_problems(path, given.config)))
    ordered = sorted(found, key=lambda item: (item[0].where, item[0].rule, item[0].text))
    kind = given.format or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text")
    if ordered or kind in ("json", "sarif"):
        print(FORMATS[kind](ordered))
    errors = sum(1 for _, warns in ordered if not warns)
    if kind == "text":
        print(f"{len(files)} files: {errors} errors, {len(ordered) - errors} warnings")
    return Invalid.exit_code if errors else 0


def _problems(path: Path, config: str | None) -> Iterator[Graded]:
    try:
        slim = nearest_slim(path.parent, config)
        yield from ((problem, False) for problem in unknown_rules(slim))
        yield from _of_images(path, slim)
    except RecipeInvalid as error:
        yield from ((problem, False) for problem in error.problems)
    except Invalid as error:
        where = error.where or Where(str(path))
        yield Problem(where=where, text=error.message, rule="unreadable", hint=error.hint), False


def _of_images(path: Path, slim: Slim) -> Iterator[Graded]:
    for member in load_members(path, slim=slim):
        yield from ((problem, False) for problem in violations(member.recipe, slim))
        yield from lint(member.recipe, slim.lint)
