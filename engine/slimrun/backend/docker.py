"""The only importer of docker: one typed call for each thing that slimrun asks an engine, foreign errors turned into ours."""

from __future__ import annotations

from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import docker
import requests
import urllib3
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.context import ContextAPI

from slimrun.backend.connection import CHUNK, Chunks, Files, Refused, buffered
from slimrun.backend.host import engine_key, refusal
from slimrun.backend.trouble import disk_full, innermost, pull_error, unreachable
from slimrun.backend.undisturbed import undisturbed
from slimrun.errors import (
    EngineUnreachable,
    ImageFailed,
    SlimrunError,
)
from slimrun.tree.stream import Stream

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from slimrun.backend.host import Host
    from slimrun.cache.store import Cache

# An engine that is there answers a ping at once; one that hangs is not worth the patience that loading an image needs.
PATIENCE = 10.0
# Nobody who pressed Ctrl-C waits for as long as loading an image may take.
REMOVING = 60.0


def context_host(name: str) -> str:
    """The address that a docker context holds; raises EngineUnreachable where there is none of that name."""
    contexts: Any = ContextAPI  # types-docker knows half of it
    context = contexts.get_context(name)
    if context is None:
        msg = f"there is no docker context named '{name}'"
        raise EngineUnreachable(msg, hint="`docker context ls` lists them; docker.context in slim.yaml chooses one")
    return str(context.Host)


def answers(host: Host, *, timeout: float) -> str:
    """Why no engine answers at an address, or ""."""
    try:
        client: Any = docker.APIClient(
            host.url, version=MINIMUM_DOCKER_API_VERSION, timeout=_whole(timeout), tls=_tls(host)
        )
        try:
            client.ping()
        finally:
            client.close()
    except FOREIGN as error:
        return innermost(error)
    return ""


class Engine:
    """A connection to an engine, opened on the first call; raises errors of slimrun only.

    The API version is asked once and remembered in the cache, so that a run in which all is cached makes one request.
    """

    def __init__(self, host: Host, *, timeout: float, cache: Cache) -> None:
        self.host = host
        self._timeout = timeout
        self._cache = cache
        self._reading: Files | None = None
        self._remover: Any = None
        self._client: Any = None  # types-docker leaves half of its methods untyped
        self.lost = False  # whether a container may be there of which nobody knows

    def close(self) -> None:
        """Close the connection, if there is one."""
        for client in filter(None, (self._client, self._remover)):
            client.close()
        self._client = self._remover = None

    def version(self) -> dict[str, Any]:
        """What `docker version` says of the engine."""
        with self._asking("asking for its version") as client:
            return dict(client.version())

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of an image, or None."""
        with self._asking(f"looking for image {name}") as client:
            try:
                return dict(client.inspect_image(name))
            except docker.errors.NotFound:
                return None

    def pull(self, reference: str) -> Iterator[dict[str, Any]]:
        """Pull an image by tag or digest; the engine's progress records, in which errors are raised."""
        with self._asking(f"pulling {reference}") as client:
            try:
                for record in client.pull(reference, tag=_tag(reference), stream=True, decode=True):
                    if "error" in record:
                        raise pull_error(reference, str(record["error"]))
                    yield record
            except docker.errors.APIError as error:
                raise pull_error(reference, str(error.explanation or error)) from error

    def create(self, image: str, command: list[str], labels: dict[str, str], **options: Any) -> str:
        """Create a container and answer with its id."""
        host = {key: options.pop(key) for key in tuple(options) if key in _HOST_OPTIONS}
        with self._asking(f"creating a container of {image}") as client:
            config = client.create_host_config(**host)
            made = undisturbed(
                lambda: client.create_container(image, command, labels=labels, host_config=config, **options),
                lambda made: self.remove_container(made["Id"]),
                self._lose,
            )
            return str(made["Id"])

    def _lose(self) -> None:
        self.lost = True

    def target(self, container: str, path: str) -> str | None:
        """The path, or a link's target as the engine reports it (absolute); None where nothing is there."""
        with self._asking(f"looking at {path}") as client:
            files = self._files(client)
            if files.reachable:
                return files.target(container, path)
            try:
                chunks, facts = client.get_archive(container, path)
            except docker.errors.NotFound:
                return None
            chunks.close()
            return str(facts.get("linkTarget") or path)

    def archive(self, container: str, path: str) -> BinaryIO | None:
        """The tar of a path as it arrives, or None where nothing is there."""
        with self._asking(f"reading {path}") as client:
            files = self._files(client)
            if files.reachable:
                answer = files.archive(container, path)
                return None if answer is None else buffered(_Translated(answer, self.host))
            try:
                chunks, _ = client.get_archive(container, path, chunk_size=CHUNK)
            except docker.errors.NotFound:
                return None
            return buffered(_Translated(Chunks(chunks), self.host))

    def broke_off(self, what: str) -> SlimrunError:
        """The error for an archive that ended too early: the engine is gone, or something is wrong there."""
        if reason := refusal(self.host, timeout=min(PATIENCE, self._timeout)):
            return unreachable(self.host, reason)
        msg = f"the engine at {self.host.url} broke off while it handed over {what}"
        return ImageFailed(msg, hint="run again; if it stays, the engine's log says why")

    def break_off(self) -> None:
        """End what other threads read of containers."""
        if self._reading is not None:
            self._reading.break_off()

    def save(self, image: str) -> BinaryIO:
        """The docker-archive of an image as it arrives."""
        with self._asking(f"saving {image}") as client:
            return buffered(_Translated(Chunks(client.get_image(image, chunk_size=CHUNK)), self.host))

    def load(self, chunks: Iterable[bytes]) -> None:
        """Load a docker-archive."""
        with self._asking("loading the image") as client:
            for record in client.load_image(chunks) or ():
                if "error" in record:
                    text = str(record["error"])
                    if "no space left" in text:
                        raise disk_full(text)
                    msg = f"the engine refused the image: {text}"
                    raise ImageFailed(msg)

    def start(self, container: str) -> None:
        """Start a container."""
        with self._asking("starting a container") as client:
            client.start(container)

    def wait(self, container: str, seconds: float) -> int | None:
        """A container's exit status, or None where it still runs after so many seconds."""
        with self._asking("waiting for a container") as client:
            try:
                return int(client.wait(container, timeout=seconds)["StatusCode"])
            except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError) as error:
                if isinstance(error, requests.exceptions.ReadTimeout) or "timed out" in str(error).lower():
                    return None
                raise

    def logs(self, container: str, *, stderr: bool, tail: int | None = None) -> str:
        """What a container wrote to one of its two outputs."""
        with self._asking("reading a container's output") as client:
            raw = client.logs(container, stdout=not stderr, stderr=stderr, tail="all" if tail is None else tail)
            return bytes(raw).decode("utf-8", "replace")

    def tag(self, image: str, reference: str) -> None:
        """Give an image a tag."""
        repository, _, tag = reference.rpartition(":")
        with self._asking(f"tagging {reference}") as client:
            client.tag(image, repository, tag, force=True)

    def remove_container(self, container: str) -> None:
        """Stop and remove a container; one that is gone already is no error."""
        with self._asking("removing a container") as client:
            try:
                self._quick(client).remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):  # gone, or being removed already
                    raise

    def remove_image(self, name: str) -> None:
        """Remove an image's name, and the image with its last one; one that is gone is no error."""
        with self._asking(f"removing image {name}") as client:
            try:
                self._quick(client).remove_image(name, force=True)
            except docker.errors.NotFound:
                return

    def containers(self, label: str) -> tuple[dict[str, Any], ...]:
        """All containers that carry a label, running or not."""
        with self._asking("listing containers") as client:
            return tuple(client.containers(all=True, filters={"label": label}))

    def images(self, name: str) -> tuple[str, ...]:
        """The tags of all images whose repository is `name`, sorted."""
        with self._asking("listing images") as client:
            return tuple(sorted(tag for image in client.images(name) for tag in image.get("RepoTags") or ()))

    def using(self, doing: str) -> AbstractContextManager[Any]:
        """The client itself, for calls that one module alone makes; what it raises becomes ours."""
        return self._asking(doing)

    def _files(self, client: Any) -> Files:
        if self._reading is None:
            self._reading = Files(self.host, client.api_version, self._timeout)
        return self._reading

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Any]:
        try:
            yield self._connected()
        except SlimrunError:
            raise
        except FOREIGN as error:
            raise translate(error, doing, self.host) from error

    def _quick(self, client: Any) -> Any:
        """The same engine, for what is done in a moment or not at all."""
        if self._remover is None:
            seconds = _whole(min(REMOVING, self._timeout))
            self._remover = docker.APIClient(
                self.host.url, version=client.api_version, timeout=seconds, tls=_tls(self.host)
            )
        return self._remover

    def _connected(self) -> Any:
        if self._client is None:
            key = engine_key(self.host)
            reason = refusal(self.host, timeout=min(PATIENCE, self._timeout))
            if reason:
                raise unreachable(self.host, reason)
            version = self._cache.load("engine", key)
            self._client = docker.APIClient(
                self.host.url, version=version or "auto", timeout=_whole(self._timeout), tls=_tls(self.host)
            )
            if version is None:
                self._cache.save("engine", key, self._client.api_version)
        return self._client


def _whole(seconds: float) -> int:
    """As docker-py takes it: whole seconds, at least one."""
    return max(1, round(seconds))


def _tls(host: Host) -> Any:
    contexts: Any = ContextAPI
    if host.context:
        return contexts.get_context(host.context).TLSConfig or False
    return docker.tls.TLSConfig(verify=True) if host.tls_verify else False


_HOST_OPTIONS = frozenset(
    {"network_mode", "read_only", "cap_drop", "security_opt", "tmpfs", "binds", "extra_hosts", "mounts"}
)

# Everything that docker-py, requests and urllib3 raise; tests/backend/test_foreign_errors.py proves that nothing is left out.
FOREIGN = (
    docker.errors.DockerException,
    docker.errors.ContextException,
    docker.errors.StreamParseError,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.ProxySchemeUnsupported,
    HTTPException,
    Refused,
    OSError,
)


def translate(error: Exception, doing: str, host: Host) -> SlimrunError:
    """A foreign error as one of ours: what could not be done, which engine, and what to do."""
    text = str(getattr(error, "explanation", None) or error)
    if "no space left" in text:
        return disk_full(text)
    if isinstance(error, docker.errors.APIError):
        if error.status_code == 400 and "client version" in text:
            msg = f"the engine at {host.url} is too old or too new for docker-py {docker.__version__}: {text}"
            return EngineUnreachable(msg, hint="update the engine, or the docker package beside slimrun")
        return ImageFailed(f"{doing}: the engine says: {text}")
    if isinstance(error, Refused):
        return ImageFailed(f"{doing}: the engine says: {text}")
    if isinstance(error, (requests.exceptions.ReadTimeout, TimeoutError)):
        msg = f"{doing}: the engine at {host.url} did not answer in time"
        return EngineUnreachable(msg, hint="raise docker.timeout in slim.yaml, or look at the engine's log")
    return unreachable(host, innermost(error))


def _tag(reference: str) -> str | None:
    """docker-py takes `latest` for granted only with a tag: without one it pulls every tag."""
    last = reference.rpartition("/")[2]
    return None if ":" in last or "@" in last else "latest"


class _Translated(Stream):
    """An engine's answer whose errors are ours while it is read."""

    def __init__(self, raw: io.RawIOBase, host: Host) -> None:
        self._raw, self._host = raw, host

    def fill(self, buffer: memoryview) -> int:
        try:
            return self._raw.readinto(buffer) or 0
        except FOREIGN as error:
            raise translate(error, "reading from the engine", self._host) from error

    def close(self) -> None:
        self._raw.close()
        super().close()
