"""Where wheels are built: the image that CPython comes from, or one that gets it, with the packages that the recipe names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from slimrun.elf.model import Supply
from slimrun.errors import BuildFailed, EngineNeeded, RequirementNotMet
from slimrun.python.interpreter import glibc_version
from slimrun.python.target import target_of
from slimrun.recipe.reference import is_file
from slimrun.resolve.builder import Builder, built, explain_packages, install_packages
from slimrun.resolve.images import library_tree

if TYPE_CHECKING:
    from slimrun.backend.base import Backend
    from slimrun.backend.chain import BuildStep
    from slimrun.errors import Where
    from slimrun.events import Emit
    from slimrun.fetch.target import Target
    from slimrun.plan.building import InstallBuilder
    from slimrun.plan.pins import ImagePin
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.prefix import BaseBuild


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A builder, and the interpreter that is in it; `name` is for people."""

    base: ImagePin
    steps: tuple[BuildStep, ...]
    name: str
    interpreter: Interpreter
    glibc: tuple[int, int] | None

    @cached_property
    def target(self) -> Target:
        """What a wheel must fit to be used here; raises WheelNotFound where there is no glibc."""
        return target_of(self.interpreter, self.glibc)


def equip(
    before: Builder, step: InstallBuilder, backend: Backend, *, emit: Emit, anew: bool = False
) -> tuple[Builder, bool]:
    """The builder with the step's packages, and whether they had to be installed.

    Raises PackageNotFound and what else apt says, EngineNeeded, and RequirementNotMet for an image in a file, with the place.
    """
    _check_image(before, step.where)
    steps = (*before.steps, install_packages(step.packages))
    try:
        result = built(backend, before.base, steps, anew=anew, emit=emit)
    except BuildFailed as error:
        raise explain_packages(error, step.packages, before.base.reference, step.where) from error
    except EngineNeeded as error:
        without_engine(error, step.where)
        raise
    return replace(before, steps=steps, key=result.key), steps[-1].name in result.made


def workshop(builder: Builder, build: BaseBuild, where: Where) -> Workshop:
    """The builder as the place where wheels for this base build are made; raises RequirementNotMet for an image in a file."""
    _check_image(builder, where)
    return Workshop(
        base=builder.base,
        steps=builder.steps,
        name=builder.base.reference,
        interpreter=build.interpreter,
        glibc=glibc_version(build.supply),
    )


def without_engine(error: EngineNeeded, where: Where) -> None:
    """Give the error its place, and what a person can do about wheels."""
    error.where = error.where or where
    error.hint = (
        "start one, or name it with DOCKER_HOST or docker.host in slim.yaml; where there is a wheel, name that instead"
    )


def _check_image(builder: Builder, where: Where) -> None:
    if is_file(builder.base.reference):
        msg = f"nothing can be built in {builder.base.reference}: the engine does not have it"
        raise RequirementNotMet(msg, where=where, hint="load it (docker load), and name its tag as python.image")


def supply_of(shop: Workshop, backend: Backend, emit: Emit) -> Supply | None:
    """The libraries of a builder; None where it has none beside the base build's own."""
    if not shop.steps:
        return None
    image = built(backend, shop.base, shop.steps, emit=emit).image
    return Supply(name=f"the builder of wheels ({shop.name})", tree=library_tree(image, shop.base.platform))
