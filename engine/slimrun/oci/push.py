"""An image into a registry (distribution-spec 1.1, pushing): blobs that it lacks, then the manifest under each name."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from slimrun.errors import BadArchive, ImageNotFound
from slimrun.events import Note, Progress
from slimrun.oci.layout import base_annotations, make_layout
from slimrun.oci.manifest import OCI_MANIFEST
from slimrun.oci.registry_client import Client
from slimrun.recipe.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    import requests

    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.network import Network
    from slimrun.oci.auth import Login
    from slimrun.oci.config import Config
    from slimrun.plan.pins import ImagePin

_TELL = 1 << 20
_SAID = "Docker-Content-Digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a registry has under which names: the manifest's digest (bare hex), the same for all."""

    digest: str
    names: tuple[str, ...]


class Pusher:
    """Writes images. Every method raises RegistryUnreachable, DownloadFailed and ImageNotFound."""

    def __init__(self, network: Network, cache: Cache, emit: Emit, find_login: Callable[[str], Login | None]) -> None:
        self._network, self._cache, self._emit, self._find_login = network, cache, emit, find_login

    def push(self, image: Config, names: Sequence[str], base: ImagePin | None) -> Pushed:
        """Push an image, whose layers are blobs of the cache, under names (`registry/repository:tag`).

        The manifest comes last, so that no name ever leads to an image that is not whole; `base` is named in it.
        """
        layout, config = make_layout(image, names, self._cache, annotations=base_annotations(base)), image.digest()
        small = {path.rpartition("/")[2]: data for path, data in layout.files}
        total = sum(layer.size for layer in layout.layers)
        for name in names:
            client = self._client(name)
            told = _Told(f"push {name}", total, self._emit)
            for layer in dict.fromkeys(layout.layers):
                path = self._cache.blob_path(layer.digest)
                if self._has(client, layer.digest):
                    told.advance(layer.size)
                else:
                    self._upload(client, layer.digest, partial(told.reading, path))
            if not self._has(client, config):
                self._upload(client, config, partial(io.BytesIO, small[config]))
            self._name(client, name, small[layout.digest])
            self._emit(Note(text=f"pushed {name}@sha256:{layout.digest}", level=0))
        return Pushed(digest=layout.digest, names=tuple(names))

    def is_there(self, pushed: Pushed) -> bool:
        """Whether every name still leads to the image, by one request each."""
        return all(self._leads_to(name) == pushed.digest for name in pushed.names)

    def _client(self, name: str) -> Client:
        return Client(parse_reference(name), self._network, self._find_login, actions="pull,push")

    def _leads_to(self, name: str) -> str:
        path = f"manifests/{parse_reference(name).tag or 'latest'}"
        try:
            found = self._client(name).ask("HEAD", path, _digest, accept=OCI_MANIFEST)
        except ImageNotFound:
            return ""
        return found.removeprefix("sha256:")

    def _has(self, client: Client, digest: str) -> bool:
        try:
            client.ask("HEAD", f"blobs/sha256:{digest}", lambda _: None)
        except ImageNotFound:
            return False
        return True

    def _upload(self, client: Client, digest: str, body: Callable[[], BinaryIO]) -> None:
        """One blob in one piece, at the address that the registry gives for it."""

        def place(answer: requests.Response) -> str:
            where = urljoin(answer.url, answer.headers.get("Location", ""))
            return f"{where}{'&' if urlsplit(where).query else '?'}digest=sha256:{digest}"

        begun = client.ask("POST", "blobs/uploads/", place)
        client.ask("PUT", begun, lambda _: None, body=body, kind="application/octet-stream")

    def _name(self, client: Client, name: str, manifest: bytes) -> None:
        path = f"manifests/{parse_reference(name).tag or 'latest'}"
        client.ask("PUT", path, lambda _: None, body=partial(io.BytesIO, manifest), kind=OCI_MANIFEST)


def _digest(answer: requests.Response) -> str:
    said = answer.headers.get(_SAID, "")
    if not said.startswith("sha256:"):
        msg = f"the registry does not say which image {answer.url} is"
        raise BadArchive(msg)
    return said


class _Told:
    """Counts what is sent of one image, and tells of it now and then."""

    def __init__(self, what: str, total: int, emit: Emit) -> None:
        self._what, self._total, self._emit, self._done, self._said = what, total, emit, 0, 0

    def advance(self, count: int) -> None:
        """So many bytes more are there."""
        self._done += count
        if self._done - self._said >= _TELL or self._done >= self._total:
            self._said = self._done
            self._emit(Progress(what=self._what, done=min(self._done, self._total), total=self._total))

    def reading(self, path: Path) -> BinaryIO:
        """A file, each of whose bytes counts once it is read."""
        return _Counted(path, self)


class _Counted(io.BufferedReader):
    """A file that tells what was read of it."""

    def __init__(self, path: Path, told: _Told) -> None:
        super().__init__(io.FileIO(path))
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._told.advance(len(data))
        return data
