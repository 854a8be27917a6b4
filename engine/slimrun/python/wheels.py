"""From the lines of `wheels:` to pins, and from pins to files on this machine."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name, parse_wheel_filename

from slimrun.errors import BadWheel, DownloadFailed, NotYet, WheelNotFound
from slimrun.events import Note, silent
from slimrun.fetch.fit import mismatch
from slimrun.fetch.http import Wanted, download
from slimrun.fetch.index import canonical
from slimrun.fetch.unsolved import Unsolved
from slimrun.fetch.uv import compile_requirements
from slimrun.plan.pins import WheelPin
from slimrun.python.reasons import explain_wheels
from slimrun.python.requirements import read_requirements
from slimrun.python.target import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slimrun.cache.store import Cache
    from slimrun.errors import Where
    from slimrun.events import Emit
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.fetch.target import Target
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.requirements import Line, LocalWheel, Named, Requirements

__all__ = ["explain_wheels", "fetch_wheels", "resolve_wheels"]


def resolve_wheels(
    lines: Sequence[Line],
    interpreter: Interpreter,
    glibc: tuple[int, int] | None,
    *,
    indexes: Indexes,
    network: Network,
    cache: Cache,
    emit: Emit = silent,
    constraints: Line | None = None,
) -> tuple[WheelPin, ...]:
    """One wheel for each distribution that the lines need, sorted by name; no lines, no work.

    `glibc` is the newer of the base build's and the runtime's. `Line` is anything with text, where and base, as
    recipe.Wheel is. What a pylock.toml settles stays, and the rest is resolved around it. Raises RecipeInvalid,
    WheelNotFound, DownloadFailed, IndexUnreachable, and NotYet for a folder of which a wheel would have to be built.
    """
    if not lines:
        return ()
    target = target_of(interpreter, glibc)
    asked = read_requirements(lines, target, constraints=constraints)
    for source in asked.sources:
        msg = f"a wheel would have to be built of {source.path}"
        hint = "build it (python -m build --wheel) and name the file: ./dist/….whl"
        raise NotYet(msg, hint=hint, where=source.why.where)
    for wheel in asked.local:
        _check_tags(wheel, target)
    pins = {item.pin.name: item.pin for item in asked.locked}
    if asked.named or asked.local:
        emit(Note(text=f"uv resolves {len(asked.named) + len(asked.local)} requirements for {target} from {indexes}"))
        for pin in _resolve(asked, pins, target, indexes, network, cache, emit):
            pins.setdefault(pin.name, pin)
    _check_hashes(asked.named, pins)
    return tuple(pins[name] for name in sorted(pins))


def fetch_wheels(
    pins: Sequence[WheelPin], *, network: Network, cache: Cache, emit: Emit
) -> tuple[tuple[WheelPin, Path], ...]:
    """Each pinned wheel as a blob of the cache, size and digest checked.

    Raises DownloadFailed, IndexUnreachable, and BadWheel for a local file that is not the one that was pinned.
    """
    remote = [pin for pin in pins if _local_path(pin) is None]
    download(
        [Wanted(url=pin.url, sha256=pin.sha256, size=pin.size, name=pin.filename) for pin in remote],
        network=network,
        cache=cache,
        emit=emit,
    )
    for pin in pins:
        path = _local_path(pin)
        if path is not None and not cache.has_blob(pin.sha256):
            _copy(pin, path, cache)
    return tuple((pin, cache.blob_path(pin.sha256)) for pin in pins)


def _resolve(
    asked: Requirements,
    locked: dict[str, WheelPin],
    target: Target,
    indexes: Indexes,
    network: Network,
    cache: Cache,
    emit: Emit,
) -> Iterable[WheelPin]:
    local = {Path(os.path.realpath(wheel.path)): wheel for wheel in asked.local}
    lines = [str(item.requirement) for item in asked.named]
    for path, wheel in local.items():
        extras = f"[{','.join(sorted(wheel.extras))}]" if wheel.extras else ""
        lines.append(f"{wheel.name}{extras} @ {path.as_uri()}")
    held = [f"{pin.name}=={pin.version}" for pin in locked.values()]
    try:
        answer = compile_requirements(
            lines,
            target=target,
            indexes=indexes,
            network=network,
            cache=cache,
            constraints=(*asked.constraints, *held),
            emit=emit,
        )
    except Unsolved as error:
        error.where = _where(asked, error.name)
        raise
    return [_pin(package, local, network, target) for package in answer.get("packages", ())]


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


def _check_tags(wheel: LocalWheel, target: Target) -> None:
    reason = mismatch(parse_wheel_filename(wheel.path.name)[3], target)
    if reason:
        msg = f"{wheel.path.name} is {reason}"
        raise WheelNotFound(msg, hint=f"build or choose a wheel for {target}", where=wheel.why.where)


def _check_hashes(named: Iterable[Named], pins: dict[str, WheelPin]) -> None:
    for item in named:
        pin = pins.get(item.name)
        if item.hashes and pin is not None and pin.sha256 not in item.hashes:
            msg = f"{pin.filename} has sha256 {pin.sha256}, which is none of the {len(item.hashes)} that are allowed"
            hint = "add its hash, or make the file anew (pip-compile --generate-hashes)"
            raise WheelNotFound(msg, hint=hint, where=item.why.where)


def _local_path(pin: WheelPin) -> Path | None:
    parts = urlsplit(pin.url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(pin.url)


def _copy(pin: WheelPin, path: Path, cache: Cache) -> None:
    try:
        with path.open("rb") as source, cache.new_blob() as blob:
            blob.copy(source)
            if blob.digest != pin.sha256:
                msg = f"{path} has sha256 {blob.digest}, expected {pin.sha256}"
                raise BadWheel(msg, hint="the file was changed after it was pinned: run with --refresh, or lock anew")
    except FileNotFoundError as error:
        msg = f"there is no {path}"
        raise DownloadFailed(msg, hint="build the wheel first, or run with --refresh") from error
