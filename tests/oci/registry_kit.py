"""Images as a registry has them, and two registries to have them in: a Site told what to answer, and the real docker-registry."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests
import zstandard
from tests.fetch.loopback import Answer

from slimrun.cache.store import Cache
from slimrun.fetch.network import Network
from slimrun.oci.layer import write_layer
from slimrun.oci.manifest import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from slimrun.oci.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fetch.loopback import Site

    from slimrun.events import Event
    from slimrun.oci.auth import Login
    from slimrun.tree.tree import Tree

USER, PASSWORD = "slim", "s3cret"
_HTPASSWD = "slim:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"  # PASSWORD by bcrypt
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"

PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip of two members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "gzip with zeros behind it": lambda data: gzip.compress(data) + bytes(512),
    "zstd": lambda data: zstandard.compress(data),
    "zstd of two frames": lambda data: zstandard.compress(data[:700]) + zstandard.compress(data[700:]),
    "zstd:chunked": lambda data: SKIPPABLE + zstandard.compress(data) + SKIPPABLE,
}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Made:
    """An image for one platform: `manifest` and every blob by digest; `diff_ids` lowest first."""

    manifest: bytes
    media_type: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    config: str = ""
    layers: tuple[str, ...] = ()
    diff_ids: tuple[str, ...] = ()


def make(
    folder: Path, *trees: Tree, pack: str = "gzip", platform: str = "linux/amd64", docker: bool = False, **config: Any
) -> Made:
    """An image with one layer for each tree."""
    cache = Cache(folder)
    tars = [cache.blob_path(write_layer(one, cache, name="x", epoch=0).diff_id).read_bytes() for one in trees]
    packed = [PACK[pack](data) for data in tars]
    os, architecture, *variant = platform.split("/")
    facts = {"os": os, "architecture": architecture, "rootfs": {"diff_ids": [f"sha256:{sha(data)}" for data in tars]}}
    text = json.dumps(facts | ({"variant": variant[0]} if variant else {}) | {"config": config}).encode()
    kind = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {
            "digest": f"sha256:{sha(text)}",
            "size": len(text),
            "mediaType": "application/vnd.oci.image.config.v1+json",
        },
        "layers": [
            {"digest": f"sha256:{sha(data)}", "size": len(data), "mediaType": "application/vnd.oci.image.layer.v1.tar"}
            for data in packed
        ],
    }
    return Made(
        manifest=json.dumps(manifest).encode(),
        media_type=kind,
        blobs={sha(data): data for data in (text, *packed)},
        config=sha(text),
        layers=tuple(map(sha, packed)),
        diff_ids=tuple(map(sha, tars)),
    )


def index(images: dict[str, Made], *, docker: bool = False) -> tuple[bytes, str]:
    """An index of images by platform, and its media type."""
    kind = DOCKER_INDEX if docker else OCI_INDEX
    items = []
    for platform, made in images.items():
        os, architecture, *variant = platform.split("/")
        facts = {"os": os, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
        items.append(
            {
                "mediaType": made.media_type,
                "digest": f"sha256:{sha(made.manifest)}",
                "size": len(made.manifest),
                "platform": facts,
            }
        )
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": items}).encode(), kind


def host(site: Site) -> str:
    return site.url.removeprefix("http://")


def publish(site: Site, made: Made, name: str = "app", tag: str = "1") -> str:
    """Put an image into a Site; answers with its address."""
    for reference in (tag, f"sha256:{sha(made.manifest)}"):
        path = f"/v2/{name}/manifests/{reference}"
        site.serve(path, Answer(body=made.manifest, headers=(("Content-Type", made.media_type),)))
    for digest, data in made.blobs.items():
        site.serve(f"/v2/{name}/blobs/sha256:{digest}", data)
    return f"{host(site)}/{name}:{tag}"


def registry(cache: Cache, *, login: Login | None = None, events: list[Event] | None = None, **facts: Any) -> Registry:
    """A Registry that does not wait."""
    network = Network(**({"retries": 2, "backoff": 0.01, "connect_timeout": 2.0, "read_timeout": 5.0} | facts))
    return Registry(network, cache, [].append if events is None else events.append, lambda _: login)


def push(url: str, made: Made, name: str, tag: str) -> None:
    """Push an image, by the distribution spec."""
    for digest, data in made.blobs.items():
        place = requests.post(f"{url}/v2/{name}/blobs/uploads/", timeout=10).headers["Location"]
        done = requests.put(f"{place}{'&' if '?' in place else '?'}digest=sha256:{digest}", data=data, timeout=10)
        assert done.status_code == 201, done.text
    headers = {"Content-Type": made.media_type}
    done = requests.put(f"{url}/v2/{name}/manifests/{tag}", data=made.manifest, headers=headers, timeout=10)
    assert done.status_code == 201, done.text


@contextmanager
def real_registry(folder: Path, storage: Path, *, secure: bool = False) -> Iterator[str]:
    """docker-registry on a free port: plain, or with TLS and htpasswd; `folder`/ca.pem is then its certificate."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no docker-registry: `apt-get install docker-registry`, as .ci/services does")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    lines = ["version: 0.1", "log: {level: error}", f"storage: {{filesystem: {{rootdirectory: {storage}}}}}"]
    if secure:
        certificate, key, users = folder / "ca.pem", folder / "key.pem", folder / "htpasswd"
        words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        subprocess.run(
            ["openssl", *words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
        users.write_text(_HTPASSWD)
        lines += [f"http: {{addr: '127.0.0.1:{port}', tls: {{certificate: {certificate}, key: {key}}}}}"]
        lines += [f"auth: {{htpasswd: {{realm: slimrun, path: {users}}}}}"]
    else:
        lines += [f"http: {{addr: '127.0.0.1:{port}'}}"]
    config = folder / "registry.yml"
    config.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait()
