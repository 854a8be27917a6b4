"""Images out of a registry: a reference settled to a config, its layers as blobs of the cache by diff_id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import BadArchive, DownloadFailed
from slimrun.fetch.crew import Crew
from slimrun.fetch.http import CHUNK, whole
from slimrun.oci.config import MAX_CONFIG, Config, read_config
from slimrun.oci.inflate import Checked, keep_layer
from slimrun.oci.manifest import ACCEPTED, MAX_MANIFEST, Descriptor, Index, Manifest, choose, read_manifest
from slimrun.oci.registry_client import Client
from slimrun.recipe.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.network import Network
    from slimrun.oci.auth import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An image as a registry has it, its layers not fetched yet.

    `digest` is what the reference led to (an index, where there is one) and `config_digest` the config's, both bare hex.
    """

    digest: str
    config_digest: str
    config: Config
    layers: tuple[Descriptor, ...]


class Registry:
    """Reads images; a push will want a Client of its own kind of requests and nothing of this.

    Every method raises ImageNotFound, RegistryUnreachable, DownloadFailed or BadArchive.
    """

    def __init__(self, network: Network, cache: Cache, emit: Emit, find_login: Callable[[str], Login | None]) -> None:
        self._network, self._cache, self._emit, self._find_login = network, cache, emit, find_login

    def settle(self, address: str, platform: str) -> Settled:
        """Which image `address` means on a platform; its config becomes a blob of the cache."""
        client = self._client(address)
        reference = parse_reference(address)
        manifest, found = self._manifest(client, reference.digest or reference.tag or "latest", address)
        if isinstance(manifest, Index):
            chosen = choose(manifest, platform, what=address)
            manifest, _ = self._manifest(client, f"sha256:{chosen.digest}", address)
        if isinstance(manifest, Index):
            msg = f"the index of {address} names an index for {platform}"
            raise BadArchive(msg)
        config = read_config(self._small(client, manifest.config, f"the config of {address}"), what=address)
        if len(config.diff_ids) != len(manifest.layers):
            msg = f"{address} has {len(manifest.layers)} layers, and a config for {len(config.diff_ids)}"
            raise BadArchive(msg)
        return Settled(digest=found, config_digest=manifest.config.digest, config=config, layers=manifest.layers)

    def fetch(self, address: str, settled: Settled) -> None:
        """All layers that the cache does not have, several at a time."""
        pairs = dict(zip(settled.config.diff_ids, settled.layers, strict=True))
        missing = {diff_id: layer for diff_id, layer in pairs.items() if not self._cache.has_blob(diff_id)}
        if not missing:
            return
        client = self._client(address)
        total = sum(layer.size for layer in missing.values())
        crew = Crew(self._network.parallel, what=f"pull {address}", total=total, emit=self._emit)
        crew.run([self._layer(client, diff_id, layer, address, crew) for diff_id, layer in missing.items()])

    def _client(self, address: str) -> Client:
        return Client(parse_reference(address), self._network, self._find_login)

    def _manifest(self, client: Client, name: str, what: str) -> tuple[Manifest | Index, str]:
        """The manifest of a tag or digest, and its digest (bare hex), which is checked where it is known."""

        def use(answer: requests.Response) -> tuple[Manifest | Index, str]:
            data = whole(answer, MAX_MANIFEST)
            digest = hashlib.sha256(data).hexdigest()
            said = name if name.startswith("sha256:") else answer.headers.get("Docker-Content-Digest", "")
            if said.startswith("sha256:") and said != f"sha256:{digest}":
                msg = f"the manifest of {what} has sha256 {digest}, expected {said}"
                raise DownloadFailed(msg, hint="run again; if it stays, a proxy or mirror changes answers")
            return read_manifest(data, what=what), digest

        return client.get(f"manifests/{name}", use, accept=", ".join(ACCEPTED))

    def _small(self, client: Client, blob: Descriptor, what: str) -> bytes:
        """A blob that is JSON, from the cache where it is there."""
        if blob.size > MAX_CONFIG:
            msg = f"{what} is {blob.size} bytes long, more than {MAX_CONFIG}"
            raise BadArchive(msg)

        def use(answer: requests.Response) -> None:
            source = Checked(answer.iter_content(CHUNK), blob, what=what)
            with self._cache.new_blob() as kept:
                while data := source.read(CHUNK):
                    kept.write(data)
                source.finish()

        if not self._cache.has_blob(blob.digest):
            client.get(f"blobs/sha256:{blob.digest}", use)
        return self._cache.blob_path(blob.digest).read_bytes()

    def _layer(self, client: Client, diff_id: str, layer: Descriptor, address: str, crew: Crew) -> Callable[[], None]:
        what = f"layer {layer.digest[:12]} of {address}"
        counted = 0

        def arriving(answer: requests.Response) -> Iterator[bytes]:
            nonlocal counted
            crew.advance(-counted)
            counted = 0
            for chunk in answer.iter_content(CHUNK):
                crew.check()
                counted += len(chunk)
                crew.advance(len(chunk))
                yield chunk

        def use(answer: requests.Response) -> None:
            keep_layer(Checked(arriving(answer), layer, what=what), diff_id, layer, self._cache, what=what)

        return lambda: client.get(f"blobs/sha256:{layer.digest}", use, opened=crew.holds, stop=crew.stop)
