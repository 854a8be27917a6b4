"""Debian packages → pins, and the base build and packages out of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slimrun import machine
from slimrun.debian.resolve import resolve_debian
from slimrun.debian.unpack import open_packages
from slimrun.errors import PythonNotFound, RequirementNotMet
from slimrun.plan.part import Part
from slimrun.prune.features import packages_of
from slimrun.python.interpreter import DEFAULT_PATH, find_interpreter
from slimrun.python.prefix import BaseBuild, take
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.backend.base import ImageSource
    from slimrun.debian.archive import Archive
    from slimrun.debian.pins import DebPin
    from slimrun.plan.steps import ResolveDebian, UnpackPackages, UnpackPython

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What the recipe's packages give: `part` goes into the image, `supply` is where libraries may come from.

    `owners` has the package of each path of both.
    """

    part: Part = field(default_factory=Part)
    supply: Tree = field(default_factory=Tree)
    owners: Mapping[str, str] = field(default_factory=dict)


def pin_packages(step: ResolveDebian, suite: str, platform: str, archive: Archive) -> tuple[DebPin, ...]:
    """Settle a step's packages for a platform; raises what `resolve_debian` raises."""
    architecture = machine.of_platform(platform).debian
    return resolve_debian(
        step.packages, suite, architecture, archive, snapshot=step.snapshot, alone=packages_of(step.features)
    )


def suite_of(image: ImageSource, step: ResolveDebian) -> str:
    """The code name of the Debian that an image is made of; raises RequirementNotMet for one that does not say."""
    tree = image.tree(("/etc", "/usr/lib/os-release"))
    found = next((found for path in OS_RELEASE if (found := tree.resolve(path))), None)
    lines = found.entry.read().decode("utf-8", "replace").splitlines() if found else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    if values.get("ID", "").strip('"') != "debian" or "VERSION_CODENAME" not in values:
        msg = "the base build does not say which Debian it is made of"
        raise RequirementNotMet(msg, where=step.where, hint="name one with debian.suite: bookworm")
    return values["VERSION_CODENAME"].strip('"')


def unpack_python(step: UnpackPython, pins: Sequence[DebPin], archive: Archive) -> BaseBuild:
    """CPython and its supply out of Debian's packages; raises PythonNotFound."""
    unpacked = open_packages(pins, archive, asked=(step.package,))
    tree = unpacked.dependencies.merge(unpacked.named)
    try:
        interpreter = find_interpreter(tree, DEFAULT_PATH)
    except PythonNotFound as error:
        error.where = error.where or step.package.where
        raise
    why = Why(rule="recipe", text=f"python.debian: {step.package.text} of {step.suite}", where=step.package.where)
    build = take(tree, interpreter, name=f"Debian {step.suite}", why=why)
    return replace(build, owners={path: package for path, (package, _) in unpacked.owner.items()})


def unpack_packages(step: UnpackPackages, pins: Sequence[DebPin], archive: Archive) -> Packages:
    """The named packages as what goes into the image, all that they depend on as supply."""
    unpacked = open_packages(pins, archive, asked=step.packages)
    whys = tuple((path, unpacked.whys[path]) for path in unpacked.named)
    owners = {path: package for path, (package, _) in unpacked.owner.items()}
    return Packages(part=Part(tree=unpacked.named, whys=whys), supply=unpacked.dependencies, owners=owners)
