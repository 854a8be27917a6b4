"""Steps that every builder begins with, and what their failures mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.backend.chain import BuildStep
from slimrun.errors import ArchiveUnreachable, BuildFailed, PackageNotFound, RequirementNotMet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.backend.base import Backend
    from slimrun.backend.chain import Built
    from slimrun.errors import SlimrunError, Where
    from slimrun.events import Emit
    from slimrun.plan.pins import ImagePin
    from slimrun.recipe.model import Text

PACKAGES = "packages"
_ABSENT = re.compile(
    r"^E: (?:Unable to locate package|Package|Couldn't find any package by \w+) '?(?P<name>[a-z0-9][a-z0-9+.-]+)'?"
    r"|^E: Version '(?P<version>[^']+)' for '(?P<other>[^']+)' was not found"
)
_UNREACHABLE = re.compile(
    r"^(?:E|Err|W):? ?.*(?:Temporary failure resolving|Could not resolve|Could not connect|Connection (?:refused|failed|timed out)"
    r"|Unable to connect|Certificate verification failed|No system certificates|Proxy)"
)
# What the shell and the engine say where a program is not there.
_NO_PROGRAM = (126, 127)


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A builder as far as it is: the image that it begins with, and the steps done to it, whose last one `key` names.

    `epoch` is the time of what is built, for SOURCE_DATE_EPOCH; `lacking` the extension modules that were not built.
    """

    base: ImagePin
    steps: tuple[BuildStep, ...] = ()
    key: str = ""
    epoch: int = 0
    lacking: tuple[str, ...] = ()


def install_packages(packages: Sequence[Text]) -> BuildStep:
    """Debian packages from the builder's own sources; no commands at all where none are named."""
    names = tuple(sorted({item.text for item in packages}))
    commands = (
        ("apt-get", "update", "-q"),
        ("apt-get", "install", "-q", "-y", "--no-install-recommends", "--", *names),
        ("apt-get", "clean"),
        # The lists are large, and the next step that wants packages asks anew.
        ("find", "/var/lib/apt/lists", "-mindepth", "1", "-delete"),
    )
    return BuildStep(name=PACKAGES, commands=commands if names else (), network=bool(names))


def built(backend: Backend, base: ImagePin, steps: Sequence[BuildStep], *, emit: Emit, anew: bool = False) -> Built:
    """The chain's result; `anew` makes its last step again, `emit` hears of progress and can end it by raising."""
    return backend.build(base, steps, anew=int(anew), emit=emit)


def explain_packages(error: BuildFailed, packages: Sequence[Text], image: str, where: Where) -> SlimrunError:
    """Why packages could not be installed: an archive that does not answer, a name that it does not have, or no Debian."""
    places = {item.text: item.where for item in packages}
    if error.status in _NO_PROGRAM and any("apt-get" in line and "not found" in line for line in error.lines):
        msg = f"{image} has no apt-get: packages cannot be installed in it"
        return RequirementNotMet(msg, where=where, hint="name an image of Debian or Ubuntu, or none of its packages")
    for line in error.lines:
        if _UNREACHABLE.search(line):
            msg = f"Debian's archive cannot be reached from the builder: {line}"
            hint = "check build.proxy, build.ca_certificates, mirrors.debian and docker.network in slim.yaml; "
            return ArchiveUnreachable(msg, where=where, hint=f"{hint}all that apt printed is in {error.log}")
    for line in error.lines:
        if found := _ABSENT.search(line):
            name = found["name"] or f"{found['other']}={found['version']}"
            msg = f"the archive of {image} has no package {name}: {line.removeprefix('E: ')}"
            hint = f"check the name at https://packages.debian.org; all that apt printed is in {error.log}"
            return PackageNotFound(msg, where=places.get(name, where), hint=hint)
    error.where = error.where or where
    return error
