"""Wheels that are built rather than downloaded: who builds them, and how uv learns what they need."""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from packaging.utils import canonicalize_name

from slimrun.errors import WheelNotFound
from slimrun.fetch.sources import Declared
from slimrun.python.requirements import LocalWheel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.errors import Where
    from slimrun.plan.pins import SourcePin, WheelPin
    from slimrun.python.buildsystem import Needs
    from slimrun.python.requirements import Sources
    from slimrun.why import Why


class SourceBuilder(Protocol):
    """Builds wheels for the target; each is a blob of the cache when its pin is returned. Raises what a build can raise."""

    @property
    def names(self) -> Mapping[str, Where]:
        """What `pip.from_source` names, normalised, and where."""
        ...

    def needs(self, source: SourcePin, why: Why | None) -> Needs:
        """What a wheel of this sdist will need, without a build where the sdist settles it."""
        ...

    def sdist(self, source: SourcePin, why: Why | None) -> WheelPin:
        """A wheel of this sdist."""
        ...

    def project(self, sources: Sources) -> WheelPin:
        """A wheel of this folder."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What uv says: values of a pylock.toml, and of those that are sources the pins."""

    packages: tuple[dict[str, Any], ...]
    sources: tuple[SourcePin, ...]


def settle(
    names: Collection[str],
    ask: Callable[[tuple[Declared, ...]], dict[str, Any]],
    pin: Callable[[dict[str, Any]], SourcePin],
    needs: Callable[[SourcePin], Needs],
) -> Answer:
    """Ask uv until all sources that it chose are ones whose needs it was told.

    It first hears that they need nothing, which chooses their versions; what those need may choose others, which are told next.
    Every round tells of a version that is new, so it ends.
    """
    declared = tuple(Declared(name=name) for name in sorted(names))
    known: set[tuple[str, str]] = set()
    while True:
        packages = tuple(ask(declared).get("packages", ()))
        sources = tuple(pin(package) for package in packages if "sdist" in package)
        fresh = [source for source in sources if (source.name, source.version) not in known]
        told = [_declared(source, needs(source)) for source in fresh]
        known |= {(item.name, item.version) for item in told}
        declared = (*declared, *told)
        if not any(item.requires or item.extras for item in told):
            return Answer(packages=packages, sources=sources)


def staged_wheel(pin: WheelPin, sources: Sources, folder: Path, cache: Cache) -> LocalWheel:
    """A built wheel under its own name in `folder`, as uv reads wheels."""
    path = folder / pin.filename
    with suppress(FileExistsError):  # two lines may name one folder
        path.hardlink_to(cache.blob_path(pin.sha256))
    return LocalWheel(path=path, name=pin.name, version=pin.version, extras=sources.extras, why=sources.why)


def check_named(names: Mapping[str, Where], pins: Mapping[str, WheelPin]) -> None:
    """Raises WheelNotFound for the first name of pip.from_source that no wheel has, or of which a wheel was given."""
    for name, where in sorted(names.items(), key=lambda item: item[1]):
        pin = pins.get(name)
        if pin is None:
            near = difflib.get_close_matches(name, sorted(pins), n=1)
            hint = f"did you mean {near[0]}?" if near else "remove it, or name the distribution in `wheels`"
            msg = f"pip.from_source names {name}, and no wheel of that name is needed"
            raise WheelNotFound(msg, hint=hint, where=where)
        if pin.source is None:
            msg = f"pip.from_source names {name}, of which `wheels` names the wheel {pin.filename}"
            raise WheelNotFound(msg, hint="remove one of the two", where=where)


def normalised(names: Iterable[tuple[str, Where]]) -> dict[str, Where]:
    """Names as the index has them (PEP 503)."""
    return {canonicalize_name(name): where for name, where in names}


def _declared(source: SourcePin, needs: Needs) -> Declared:
    return Declared(name=source.name, version=source.version, requires=needs.requires, extras=needs.extras)
