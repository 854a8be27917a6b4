"""Whether a recipe has wheels built, and in which image where its base build has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.recipe.model import PythonDebian

if TYPE_CHECKING:
    from slimrun.recipe.model import Recipe


def builds_wheels(recipe: Recipe) -> bool:
    """Whether a wheel is built, as far as the recipe itself says: a requirements file may name a folder, too."""
    return any(recipe.pip.from_source or line.text.endswith("/") for line in recipe.wheels)


def builder_image(recipe: Recipe) -> str | None:
    """The image that a base build out of Debian's packages gets for its builds; every other has one already."""
    if not isinstance(recipe.python, PythonDebian) or not builds_wheels(recipe):
        return None
    return f"debian:{recipe.python.suite}-slim"
