"""The local backend: images come from registries, are read out of the cache, and run in namespaces; no daemon and no root.

What an engine keeps, records of the cache keep: `image` which image a reference was settled to, `verified` which image a tag means.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from threading import Event as Flag
from typing import TYPE_CHECKING

from slimrun import machine
from slimrun.backend.base import Finished, Layered, Limits, NotRun, Ran
from slimrun.errors import EngineNeeded, ImageNotFound, Interrupted
from slimrun.events import Note, Warned
from slimrun.plan.pins import ImagePin
from slimrun.recipe.reference import is_file, mirror, parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.backend.chain import BuildStep, Built
    from slimrun.backend.local_image import LocalImage
    from slimrun.backend.sandbox import Sandbox, Tool
    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.oci.config import Config
    from slimrun.oci.registry import Registry, Settled
    from slimrun.settings import Settings


class LocalBackend:
    """Six operations with nothing but a registry and the kernel; a run in which all is cached asks neither."""

    name = "local"

    def __init__(self, settings: Settings, cache: Cache, emit: Emit, environ: Mapping[str, str]) -> None:
        self._settings, self._cache, self._emit, self._environ = settings, cache, emit, environ
        self._run = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._loaded: dict[str, Finished] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._tool: Tool | NotRun | None = None
        self._skipped = ""
        self._stopped = Flag()

    def platform(self) -> str:
        """This machine's platform."""
        return machine.host().platform

    def resolve_image(self, reference: str) -> ImagePin:
        """What the registry says, remembered until `--refresh`, as an engine keeps an image that it has."""
        if is_file(reference):
            from slimrun.backend.files import settle_file

            return settle_file(reference, self._cache, self.platform())
        address = mirror(reference, self._settings.mirrors.images)
        key = hashlib.sha256(f"{address} {self.platform()}".encode()).hexdigest()
        pull = self._settings.docker.pull
        record = None if self._settings.refresh or pull == "always" else self._cache.load("image", key)
        if record is None:
            if pull == "never" or self._settings.offline:
                msg = f"{address} was not pulled before, and this run may not ask its registry"
                raise ImageNotFound(msg, hint="set docker.pull to `missing`, or run once with the network")
            settled = self._registry().settle(address, self.platform())
            record = {
                "digest": f"sha256:{settled.config_digest}",
                "platform": _platform(settled.config),
                "manifest": f"sha256:{settled.digest}",
            }
            self._cache.save("image", key, record)
        return ImagePin(reference=reference, **record)

    def open_image(self, pin: ImagePin) -> LocalImage:
        """The image by its digest; what the cache lost is fetched again by the digest that the registry had it under."""
        from slimrun.backend.layers import cached_layers, known_layers
        from slimrun.backend.local_image import LocalImage

        if is_file(pin.reference):
            from slimrun.backend.files import open_file

            return open_file(pin, self._cache)
        key = pin.digest.removeprefix("sha256:")
        config = self._config(pin)

        def read() -> Layered:
            layered = known_layers(key, self._cache)
            if layered is None:
                if not all(map(self._cache.has_blob, config.diff_ids)):
                    self._registry().fetch(self._address(pin), self._settle(pin))
                layered = cached_layers(config, key, self._cache, what=pin.reference)
            return layered

        return LocalImage(config, read)

    def build(
        self,
        base: ImagePin,  # noqa: ARG002
        steps: Sequence[BuildStep],
        *,
        anew: int = 0,  # noqa: ARG002
        emit: Emit | None = None,  # noqa: ARG002
    ) -> Built:
        """Nothing is built without an engine: packages want to be installed by root, in a system of their own."""
        msg = f"{steps[-1].name}: building needs a Docker Engine, and this run has none"
        hint = "start one, or name it with DOCKER_HOST or docker.host in slim.yaml; python.image and python.debian need none"
        raise EngineNeeded(msg, hint=hint)

    def load(self, image: Finished) -> str:
        """A name to run the image under: its layers are in the cache already."""
        name = f"{image.config.digest()[:12]}-{self._run}"
        self._loaded[name] = image
        return name

    def run(self, image: str, argv: Sequence[str], limits: Limits) -> Ran | NotRun:
        """Run a command in namespaces of its own, in a copy of the image's files that is gone with `tag` or `discard`."""
        from slimrun.backend.sandbox import Sandbox

        tool = self._find_tool()
        if isinstance(tool, NotRun):
            self._skipped = tool.reason
            return tool
        if image not in self._sandboxes:
            self._sandboxes[image] = Sandbox(tool, self._loaded[image].config, self._cache, name=f"root-{self._run}-")
        ran = self._sandboxes[image].run(argv, limits, stopped=self._stopped)
        if self._stopped.is_set():
            msg = "the run is being stopped"
            raise Interrupted(msg)
        return ran

    def tag(self, image: str, finished: Finished) -> None:
        """Record that these tags mean this image, and what could not be tried of it."""
        for tag in finished.tags:
            self._cache.save("verified", _tag_key(tag), {"digest": finished.config.digest(), "skipped": self._skipped})
        self.discard(image)

    def discard(self, image: str) -> None:
        """Remove what `run` unpacked."""
        self._loaded.pop(image, None)
        sandbox = self._sandboxes.pop(image, None)
        if sandbox is not None:
            sandbox.remove()

    def has(self, image: Finished) -> bool:
        """Whether each tag means exactly this image; not where commands were skipped that could be run by now."""
        digest = image.config.digest()
        for tag in image.tags:
            record = self._cache.load("verified", _tag_key(tag))
            if record is None or record["digest"] != digest:
                return False
            if record["skipped"]:
                if not isinstance(self._find_tool(), NotRun):
                    return False
                self._emit(Warned(text=f"nothing of {tag} was ever run: {record['skipped']}"))
        return True

    def interrupt(self) -> None:
        """Kill what runs; whoever waits for it in another thread raises Interrupted."""
        self._stopped.set()

    def clean(self) -> tuple[str, ...]:
        """Remove the unpacked images of runs that died."""
        from slimrun.backend.sandbox import left_over, remove_root

        found = left_over(self._cache)
        for folder in found:
            remove_root(folder)
        return tuple(f"folder {folder}" for folder in found)

    def close(self) -> None:
        """Remove what is still unpacked, unless a person wants to look into it."""
        for sandbox in self._sandboxes.values():
            if self._settings.keep_failed:
                self._emit(Note(text=f"the image that failed is unpacked in {sandbox.folder}", level=0))
            else:
                sandbox.remove()
        self._sandboxes.clear()

    def _config(self, pin: ImagePin) -> Config:
        from slimrun.oci.config import read_config

        path = self._cache.blob_path(pin.digest.removeprefix("sha256:"))
        if not path.is_file():
            return self._settle(pin).config
        return read_config(path.read_bytes(), what=pin.reference)

    def _settle(self, pin: ImagePin) -> Settled:
        settled = self._registry().settle(self._address(pin), pin.platform)
        if f"sha256:{settled.config_digest}" != pin.digest:
            msg = f"the registry no longer has {pin.reference} ({pin.digest})"
            raise ImageNotFound(msg, hint="run with --refresh to settle the image anew")
        return settled

    def _address(self, pin: ImagePin) -> str:
        address = parse_reference(mirror(pin.reference, self._settings.mirrors.images))
        return f"{address.registry}/{address.repository}@{pin.manifest}"

    def _registry(self) -> Registry:
        from slimrun.fetch.authorities import trusted
        from slimrun.fetch.network import Network
        from slimrun.oci.auth import find_login
        from slimrun.oci.registry import Registry

        build = self._settings.build
        network = Network(ca_bundle=trusted(build.ca_certificates), proxy=build.proxy)
        return Registry(network, self._cache, self._emit, lambda registry: find_login(registry, self._environ))

    def _find_tool(self) -> Tool | NotRun:
        if self._tool is None:
            from slimrun.backend.sandbox import find_tool

            self._tool = find_tool(self._cache.scratch(), self._environ)
        return self._tool


def _platform(config: Config) -> str:
    return "/".join(filter(None, (config.os, config.architecture, config.variant)))


def _tag_key(tag: str) -> str:
    return hashlib.sha256(tag.encode()).hexdigest()
