"""A registry that fails, lies, breaks off or is not there: what helps is tried again, nothing wrong reaches the cache."""

from __future__ import annotations

import gzip
import socket
import time
from typing import TYPE_CHECKING

import pytest
import zstandard
from tests.fetch.loopback import Answer, Site
from tests.oci.registry_kit import Made, host, make, publish, registry, sha
from tests.treetext import tree

from slimrun.cache.writers import Blob
from slimrun.errors import BadArchive, DownloadFailed, ImageNotFound, RegistryUnreachable
from slimrun.oci import inflate

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache

AMD64 = "linux/amd64"
TREE = tree({"/a": bytes(range(256)) * 100})


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path / "made", TREE)


def pull(cache: Cache, address: str) -> None:
    pulling = registry(cache)
    pulling.fetch(address, pulling.settle(address, AMD64))


def layer_of(made: Made) -> str:
    return f"/v2/app/blobs/sha256:{made.layers[0]}"


def clean(cache: Cache, made: Made) -> bool:
    """Whether nothing half and nothing wrong was kept."""
    return not any(map(cache.has_blob, made.diff_ids)) and not any(cache.scratch().iterdir())


BUSY = Answer(status=429, headers=(("Retry-After", "0"),))


@pytest.mark.parametrize(
    "fault", [Answer(status=500), Answer(status=503), BUSY, "cut"], ids=["500", "503", "429", "cut"]
)
@pytest.mark.parametrize("where", ["manifests/1", "config", "layer"])
def test_a_fault_that_passes(site: Site, cache: Cache, made: Made, fault: Answer | str, where: str) -> None:
    address = publish(site, made)
    path = {
        "manifests/1": "/v2/app/manifests/1",
        "config": f"/v2/app/blobs/sha256:{made.config}",
        "layer": layer_of(made),
    }[where]
    (good,) = site.answers[path]
    wrong = Answer(body=good.body, headers=good.headers, cut=len(good.body) // 2) if isinstance(fault, str) else fault
    site.answers[path] = [wrong, wrong, good]
    pull(cache, address)
    assert cache.has_blob(made.diff_ids[0])
    assert site.asked.count(path) == 3


def test_retry_after_is_waited_for(site: Site, cache: Cache, made: Made) -> None:
    address = publish(site, made)
    site.answers[layer_of(made)].insert(0, Answer(status=429, headers=(("Retry-After", "1"),)))
    begun = time.monotonic()
    pull(cache, address)
    assert time.monotonic() - begun > 1


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (Answer(status=500), RegistryUnreachable, "answers 500 after 3 tries"),
        ("cut", DownloadFailed, "broke off after 3 tries"),
        ("changed", DownloadFailed, "has sha256 .*, expected"),
        ("longer", DownloadFailed, "is longer than the"),
        (Answer(status=404), ImageNotFound, "there is no image"),
    ],
    ids=["500", "cut", "changed", "longer", "404"],
)
def test_a_fault_that_stays(
    site: Site, cache: Cache, made: Made, fault: Answer | str, error: type[Exception], said: str
) -> None:
    address = publish(site, made)
    body = made.blobs[made.layers[0]]
    answers = {
        "cut": Answer(body=body, cut=100),
        "changed": Answer(body=body[:-20] + bytes(20)),
        "longer": Answer(body=body + b"x"),
    }
    site.serve(layer_of(made), answers[fault] if isinstance(fault, str) else fault)
    with pytest.raises(error, match=said) as caught:
        pull(cache, address)
    assert caught.value.hint  # type: ignore[attr-defined]
    assert clean(cache, made)


@pytest.mark.parametrize(
    "packed",
    [
        b"no tar at all",
        gzip.compress(b"x" * 5000, mtime=0)[:-30],
        b"\x1f\x8b" + bytes(50),
        zstandard.compress(bytes(range(256)) * 50)[:-10],
        b"\x28\xb5\x2f\xfd" + b"\xff" * 50,
        gzip.compress(b"x", mtime=0) + b"trailing",
        b"",
    ],
)
def test_a_layer_that_is_not_what_its_config_says(site: Site, cache: Cache, made: Made, packed: bytes) -> None:
    """The registry, and the manifest, are sure of it."""
    old, new = made.layers[0], sha(packed)
    size = len(made.blobs[old])
    made.manifest = made.manifest.replace(old.encode(), new.encode()).replace(
        f'"size": {size}'.encode(), f'"size": {len(packed)}'.encode()
    )
    made.blobs[new] = packed
    with pytest.raises(BadArchive, match=r"layer \w{12} of") as caught:
        pull(cache, publish(site, made))
    assert caught.value.exit_code == 2
    assert clean(cache, made)


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_bomb_stops_while_it_grows(
    site: Site, cache: Cache, tmp_path: Path, pack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path / "made", tree({"/zeros": bytes(20_000_000)}), pack=pack)
    monkeypatch.setattr(inflate, "_FREE", 1 << 20)
    written = 0

    def counted(self: Blob, data: bytes) -> int:
        nonlocal written
        written += len(data)
        return plain(self, data)

    plain = Blob.write
    monkeypatch.setattr("slimrun.cache.store.Blob.write", counted)
    with pytest.raises(BadArchive, match="grows to more than"):
        pull(cache, publish(site, made))
    assert written < 5_000_000
    assert clean(cache, made)


@pytest.mark.parametrize("name", ["tag", "digest"])
def test_a_manifest_that_is_not_what_it_was_asked_as(site: Site, cache: Cache, made: Made, name: str) -> None:
    address = publish(site, made)
    wrong = Answer(body=made.manifest + b" ", headers=(("Docker-Content-Digest", f"sha256:{sha(made.manifest)}"),))
    if name == "digest":
        address = f"{host(site)}/app@sha256:{sha(made.manifest)}"
        wrong = Answer(body=made.manifest + b" ")
    site.serve(f"/v2/app/manifests/{'1' if name == 'tag' else f'sha256:{sha(made.manifest)}'}", wrong)
    with pytest.raises(DownloadFailed, match=r"the manifest of .* has sha256"):
        registry(cache).settle(address, AMD64)


def test_an_unknown_image(site: Site, cache: Cache) -> None:
    with pytest.raises(ImageNotFound, match=r"there is no image 127.0.0.1:.*/no/such:tag") as caught:
        registry(cache).settle(f"{host(site)}/no/such:tag", AMD64)
    assert "mirrors.images" in caught.value.hint


def test_no_registry_at_all(cache: Cache) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(
        RegistryUnreachable, match=f"the registry 127.0.0.1:{port}: .*no connection after 3 tries"
    ) as caught:
        registry(cache).settle(f"127.0.0.1:{port}/app:1", AMD64)
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_a_registry_that_says_nothing(cache: Cache) -> None:
    """It takes the connection: asking whether it speaks TLS, and then asking again and again, would take minutes."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        pulling = registry(cache, read_timeout=0.5, patience=0.5)
        began = time.monotonic()
        with pytest.raises(RegistryUnreachable, match="takes the connection and does not answer") as caught:
            pulling.settle(f"127.0.0.1:{deaf.getsockname()[1]}/app:1", AMD64)
    assert time.monotonic() - began < 1.5
    assert caught.value.exit_code == 4
    assert "check the network" in caught.value.hint


def test_a_registry_that_falls_silent(site: Site, cache: Cache, made: Made) -> None:
    publish(site, made)
    site.serve("/v2/app/manifests/1", Answer(before=9.0))
    with pytest.raises(RegistryUnreachable, match="no answer in time"):
        registry(cache, read_timeout=0.5, patience=0.5).settle(f"{host(site)}/app:1", AMD64)
    assert site.asked.count("/v2/app/manifests/1") == 1


def test_a_giant_config_is_refused_before_it_is_fetched(site: Site, cache: Cache, made: Made) -> None:
    size = len(made.blobs[made.config])
    made.manifest = made.manifest.replace(f'"size": {size}'.encode(), b'"size": 999999999', 1)
    with pytest.raises(BadArchive, match=r"the config of .* is 999999999 bytes long"):
        registry(cache).settle(publish(site, made), AMD64)


def test_a_giant_manifest(site: Site, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slimrun.oci.registry.MAX_MANIFEST", 100)
    site.serve("/v2/app/manifests/1", bytes(101))
    with pytest.raises(DownloadFailed, match="longer than 100 bytes"):
        registry(cache).settle(f"{host(site)}/app:1", AMD64)
