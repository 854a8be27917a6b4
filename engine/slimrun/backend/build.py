"""Builds on a Docker Engine: each step is a container that becomes an image, which the next step's container is made of.

`build()` and BuildKit are not used (docs/design.md). What a step needs of this machine's network lies in a volume and in one
command's environment, so that nothing of it is committed.
"""

from __future__ import annotations

import hashlib
import time
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from slimrun.backend.base import LABEL_BUILD, LABEL_CACHE
from slimrun.backend.buildlog import BuildLog
from slimrun.backend.chain import CORES, Built, step_keys
from slimrun.backend.execute import Execution
from slimrun.backend.surroundings import FOLDER, surroundings
from slimrun.cache.store import writing
from slimrun.errors import ImageFailed, ImageNotFound, NotCached
from slimrun.oci.archive import archive_chunks
from slimrun.oci.layer import write_tar
from slimrun.plan.pins import ImagePin
from slimrun.recipe.reference import is_file
from slimrun.tree.entry import folder
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.backend.base import ImageSource
    from slimrun.backend.chain import BuildStep
    from slimrun.backend.daemon import DockerBackend
    from slimrun.backend.docker import Engine
    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.settings import Settings

    Pairs = tuple[tuple[str, str], ...]

REPOSITORY = "slimrun.invalid/build"
RECORD = "build"
# The first day that a zip archive can hold: what is put into a container is as old as that.
EPOCH = 315532800
# Enough to keep a container alive while commands run in it.
_WAIT = (["sleep"], ["infinity"])
_LOADED = "from-file-"


class Builds:
    """Makes chains of steps on one engine."""

    def __init__(self, backend: DockerBackend, settings: Settings, cache: Cache, emit: Emit) -> None:
        self._backend, self._settings, self._cache, self._emit = backend, settings, cache, emit

    def build(self, base: ImagePin, steps: Sequence[BuildStep], *, anew: int = 0) -> Built:
        """From the last step whose image is there: what is before it is not even looked at."""
        keys = step_keys(base, steps, self._settings.build.env)
        first = len(steps) - anew
        while first and self._known(keys[first - 1]) is None:
            first -= 1
        made = []
        for number in range(first, len(steps)):
            with self._cache.lock(f"build-{keys[number]}"):
                # Another run may have made it meanwhile.
                if number >= len(steps) - anew or self._known(keys[number]) is None:
                    self._make(base, keys[number - 1] if number else None, steps[number], keys[number])
                    made.append(steps[number].name)
        image = self._known(keys[-1])
        if image is None:
            msg = f"the image of the step {steps[-1].name} left the engine while it was needed"
            raise ImageNotFound(msg, hint="run again")
        logs = tuple(
            (step.name, log_file(self._cache, key, step))
            for step, key in zip(steps, keys, strict=True)
            if step.commands
        )
        pin = ImagePin(reference=f"{REPOSITORY}:{keys[-1][:32]}", digest=image, platform=base.platform)
        return Built(key=keys[-1], image=self._open(pin), made=tuple(made), logs=logs)

    def _known(self, key: str) -> str | None:
        """The image of a step that was made before, where the engine still has it."""
        record = self._cache.load(RECORD, key)
        if record is None or self._backend.engine.inspect_image(record["image"]) is None:
            return None
        return str(record["image"])

    def _open(self, pin: ImagePin) -> ImageSource:
        return self._backend.open_image(pin)

    def _make(self, base: ImagePin, before: str | None, step: BuildStep, key: str) -> None:
        began, engine = time.monotonic(), self._backend.engine
        source = self._open(base)  # pulled again, where the engine lost it
        image = self._known(before) if before is not None else self._first(base, source)
        files, env = Tree(), self._settings.build.env
        options: dict[str, Any] = {
            "entrypoint": _WAIT[0],
            "user": "0:0",
            "hostname": "build",
            "network_mode": "none",
        }
        if step.network:
            if self._settings.offline:
                msg = f"the step {step.name} is not in the cache, and this run may not use the network"
                raise NotCached(msg, hint="run once without --offline")
            apt = source.tree(["/etc/apt"]) if self._settings.mirrors.debian else Tree()
            files, reach = surroundings(self._settings, apt)
            env = (*env, *reach)
            options["network_mode"] = self._settings.docker.network or "bridge"
            options["mounts"] = [{"Type": "volume", "Target": FOLDER}]
        with self._backend.container(str(image), _WAIT[1], f"build {step.name}", **options) as container:
            if step.tree is not None:
                self._put(container, "/", step.tree)
            if files:
                self._put(container, "/", files.merge(Tree({FOLDER: folder()})))
            if step.commands:
                engine.start(container)
                self._run(container, step, (*env, *step.env, *self._hints(step)), log_file(self._cache, key, step))
            with engine.using(f"keeping what {step.name} made") as client:
                labels = {LABEL_BUILD: key, LABEL_CACHE: owner(self._cache)}
                made = client.commit(container, REPOSITORY, key[:32], pause=False, conf={"Labels": labels})
        # By its id: a cache of its own never takes what another one's run named the same.
        seconds = round(time.monotonic() - began, 1)
        self._cache.save(RECORD, key, {"image": made["Id"], "step": step.name, "seconds": seconds})

    def _first(self, base: ImagePin, source: ImageSource) -> str:
        """What the engine knows the builder by; one out of a file is loaded, under a name that `clean` removes."""
        if not is_file(base.reference):
            return base.digest
        config = source.layered().config
        name = f"{REPOSITORY}:{_LOADED}{config.digest()[:32]}"
        if self._backend.engine.inspect_image(name) is None:
            self._backend.engine.load(archive_chunks(config, [name], self._cache))
        return name

    def _put(self, container: str, path: str, tree: Tree) -> None:
        with TemporaryFile(dir=self._cache.scratch()) as stream, writing(self._cache.root):
            write_tar(tree, stream, epoch=EPOCH)
            stream.seek(0)
            with self._backend.engine.using("putting files into a container") as client:
                client.put_archive(container, path, stream)

    def _run(self, container: str, step: BuildStep, env: Pairs, path: Path) -> None:
        with BuildLog.writing(path, step.name, self._emit) as log:
            for command in step.commands:
                log.command(command)
                running = Execution(self._backend.engine, container, command, env, step.workdir)
                for data in running.output(log.tick):
                    log.write(data)
                log.tick()  # who stopped this run removed the container
                if status := running.status():
                    raise log.failure(command, status)

    def _hints(self, step: BuildStep) -> Pairs:
        if not any(CORES in value for _, value in step.hints):
            return step.hints
        with self._backend.engine.using("asking how many processors it has") as client:
            cores = str(client.info()["NCPU"])
        return tuple((name, value.replace(CORES, cores)) for name, value in step.hints)


def log_file(cache: Cache, key: str, step: BuildStep) -> Path:
    """Where all that a step's commands print is kept."""
    return cache.root / "logs" / f"{key[:16]}-{step.name}.log"


def owner(cache: Cache) -> str:
    """A word for the cache whose records know an image: what another cache made is not ours to remove."""
    return hashlib.sha256(str(cache.root.resolve()).encode()).hexdigest()[:16]


def forgotten(engine: Engine, cache: Cache) -> tuple[str, ...]:
    """Remove the images of steps that this cache made and no longer has a record of; a line for each."""
    removed = []
    for name in engine.images(REPOSITORY):
        if name.startswith(f"{REPOSITORY}:{_LOADED}"):
            engine.remove_image(name)
            removed.append(f"image {name}")
    with engine.using("listing images") as client:
        found = client.images(filters={"label": f"{LABEL_CACHE}={owner(cache)}"})
    records = {image["Id"]: cache.load(RECORD, image["Labels"][LABEL_BUILD]) for image in found}
    left = [name for name, record in sorted(records.items()) if record is None or record["image"] != name]
    while gone := [name for name in left if _removed(engine, name)]:
        removed += [f"image {name[7:19]} (build)" for name in gone]
        left = [name for name in left if name not in gone]
    return tuple(removed)


def _removed(engine: Engine, image: str) -> bool:
    """Remove an image, unless another one was made of it."""
    try:
        engine.remove_image(image)
    except ImageFailed:
        return False
    return True
