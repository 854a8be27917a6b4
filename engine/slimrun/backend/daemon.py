"""The Docker backend: images come from an engine, are read through containers that never start, and run there."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

from slimrun.backend.base import LABEL_RUN, LABEL_STAGE, OUTPUT, Finished, Limits, Ran
from slimrun.backend.host import choose_host, config_of, image_facts
from slimrun.errors import ImageNotFound, Interrupted, SlimrunError
from slimrun.events import Progress, Warned
from slimrun.plan.pins import ImagePin
from slimrun.recipe.reference import is_file, mirror, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slimrun.backend.base import ImageSource
    from slimrun.backend.chain import BuildStep, Built
    from slimrun.backend.docker import Engine
    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.oci.config import Config
    from slimrun.settings import Settings

REPOSITORY = "slimrun.invalid/unverified"
_CLEAN = "`slimrun clean` removes it once the engine answers"
OUTPUT_LINES = 2000


class DockerBackend:
    """Six operations on a Docker Engine; everything it creates carries labels and is gone afterwards."""

    name = "docker"

    def __init__(self, settings: Settings, cache: Cache, emit: Emit, environ: Mapping[str, str]) -> None:
        self._settings, self._cache, self._emit = settings, cache, emit
        self._host = choose_host(settings.docker, environ)
        self._connected: Engine | None = None
        self._readers: dict[tuple[str, bool], str] = {}
        self._containers: set[str] = set()
        self._lock, self._stopped = RLock(), False
        self._run = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def platform(self) -> str:
        """The engine's own platform."""
        facts = self.engine.version()
        return f"{facts['Os']}/{facts['Arch']}"

    def resolve_image(self, reference: str) -> ImagePin:
        """The image as the engine has it, pulled first where docker.pull says so."""
        if is_file(reference):
            from slimrun.backend.files import settle_file

            return settle_file(reference, self._cache, self.platform())
        address = mirror(reference, self._settings.mirrors.images)
        pull = "never" if self._settings.offline else self._settings.docker.pull
        facts = None if pull == "always" else self.engine.inspect_image(address)
        if facts is None and pull != "never":
            self._pull(address)
            facts = self.engine.inspect_image(address)
        if facts is None:
            msg = f"the engine has no image {address}, and docker.pull is `never`"
            raise ImageNotFound(msg, hint=f"`docker pull {address}`, or set docker.pull to `missing`")
        return _pin(reference, facts)

    def open_image(self, pin: ImagePin) -> ImageSource:
        """The image by its digest; one that the engine lost is pulled again by the digest it had in its registry."""
        if is_file(pin.reference):
            from slimrun.backend.files import open_file

            return open_file(pin, self._cache)
        facts = self.engine.inspect_image(pin.digest)
        if facts is None and pin.manifest and self._settings.docker.pull != "never" and not self._settings.offline:
            address = parse_reference(mirror(pin.reference, self._settings.mirrors.images))
            self._pull(f"{address.registry}/{address.repository}@{pin.manifest}")
            facts = self.engine.inspect_image(pin.digest)
        if facts is None:
            msg = f"the engine no longer has {pin.reference} ({pin.digest})"
            raise ImageNotFound(msg, hint="run with --refresh to settle the image anew")
        from slimrun.backend.docker_image import DockerImage

        return DockerImage(self, pin, facts)

    def build(self, base: ImagePin, steps: Sequence[BuildStep], *, anew: int = 0, emit: Emit | None = None) -> Built:
        """Run what was not run before, each step in a container of its own."""
        from slimrun.backend.build import Builds

        return Builds(self, self._settings, self._cache, emit or self._emit).build(base, steps, anew=anew)

    def load(self, image: Finished) -> str:
        """Load the image under a name that no person uses."""
        from slimrun.backend.loading import load_image

        name = f"{REPOSITORY}:{image.config.digest()[:12]}-{self._run}"
        try:
            load_image(image.config, name, self.engine, self._cache, self.check)
        except BaseException:  # an engine that had it all before Ctrl-C came has the image now
            with suppress(SlimrunError):
                self.engine.remove_image(name)
            raise
        return name

    def run(self, image: str, argv: Sequence[str], limits: Limits) -> Ran:
        """Run a command as the image's user in a container of its own."""
        # runc gives a tmpfs the mode of the folder that it covers, whatever is asked for: 0700 is then its owner's alone.
        uid, _, gid = limits.owner.partition(":")
        options: dict[str, Any] = {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "network_mode": (self._settings.docker.network or "bridge") if limits.network else "none",
            "tmpfs": dict.fromkeys(limits.tmpfs, f"mode=1777,uid={uid},gid={gid}"),
            "environment": dict(limits.env),
        }
        if limits.entrypoint is not None:
            options["entrypoint"] = list(limits.entrypoint)
        with self.container(image, list(argv), "verify", **options) as container:
            self.engine.start(container)
            status = self.engine.wait(container, limits.timeout)
            self.check()
            lines = None if limits.output > OUTPUT else OUTPUT_LINES
            return Ran(
                exit=status,
                stdout=self.engine.logs(container, stderr=False, tail=lines)[-limits.output :],
                stderr=self.engine.logs(container, stderr=True, tail=OUTPUT_LINES),
            )

    def tag(self, image: str, finished: Finished) -> None:
        """Give the image its tags, then take away the name it was loaded under."""
        for tag in finished.tags:
            self.engine.tag(image, tag)
        self.engine.remove_image(image)

    def discard(self, image: str) -> None:
        """Remove a loaded image."""
        self.engine.remove_image(image)

    def has(self, image: Finished) -> bool:
        """Whether the first tag leads to these layers and this config; the engine's Id differs between its stores."""
        name = image.tags[0]
        facts = image_facts(
            self._host, name, timeout=min(10.0, self._settings.docker.timeout)
        ) or self.engine.inspect_image(name)
        if facts is None or not {*image.tags} <= {*facts["RepoTags"]}:
            return False
        if facts["Id"] == f"sha256:{image.config.digest()}":
            return True
        return _same_config(config_of(facts), image.config)

    def interrupt(self) -> None:
        """Remove what runs, so that whoever waits for it in another thread goes on, and raises Interrupted."""
        self._stopped = True
        self.engine.break_off()
        for container in tuple(self._containers):
            self.engine.remove_container(container)

    def clean(self) -> tuple[str, ...]:
        """Remove containers and unverified images of runs that died."""
        removed = []
        for found in self.engine.containers(LABEL_RUN):
            if not _alive(found["Labels"].get(LABEL_RUN, "")):
                self.engine.remove_container(found["Id"])
                removed.append(f"container {found['Id'][:12]} ({found['Labels'].get(LABEL_STAGE, '')})")
        for name in self.engine.images(REPOSITORY):
            if not _alive(name.rpartition(":")[2].partition("-")[2]):
                self.engine.remove_image(name)
                removed.append(f"image {name}")
        from slimrun.backend.build import forgotten

        return (*removed, *forgotten(self.engine, self._cache))

    def close(self) -> None:
        """Close the connection."""
        if self._connected is not None:
            try:
                for container in self._readers.values():
                    self._connected.remove_container(container)
            except SlimrunError as error:  # no reason to forget how the run went
                text = f"a container that was read from may be left: {error.message}"
                self._emit(Warned(text=text, hint=_CLEAN))
            if self._connected.lost:
                self._emit(Warned(text="a container that was being created may be left", hint=_CLEAN))
            self._connected.close()

    @property
    def engine(self) -> Engine:
        """The connection, opened when it is first needed."""
        with self._lock:
            if self._connected is None:
                from slimrun.backend.docker import Engine

                self._connected = Engine(self._host, timeout=self._settings.docker.timeout, cache=self._cache)
            return self._connected

    @property
    def cache(self) -> Cache:
        """The cache that images are spooled into."""
        return self._cache

    def reader(self, image: str, second: bool = False) -> str:
        """One of two containers through which an image is read: created once a run, never started, removed by `close`."""
        key = (image, second)
        with self._lock:
            if key not in self._readers:
                labels = {LABEL_RUN: self._run, LABEL_STAGE: "read"}
                self._readers[key] = self.engine.create(image, ["-"], labels)
            return self._readers[key]

    @contextmanager
    def container(self, image: str, argv: list[str], stage: str, **options: Any) -> Iterator[str]:
        """A container for the length of a block, removed however the block ends."""
        labels = {LABEL_RUN: self._run, LABEL_STAGE: stage}
        container = self.engine.create(image, argv, labels, **options)
        try:
            self._containers.add(container)
            self.check()
            yield container
        finally:
            self._containers.discard(container)
            self.engine.remove_container(container)

    def check(self) -> None:
        """Raises Interrupted once another thread said so."""
        if self._stopped:
            msg = "the run is being stopped"
            raise Interrupted(msg)

    def _pull(self, address: str) -> None:
        layers: dict[str, tuple[int, int]] = {}
        for record in self.engine.pull(address):
            detail = record.get("progressDetail") or {}
            if record.get("status") == "Downloading" and detail.get("total"):
                layers[record["id"]] = detail["current"], detail["total"]
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                self._emit(Progress(what=f"pull {address}", done=done, total=total))


def _pin(reference: str, facts: dict[str, Any]) -> ImagePin:
    digests = sorted(item.partition("@")[2] for item in facts.get("RepoDigests") or ())
    platform = "/".join(filter(None, (facts["Os"], facts["Architecture"], facts.get("Variant"))))
    return ImagePin(reference=reference, digest=facts["Id"], platform=platform, manifest=digests[0] if digests else "")


def _same_config(found: Config, wanted: Config) -> bool:
    facts = (
        *("os", "architecture", "variant", "diff_ids", "env", "entrypoint", "cmd", "user", "workdir", "labels"),
        *("expose", "volumes", "stop_signal"),
    )
    return all(getattr(found, name) == getattr(wanted, name) for name in facts)


def _alive(run: str) -> bool:
    """Whether the process that made a thing still runs on this machine; its id stands before the dash."""
    pid = run.partition("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
