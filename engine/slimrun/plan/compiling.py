"""The stages that compile CPython, out of `python.git`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.plan.building import Configure, Install, InstallBuilder, Make, TakeSource
from slimrun.recipe.model import PythonGit, Text

if TYPE_CHECKING:
    from slimrun.errors import Where
    from slimrun.plan.steps import Step
    from slimrun.recipe.model import Recipe


def building(recipe: Recipe) -> dict[str, tuple[Step, ...]]:
    """The stages that compile CPython; none where the recipe does not ask for it."""
    git = recipe.python
    if not isinstance(git, PythonGit):
        return {}

    def placed(key: str, texts: tuple[str, ...]) -> tuple[Text, ...]:
        return tuple(Text(text=text, where=git_place(recipe, key, number)) for number, text in enumerate(texts))

    flags, where = placed("configure", git.configure), recipe.python_where
    return {
        "builder": (InstallBuilder(packages=placed("packages", git.packages), where=git_place(recipe, "builder")),),
        "source": (TakeSource(ref=git.ref, where=git_place(recipe, "ref")),),
        "configure": (Configure(libpython=git.libpython, flags=flags, env=git.env, where=where),),
        "make": (Make(env=git.env, jobs=git.jobs),),
        "install": (Install(env=git.env),),
    }


def git_place(recipe: Recipe, *key: str | int) -> Where:
    """Where a key below python.git was written; of a default, where `python` was."""
    origin = recipe.origin("python", "git", *key)
    return origin.where if origin is not None and origin.where.line else recipe.python_where
