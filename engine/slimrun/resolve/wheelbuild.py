"""Wheels built of sources, in a container of the builder; what was built before comes from the cache and asks no engine.

A wheel's key is that of its chain of steps: the builder's image, its packages, the sources, the backend's wheels, our driver. The
requirements of a build are settled and downloaded on the host like all wheels, by the same index settings, and put in.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from slimrun.backend.chain import CORES, BuildStep, step_keys
from slimrun.errors import BadSource, BuildFailed, EngineNeeded, SlimrunError, Where
from slimrun.events import Note
from slimrun.plan.digest import digest_of
from slimrun.plan.pins import SourcePin, WheelPin
from slimrun.python.buildenv import MAX_ANSWER, OUT, REQUIRES, command, environment, variables, workplace
from slimrun.python.buildsystem import Needs, build_system, checked_requires, needs_of, settled_needs
from slimrun.python.project import keep_project
from slimrun.python.sdist import open_sdist
from slimrun.python.wheelfile import open_wheel
from slimrun.python.wheels import fetch_files, fetch_wheels, resolve_wheels
from slimrun.recipe.model import Wheel
from slimrun.resolve.buildadvice import advice
from slimrun.resolve.workshop import without_engine
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slimrun.backend.base import Backend
    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.python.requirements import Sources
    from slimrun.resolve.workshop import Workshop
    from slimrun.settings import Settings
    from slimrun.tree.tree import Tree

# A backend that answers with new requirements each time it was given the last ones is not worth a fourth try.
ROUNDS = 3
# Records of the cache: what a step gave, and which wheels a build's requirements mean.
_WHEEL, _REQUIRES = "wheel-built", "wheel-requires"


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One wheel to make: `name` is the sources' folder in the builder, `where` the recipe's line that asks for it."""

    tree: Tree
    source: SourcePin
    name: str
    where: Where


@dataclass(kw_only=True)
class WheelBuilder:
    """The `SourceBuilder` of python/sources.py, over a backend; the workshop is opened when the first wheel is made."""

    names: Mapping[str, Where]
    open_workshop: Callable[[], Workshop]
    backend: Backend
    settings: Settings
    indexes: Indexes
    network: Network
    cache: Cache
    emit: Emit
    _made: dict[str, WheelPin] = field(default_factory=dict)

    @cached_property
    def workshop(self) -> Workshop:
        """Where all of them are built."""
        return self.open_workshop()

    def needs(self, source: SourcePin, why: Why | None) -> Needs:
        """From the sdist's own PKG-INFO, else from its wheel."""
        found = settled_needs(self._job(source, why).tree)
        if found is not None:
            return found
        wheel = self.sdist(source, why)
        with open_wheel(wheel, self.cache.blob_path(wheel.sha256)) as opened:
            return needs_of(opened.metadata)

    def sdist(self, source: SourcePin, why: Why | None) -> WheelPin:
        """A wheel of this sdist, made once."""
        if source.sha256 not in self._made:
            self._made[source.sha256] = self._wheel(self._job(source, why))
        return self._made[source.sha256]

    def project(self, sources: Sources) -> WheelPin:
        """A wheel of this folder."""
        where = sources.why.where or Where(str(sources.path))
        tree = keep_project(sources.path, self.cache, where)
        source = SourcePin(name="", version="", filename=sources.text, url=str(sources.path), sha256=tree.digest())
        return self._wheel(_Job(tree=tree, source=source, name="project", where=where))

    def _job(self, source: SourcePin, why: Why | None) -> _Job:
        where = self.names.get(source.name) or (why.where if why else None) or Where(source.filename)
        try:
            (path,) = fetch_files([source], network=self.network, cache=self.cache, emit=self.emit)
            tree = open_sdist(path, source.filename, source.sha256, self.cache)
        except SlimrunError as error:
            error.where = error.where or where
            raise
        return _Job(tree=tree, source=source, name=f"{source.name}-{source.version}", where=where)

    def _wheel(self, job: _Job) -> WheelPin:
        """Build, and where the backend asks for more, build again with that."""
        label = job.source.filename
        given = build_system(job.tree, label, job.where).requires
        for _ in range(ROUNDS):
            step = self._step(job, given)
            key = step_keys(self.workshop.base, (*self.workshop.steps, step), self.settings.build.env)[-1]
            found = None if self.settings.no_cache else self._remembered(key, job.source)
            found = found or self._run(step, key, job)
            if isinstance(found, WheelPin):
                return found
            given = (*given, *checked_requires(found, label, job.where))
        msg = f"{label} asks for other requirements each time it is built: {', '.join(given)}"
        raise BadSource(msg, hint="choose another version of it", where=job.where)

    def _step(self, job: _Job, given: Sequence[str]) -> BuildStep:
        shop, system = self.workshop, build_system(job.tree, job.source.filename, job.where)
        place = environment(self._requirements(given, job), shop.interpreter, shop.target, self.cache)
        return BuildStep(
            name=f"wheel-{re.sub('[^a-z0-9.-]', '-', job.name.lower())}",
            commands=(command(),),
            env=variables(self.settings.epoch or 0),
            hints=(("CMAKE_BUILD_PARALLEL_LEVEL", CORES), ("MAX_JOBS", CORES)),
            tree=workplace(job.name, job.tree, system, given, place),
            network=True,
        )

    def _requirements(self, given: Sequence[str], job: _Job) -> list[tuple[WheelPin, Path, Why]]:
        """Wheels for what the build requires, settled as the recipe's are, and remembered until --refresh."""
        shop, label = self.workshop, job.source.filename
        key = digest_of((sorted(given), str(shop.target), shop.target.abi, self.indexes.urls))
        pins = None if self.settings.refresh else self.cache.load_value(_REQUIRES, key)
        if pins is None:
            lines = [Wheel(text=text, where=job.where, base=Path("/")) for text in given]
            try:
                pins = resolve_wheels(
                    lines,
                    shop.interpreter,
                    shop.glibc,
                    indexes=self.indexes,
                    network=self.network,
                    cache=self.cache,
                    emit=self.emit,
                )
            except SlimrunError as error:
                error.message = f"what the build of {label} requires: {error.message}"
                raise
            self.cache.save_value(_REQUIRES, key, pins)
        why = Why(rule="build", text=f"the build of {label} requires it", where=job.where)
        fetched = fetch_wheels(pins, network=self.network, cache=self.cache, emit=self.emit)
        return [(pin, path, why) for pin, path in fetched]

    def _remembered(self, key: str, source: SourcePin) -> WheelPin | tuple[str, ...] | None:
        """What the step gave before: a wheel that is still there, or what its backend asked for."""
        record = self.cache.load(_WHEEL, key)
        if record is None:
            return None
        if "requires" in record:
            return tuple(record["requires"])
        found = _pin(record["filename"], record["sha256"], record["size"], source)
        return found if self.cache.has_blob(found.sha256) else None

    def _run(self, step: BuildStep, key: str, job: _Job) -> WheelPin | tuple[str, ...]:
        """Run the step, take out what it made, and remember it."""
        shop = self.workshop
        try:
            built = self.backend.build(shop.base, (*shop.steps, step), anew=int(self.settings.no_cache), emit=self.emit)
            out = built.image.tree((OUT,))
            if REQUIRES in out:
                asked = _answer(out, job)
                self.cache.save(_WHEEL, key, {"requires": asked})
                return asked
            pin = self._taken(out, job)
        except EngineNeeded as error:
            without_engine(error, job.where)
            raise
        except SlimrunError as error:
            error.where = error.where or job.where
            if isinstance(error, BuildFailed) and (helps := advice(error.lines)):
                error.hint = f"{helps}; {error.hint}"
            raise
        self.cache.save(_WHEEL, key, {"filename": pin.filename, "sha256": pin.sha256, "size": pin.size})
        self.emit(Note(text=f"built {pin.filename} of {job.source.filename} in {shop.name}"))
        return pin

    def _taken(self, out: Tree, job: _Job) -> WheelPin:
        """The one wheel that a build made: as suspect as one of an index, and of what was asked for."""
        source, paths = job.source, [path for path, _ in out.files()]
        if len(paths) != 1:
            msg = f"the build of {source.filename} ended well and left {len(paths)} wheels"
            raise BadSource(msg, hint="choose another version of it")
        with self.cache.new_blob() as blob, out.open(paths[0]) as stream:
            blob.copy(stream)
        pin = _pin(paths[0].rpartition("/")[2], blob.digest, blob.size, source)
        if source.name and source.name != pin.name:
            msg = f"{source.filename} builds {pin.filename}, which is not a wheel of {source.name}"
            raise BadSource(msg, hint="choose another version of it")
        with open_wheel(pin, blob.path, self.workshop.target):
            return pin


def _pin(filename: str, sha256: str, size: int, source: SourcePin) -> WheelPin:
    """A built wheel's pin; a file name that is none is left for the check to refuse."""
    try:
        name, version = map(str, parse_wheel_filename(filename)[:2])
    except InvalidWheelFilename:
        name, version = source.name, source.version
    return WheelPin(
        name=canonicalize_name(name),
        version=version,
        filename=filename,
        url=source.url,
        sha256=sha256,
        size=size,
        source=source,
    )


def _answer(out: Tree, job: _Job) -> tuple[str, ...]:
    """What our driver wrote, or a build in its place."""
    with out.open(REQUIRES) as stream:
        data = stream.read(MAX_ANSWER)
    try:
        lines = json.loads(data)
    except ValueError:
        lines = None
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        msg = f"the build of {job.source.filename} does not say what it requires"
        raise BadSource(msg, hint="choose another version of it")
    return tuple(lines)
