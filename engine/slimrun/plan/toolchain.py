"""What a recipe's builds of wheels want before the first of them: an image with its Python, and Debian packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slimrun.plan.building import InstallBuilder
from slimrun.plan.steps import ResolveImage
from slimrun.recipe.builds import builder_image, builds_wheels
from slimrun.recipe.model import PythonDebian, Text

if TYPE_CHECKING:
    from slimrun.plan.steps import Step
    from slimrun.recipe.model import Recipe

ROLE = "wheel builder"
# gcc and clang only recommend the headers that everything includes; g++ depends on them.
_COMPILER = re.compile(r"(?:gcc|clang)(?:-\d+)?(?:=.*)?")
_HEADERS = "libc6-dev"


def resolve_builder(recipe: Recipe) -> tuple[Step, ...]:
    """Settle the image that the builds get where the base build has none."""
    reference = builder_image(recipe)
    return (ResolveImage(role=ROLE, reference=reference, where=recipe.python_where),) if reference else ()


def toolchain(recipe: Recipe) -> dict[str, tuple[Step, ...]]:
    """The stage that installs packages in the builder of wheels; none where there are no builds, or no packages for them."""
    packages = (*_interpreter(recipe), *with_headers(recipe.pip.build_packages))
    if not builds_wheels(recipe) or not packages:
        return {}
    return {"toolchain": (InstallBuilder(packages=packages, where=packages[0].where),)}


def with_headers(packages: tuple[Text, ...]) -> tuple[Text, ...]:
    """The packages, and libc6-dev where a compiler is among them that would find no stdlib.h without it."""
    compiler = next((item for item in packages if _COMPILER.fullmatch(item.text)), None)
    if compiler is None or any(item.text.partition("=")[0] == _HEADERS for item in packages):
        return packages
    return (*packages, Text(text=_HEADERS, where=compiler.where))


def _interpreter(recipe: Recipe) -> tuple[Text, ...]:
    """A Debian interpreter and its headers: python3.11 and python3.11-dev."""
    if not isinstance(recipe.python, PythonDebian):
        return ()
    name = recipe.python.package
    headers = f"{name.partition('=')[0].removesuffix('-minimal')}-dev"
    return tuple(Text(text=text, where=recipe.python_where) for text in (name, headers))
