"""Requirements → pins, by way of uv: its words for files become ours."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name, parse_wheel_filename

from slimrun.fetch.index import canonical
from slimrun.fetch.unsolved import Unsolved
from slimrun.fetch.uv import compile_requirements
from slimrun.plan.pins import SourcePin, WheelPin
from slimrun.python.sources import settle

if TYPE_CHECKING:
    from slimrun.cache.store import Cache
    from slimrun.errors import Where
    from slimrun.events import Emit
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.fetch.sources import Declared
    from slimrun.fetch.target import Target
    from slimrun.python.requirements import LocalWheel, Requirements
    from slimrun.python.sources import SourceBuilder
    from slimrun.why import Why


def solve(
    asked: Requirements,
    settled: dict[str, WheelPin],
    target: Target,
    indexes: Indexes,
    network: Network,
    cache: Cache,
    builder: SourceBuilder | None,
    emit: Emit,
) -> list[WheelPin]:
    """A wheel for all that is asked for beside what is `settled`; sources that uv chose are built. Raises Unsolved."""
    local = {Path(os.path.realpath(wheel.path)): wheel for wheel in asked.local}
    lines = [str(item.requirement) for item in asked.named]
    for path, wheel in local.items():
        extras = f"[{','.join(sorted(wheel.extras))}]" if wheel.extras else ""
        lines.append(f"{wheel.name}{extras} @ {path.as_uri()}")
    own = {wheel.name for wheel in asked.local}
    held = [f"{pin.name}=={pin.version}" for pin in settled.values() if pin.name not in own]

    def ask(declared: tuple[Declared, ...]) -> dict[str, Any]:
        return compile_requirements(
            lines,
            target=target,
            indexes=indexes,
            network=network,
            cache=cache,
            constraints=(*asked.constraints, *held),
            declared=declared,
            emit=emit,
        )

    def why(source: SourcePin) -> Why | None:
        return next((item.why for item in asked.named if item.name == source.name), None)

    try:
        if builder is None:
            return [_pin(package, local, network, target) for package in ask(()).get("packages", ())]
        build = builder
        answer = settle(
            builder.names.keys() - settled.keys() - own,
            ask,
            lambda package: _source_pin(package, network),
            lambda source: build.needs(source, why(source)),
        )
    except Unsolved as error:
        error.where = error.where or _where(asked, error.name)
        raise
    wheels = [_pin(package, local, network, target) for package in answer.packages if "sdist" not in package]
    return [*wheels, *(builder.sdist(source, why(source)) for source in answer.sources)]


def _source_pin(package: dict[str, Any], network: Network) -> SourcePin:
    """uv's answer for a distribution of which it took the sdist."""
    source = package["sdist"]
    return SourcePin(
        name=canonicalize_name(package["name"]),
        version=package["version"],
        filename=_filename(source),
        url=source.get("path") or canonical(source["url"], network),
        sha256=source["hashes"]["sha256"],
        size=source.get("size", 0),
    )


def _pin(package: dict[str, Any], local: dict[Path, LocalWheel], network: Network, target: Target) -> WheelPin:
    """uv's answer for one distribution: `wheels` from an index, `archive` for an address or a file."""
    offered = [package["archive"]] if "archive" in package else package["wheels"]
    source = min(offered, key=lambda one: _rank(_filename(one), target))
    path = source.get("path")
    wheel = local.get(Path(os.path.realpath(path))) if path else None
    return WheelPin(
        name=canonicalize_name(package["name"]),
        version=package["version"],
        filename=_filename(source),
        url=str(wheel.path) if wheel else path or canonical(source["url"], network),
        sha256=source["hashes"]["sha256"],
        size=source.get("size", 0),
    )


def _filename(source: dict[str, Any]) -> str:
    return unquote(urlsplit(source.get("url") or source["path"]).path).rpartition("/")[2]


def _rank(filename: str, target: Target) -> int:
    tags = parse_wheel_filename(filename)[3]
    return next((place for place, tag in enumerate(target.tags) if tag in tags), len(target.tags))


def _where(asked: Requirements, name: str) -> Where | None:
    lines = {wheel.name: wheel.why.where for wheel in asked.local}
    lines |= {item.name: item.why.where for item in reversed(asked.named)}
    return lines.get(name)
