"""From the lines of `wheels:` to pins, and from pins to files on this machine."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.utils import parse_wheel_filename

from slimrun.errors import BadWheel, DownloadFailed, WheelNotFound
from slimrun.events import Note, silent
from slimrun.fetch.fit import mismatch
from slimrun.fetch.http import Wanted, download
from slimrun.plan.pins import SourcePin, WheelPin
from slimrun.python.reasons import explain_wheels
from slimrun.python.requirements import read_requirements
from slimrun.python.solve import solve
from slimrun.python.sources import check_named, staged_wheel
from slimrun.python.target import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.fetch.target import Target
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.pylock import Locked
    from slimrun.python.requirements import Line, LocalWheel, Named, Sources
    from slimrun.python.sources import SourceBuilder

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
    builder: SourceBuilder | None = None,
) -> tuple[WheelPin, ...]:
    """One wheel for each distribution that the lines need, sorted by name; no lines, no work.

    `glibc` is the newer of the base build's and the runtime's. `Line` is anything with text, where and base, as
    recipe.Wheel is. What a pylock.toml settles stays, and the rest is resolved around it. What `builder` names, and folders,
    are built by it. Raises RecipeInvalid, WheelNotFound, DownloadFailed, IndexUnreachable, and what a build raises.
    """
    names = builder.names if builder else {}
    if not lines:
        check_named(names, {})
        return ()
    target = target_of(interpreter, glibc)
    asked = read_requirements(lines, target, constraints=constraints, from_source=names)
    pins = {item.pin.name: _locked(item, builder) for item in asked.locked}
    with TemporaryDirectory(dir=cache.scratch()) as folder:
        for sources in asked.sources:
            made = _builder(builder, sources).project(sources)
            if pins.setdefault(made.name, made) != made:
                msg = f"{sources.text} is {made.name}, which another line settles already"
                raise WheelNotFound(msg, hint="remove one of the two", where=sources.why.where)
            asked.local.append(staged_wheel(made, sources, Path(folder), cache))
        for wheel in asked.local:
            _check_tags(wheel, target)
        if asked.named or asked.local:
            count = len(asked.named) + len(asked.local)
            emit(Note(text=f"uv resolves {count} requirements for {target} from {indexes}"))
            for pin in solve(asked, pins, target, indexes, network, cache, builder, emit):
                pins.setdefault(pin.name, pin)
    _check_hashes(asked.named, pins)
    check_named(names, pins)
    return tuple(pins[name] for name in sorted(pins))


def fetch_wheels(
    pins: Sequence[WheelPin], *, network: Network, cache: Cache, emit: Emit
) -> tuple[tuple[WheelPin, Path], ...]:
    """Each pinned wheel as a blob of the cache, size and digest checked.

    Raises DownloadFailed, IndexUnreachable, and BadWheel for a local file that is not the one that was pinned.
    """
    return tuple(zip(pins, fetch_files(pins, network=network, cache=cache, emit=emit), strict=True))


def fetch_files(
    pins: Sequence[WheelPin | SourcePin], *, network: Network, cache: Cache, emit: Emit
) -> tuple[Path, ...]:
    """The files of pins as blobs of the cache, in order; raises what `fetch_wheels` raises."""
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
    return tuple(cache.blob_path(pin.sha256) for pin in pins)


def _builder(builder: SourceBuilder | None, sources: Sources) -> SourceBuilder:
    if builder is None:
        msg = f"a wheel would have to be built of {sources.path}"
        raise WheelNotFound(msg, hint="name a wheel of it instead", where=sources.why.where)
    return builder


def _locked(item: Locked, builder: SourceBuilder | None) -> WheelPin:
    if isinstance(item.pin, WheelPin):
        return item.pin
    if builder is None:  # a reader that was told no names gives none of them as sources
        msg = f"{item.pin.filename} is no wheel"
        raise WheelNotFound(msg, hint="lock a wheel of it", where=item.why.where)
    return builder.sdist(item.pin, item.why)


def _check_tags(wheel: LocalWheel, target: Target) -> None:
    reason = mismatch(parse_wheel_filename(wheel.path.name)[3], target)
    if reason:
        msg = f"{wheel.path.name} is {reason}"
        raise WheelNotFound(msg, hint=f"build or choose a wheel for {target}", where=wheel.why.where)


def _check_hashes(named: Iterable[Named], pins: dict[str, WheelPin]) -> None:
    for item in named:
        pin = pins.get(item.name)
        if not item.hashes or pin is None:
            continue
        file = pin.source or pin
        if file.sha256 not in item.hashes:
            msg = f"{file.filename} has sha256 {file.sha256}, which is none of the {len(item.hashes)} that are allowed"
            hint = "add its hash, or make the file anew (pip-compile --generate-hashes)"
            raise WheelNotFound(msg, hint=hint, where=item.why.where)


def _local_path(pin: WheelPin | SourcePin) -> Path | None:
    parts = urlsplit(pin.url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(pin.url)


def _copy(pin: WheelPin | SourcePin, path: Path, cache: Cache) -> None:
    try:
        with path.open("rb") as source, cache.new_blob() as blob:
            blob.copy(source)
            if blob.digest != pin.sha256:
                msg = f"{path} has sha256 {blob.digest}, expected {pin.sha256}"
                raise BadWheel(msg, hint="the file was changed after it was pinned: run with --refresh, or lock anew")
    except FileNotFoundError as error:
        msg = f"there is no {path}"
        raise DownloadFailed(msg, hint="build it first, or run with --refresh") from error
