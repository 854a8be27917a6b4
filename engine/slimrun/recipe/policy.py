"""`policy` of slim.yaml against a recipe: what can be seen before anything runs, and what only the finished image shows.

A policy only tightens: nothing in a recipe, a catalog or on the command line takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slimrun.errors import BUILT_IN, Problem, Where
from slimrun.recipe.builds import builder_image
from slimrun.recipe.model import SCRATCH, PythonDebian, PythonGit, PythonImage
from slimrun.recipe.reference import begins_with, canonical, is_file
from slimrun.recipe.words import names, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.recipe.model import Recipe
    from slimrun.recipe.slim_model import Slim

RuleName = Literal["max_size", "forbid_root", "forbid_setuid", "forbid_shell"]
_ROOT = ("0", "root")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a finished image must keep to, and the line of slim.yaml that says so; `limit` in bytes for max_size."""

    name: RuleName
    where: Where
    limit: int = 0


def image_rules(slim: Slim) -> tuple[Rule, ...]:
    """The rules that verify holds against the finished image, in a fixed order."""
    policy = slim.policy
    limit = policy.max_size
    rules = [] if limit is None else [Rule(name="max_size", where=_place(slim, "max_size"), limit=limit)]
    forbidden: tuple[tuple[RuleName, bool], ...] = (
        ("forbid_root", policy.forbid_root),
        ("forbid_setuid", policy.forbid_setuid),
        ("forbid_shell", policy.forbid_shell),
    )
    return (*rules, *(Rule(name=name, where=_place(slim, name)) for name, wanted in forbidden if wanted))


def violations(recipe: Recipe, slim: Slim) -> tuple[Problem, ...]:
    """A problem for each thing that the recipe says and the policy forbids, in file order."""
    found = (*_images(recipe, slim), *_root(recipe, slim), *_size(recipe, slim))
    return tuple(sorted(found, key=lambda problem: (problem.where, problem.text)))


def _place(slim: Slim, key: str) -> Where:
    places = slim.document.places() if slim.document else {}
    return places[("policy", key)][0] if ("policy", key) in places else Where("slim.yaml")


def _images(recipe: Recipe, slim: Slim) -> Iterator[Problem]:
    allowed = slim.policy.allow_images
    if allowed is None:
        return
    for key, reference in _references(recipe):
        if is_file(reference) or not any(begins_with(canonical(reference), prefix) for prefix in allowed):
            hint = f"it allows {names(allowed)}" if allowed else "it allows no image at all"
            shown = reference if is_file(reference) else canonical(reference)
            yield _problem(recipe, slim, "allow_images", f"the image {quoted(shown)} is not allowed", hint, *key)


def _references(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    match recipe.python:
        case PythonImage(image=image):
            yield ("python", "image"), image
        case PythonGit(builder=builder):
            yield ("python", "git", "builder"), builder
        case PythonDebian():
            if (reference := builder_image(recipe)) is not None:
                yield ("python", "debian"), reference
    if recipe.runtime != SCRATCH:
        yield ("runtime",), recipe.runtime


def _root(recipe: Recipe, slim: Slim) -> Iterator[Problem]:
    user = recipe.image.user.partition(":")[0]
    if slim.policy.forbid_root and (user in _ROOT or (user.isdigit() and int(user) == 0)):
        hint = "leave 'user' out: the image then runs as 65532, which owns nothing"
        yield _problem(recipe, slim, "forbid_root", "images may not run as root", hint, "image", "user")


def _size(recipe: Recipe, slim: Slim) -> Iterator[Problem]:
    own, most = recipe.verify.max_size, slim.policy.max_size
    if own is not None and most is not None and own > most:
        text = f"'verify.max_size' is {own / 1e6:.1f} MB, and images may have at most {most / 1e6:.1f} MB"
        yield _problem(recipe, slim, "max_size", text, "lower it, or leave it out", "verify", "max_size")


def _problem(recipe: Recipe, slim: Slim, rule: str, text: str, hint: str, *key: str) -> Problem:
    origin = recipe.origin(*key)
    if origin is None or origin.where == BUILT_IN:  # a default stands nowhere: the recipe's first word does for it
        origin = recipe.origin("python")
    where, source = (origin.where, origin.source) if origin else (recipe.python_where, "")
    said = f"{text}: policy.{rule} at {_place(slim, rule)}"
    return Problem(where=where, text=said, rule=f"policy-{rule.replace('_', '-')}", hint=hint, source=source)
