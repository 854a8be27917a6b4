"""What a valid recipe should not say, or leave unsaid: a table of rules, each a function of the recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from slimrun.errors import BUILT_IN, Problem
from slimrun.recipe.model import SCRATCH, PythonDebian, PythonGit, PythonImage
from slimrun.recipe.reference import is_file, parse_reference
from slimrun.recipe.words import near_miss, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slimrun.errors import Where
    from slimrun.recipe.model import Key, Recipe
    from slimrun.recipe.slim_model import Lint, Profile, Slim

_PROFILES = ("minimal", "default", "strict")
_SECRET = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY|CREDENTIALS?)(?:$|_)", re.IGNORECASE)
# One finding: the key that it stands at, what is wrong, what to do.
Finding = tuple["Key", str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: from which profile on it counts, and how it is looked for."""

    profile: Profile
    look: Callable[[Recipe], Iterator[Finding]]


def lint(recipe: Recipe, settings: Lint) -> tuple[tuple[Problem, bool], ...]:
    """What the rules find, in file order, each with whether it only warns."""
    level = _PROFILES.index(settings.profile)
    found = [
        (_problem(recipe, name, finding), name in settings.warn)
        for name, rule in RULES.items()
        if _PROFILES.index(rule.profile) <= level and name not in settings.skip
        for finding in rule.look(recipe)
    ]
    return tuple(sorted(found, key=lambda item: (item[0].where, item[0].rule, item[0].text)))


def unknown_rules(slim: Slim) -> tuple[Problem, ...]:
    """A problem for each name under `lint.skip` and `lint.warn` that is no rule."""
    places = slim.document.places() if slim.document else {}
    problems = []
    for key, names in (("skip", slim.lint.skip), ("warn", slim.lint.warn)):
        for index, name in enumerate(names):
            if name not in RULES and slim.document:
                close = near_miss(name, RULES)
                hint = f"did you mean {quoted(close)}?" if close else "`slimrun lint --rules` lists them"
                where = places["lint", key, index][1]
                source = slim.document.line(where)
                text = f"lint has no rule {quoted(name)}"
                problems.append(Problem(where=where, text=text, rule="unknown-rule", hint=hint, source=source))
    return tuple(problems)


def _problem(recipe: Recipe, rule: str, finding: Finding) -> Problem:
    key, text, hint = finding
    origin = recipe.origin(*key)
    if (
        origin is None or origin.where == BUILT_IN
    ):  # what is left unsaid stands nowhere: the recipe's first word does for it
        origin = recipe.origin("python")
    where: Where = origin.where if origin else recipe.python_where
    return Problem(where=where, text=text, rule=rule, hint=hint, source=origin.source if origin else "")


def _images(recipe: Recipe) -> Iterator[tuple[Key, str]]:
    match recipe.python:
        case PythonImage(image=image):
            yield ("python", "image"), image
        case PythonGit(builder=builder):
            yield ("python", "git", "builder"), builder
        case PythonDebian():
            pass
    if recipe.runtime != SCRATCH:
        yield ("runtime",), recipe.runtime


def _floating(recipe: Recipe) -> Iterator[Finding]:
    for key, image in _images(recipe):
        if (
            not is_file(image)
            and (reference := parse_reference(image)).digest is None
            and reference.tag in (None, "latest")
        ):
            yield key, f"{quoted(image)} means another image every month", "name a version: 'python:3.12-slim'"


def _no_digest(recipe: Recipe) -> Iterator[Finding]:
    for key, image in _images(recipe):
        if not is_file(image) and parse_reference(image).digest is None:
            yield (
                key,
                f"{quoted(image)} is a tag, which can be moved",
                "write the digest behind it: 'python:3.12-slim@sha256:…'",
            )


def _unpinned(recipe: Recipe) -> Iterator[Finding]:
    for index, wheel in enumerate(recipe.wheels):
        if wheel.text.startswith(("-", ".")):
            continue
        try:
            pins = [item for item in Requirement(wheel.text).specifier if item.operator in ("==", "===")]
        except InvalidRequirement:
            continue
        if not pins or any(item.version.endswith(".*") for item in pins):
            yield ("wheels", index), f"{quoted(wheel.text)} takes whatever version is the newest", "write 'name==1.2.3'"


def _no_verify(recipe: Recipe) -> Iterator[Finding]:
    if not recipe.verify.imports and not recipe.verify.run:
        text = "nothing says what the image must be able to do"
        yield ("verify",), text, "name modules in verify.imports, or a command in verify.run"


def _no_size(recipe: Recipe) -> Iterator[Finding]:
    if recipe.verify.max_size is None:
        yield ("verify",), "the image may grow without anybody noticing", "write 'verify: {max_size: 80MB}'"


def _root(recipe: Recipe) -> Iterator[Finding]:
    if recipe.image.user.partition(":")[0] in ("0", "root"):
        yield ("image", "user"), "the image runs as root", "leave 'user' out: it is then 65532, who owns nothing"


def _all_kept(recipe: Recipe) -> Iterator[Finding]:
    if recipe.prune.level == "none":
        yield ("prune", "level"), "level none keeps headers, tests and pip", "'safe' drops what no program reads"


def _keep_and_drop(recipe: Recipe) -> Iterator[Finding]:
    kept = {glob.text for glob in recipe.prune.keep}
    for index, glob in enumerate(recipe.prune.drop):
        if glob.text in kept:
            yield (
                ("prune", "drop", index),
                f"{quoted(glob.text)} is under 'keep' too, which wins",
                "leave one of them out",
            )


def _secrets(recipe: Recipe) -> Iterator[Finding]:
    hint = "give it to the container when it starts: an image is read by everybody who can pull it"
    for kind, pairs in (("env", recipe.image.env), ("labels", recipe.image.labels)):
        for name, value in pairs:
            if value and _SECRET.search(name):
                yield ("image", kind, name), f"{quoted(name)} stands in the image for all to read", hint


def _undescribed(recipe: Recipe) -> Iterator[Finding]:
    if not recipe.description:
        yield ("description",), "the recipe does not say what it is for", "write 'description: …'; it becomes a label"


RULES: dict[str, Rule] = {
    "floating-tag": Rule(profile="default", look=_floating),
    "keep-and-drop": Rule(profile="minimal", look=_keep_and_drop),
    "level-none": Rule(profile="default", look=_all_kept),
    "no-description": Rule(profile="strict", look=_undescribed),
    "no-digest": Rule(profile="strict", look=_no_digest),
    "no-max-size": Rule(profile="strict", look=_no_size),
    "no-verify": Rule(profile="default", look=_no_verify),
    "root-user": Rule(profile="default", look=_root),
    "secret": Rule(profile="minimal", look=_secrets),
    "unpinned-wheel": Rule(profile="default", look=_unpinned),
}
