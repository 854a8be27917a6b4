"""Images out of a registry that does what it should, over real HTTP on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fetch.loopback import Answer, Site
from tests.oci.registry_kit import PACK, host, index, make, publish, registry, sha
from tests.treetext import tree

from slimrun.errors import BadArchive, ImageNotFound
from slimrun.events import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.events import Event

AMD64 = "linux/amd64"
ONE = tree({"/a": b"one" * 1000, "/etc/passwd": b"root:x:0:0::/:/bin/sh\n"})
TWO = tree({"/b": b"two"})


@pytest.mark.parametrize("docker", [True, False])
@pytest.mark.parametrize("pack", PACK)
def test_every_layer_becomes_its_tar(site: Site, cache: Cache, tmp_path: Path, pack: str, docker: bool) -> None:
    made = make(tmp_path / "made", ONE, TWO, pack=pack, docker=docker, Env=["A=1"])
    address = publish(site, made)
    settled = registry(cache).settle(address, AMD64)
    assert (settled.config_digest, settled.digest, settled.config.env) == (
        made.config,
        sha(made.manifest),
        (("A", "1"),),
    )
    assert cache.blob_path(made.config).read_bytes() == made.blobs[made.config]
    assert not any(map(cache.has_blob, made.diff_ids)), "settling fetches no layer"
    registry(cache).fetch(address, settled)
    assert settled.config.diff_ids == made.diff_ids
    assert [sha(cache.blob_path(item).read_bytes()) for item in made.diff_ids] == list(made.diff_ids)
    assert not any(cache.scratch().iterdir())


def test_what_the_cache_has_is_not_asked_for(site: Site, cache: Cache, tmp_path: Path) -> None:
    made = make(tmp_path / "made", ONE, TWO)
    address = publish(site, made)
    for _ in range(2):
        registry(cache).fetch(address, registry(cache).settle(address, AMD64))
    asked = [path for path in site.asked if "/blobs/" in path]
    assert sorted(asked) == sorted(f"/v2/app/blobs/sha256:{digest}" for digest in made.blobs)


def test_a_layer_that_occurs_twice_is_fetched_once(site: Site, cache: Cache, tmp_path: Path) -> None:
    made = make(tmp_path / "made", ONE, TWO, ONE)
    address = publish(site, made)
    registry(cache).fetch(address, registry(cache).settle(address, AMD64))
    assert site.asked.count(f"/v2/app/blobs/sha256:{made.layers[0]}") == 1


def test_progress_runs_up_to_the_compressed_size(site: Site, cache: Cache, tmp_path: Path) -> None:
    made = make(tmp_path / "made", ONE, TWO)
    address = publish(site, made)
    events: list[Event] = []
    pulling = registry(cache, events=events)
    pulling.fetch(address, pulling.settle(address, AMD64))
    total = sum(len(made.blobs[digest]) for digest in made.layers)
    assert events[-1] == Progress(what=f"pull {address}", done=total, total=total)


@pytest.mark.parametrize("docker", [True, False])
def test_an_index_leads_to_the_platform(site: Site, cache: Cache, tmp_path: Path, docker: bool) -> None:
    images = {
        name: make(tmp_path / "made", tree({"/is": name.encode()}), platform=name) for name in (AMD64, "linux/arm/v7")
    }
    for made in images.values():
        publish(site, made)
    data, kind = index(images, docker=docker)
    site.serve("/v2/app/manifests/2", Answer(body=data, headers=(("Content-Type", kind),)))
    address = f"{host(site)}/app:2"
    for platform, made in images.items():
        settled = registry(cache).settle(address, platform)
        assert (settled.config_digest, settled.digest) == (made.config, sha(data)), (
            "the digest is what the tag leads to"
        )
    with pytest.raises(ImageNotFound, match="has no image for linux/s390x"):
        registry(cache).settle(address, "linux/s390x")


def test_an_index_in_an_index(site: Site, cache: Cache, tmp_path: Path) -> None:
    data, kind = index({AMD64: make(tmp_path / "made", ONE)})
    outer = make(tmp_path / "made", TWO)
    outer.manifest = data
    again, _ = index({AMD64: outer})
    site.serve("/v2/app/manifests/1", Answer(body=again, headers=(("Content-Type", kind),)))
    site.serve(f"/v2/app/manifests/sha256:{sha(data)}", Answer(body=data, headers=(("Content-Type", kind),)))
    with pytest.raises(BadArchive, match="names an index"):
        registry(cache).settle(f"{host(site)}/app:1", AMD64)


def test_by_digest(site: Site, cache: Cache, tmp_path: Path) -> None:
    made = make(tmp_path / "made", ONE)
    address = publish(site, made).rpartition(":")[0]
    assert registry(cache).settle(f"{address}@sha256:{sha(made.manifest)}", AMD64).config_digest == made.config


def test_what_is_accepted_is_said(site: Site, cache: Cache, tmp_path: Path) -> None:
    registry(cache).settle(publish(site, make(tmp_path / "made", ONE)), AMD64)
    accept = site.headers[site.asked.index("/v2/app/manifests/1")]["Accept"]
    assert [kind.rpartition(".")[2] for kind in accept.split(", ")] == ["v1+json", "v1+json", "v2+json", "v2+json"]


def test_a_config_for_other_layers(site: Site, cache: Cache, tmp_path: Path) -> None:
    made = make(tmp_path / "made", ONE, TWO)
    made.manifest = made.manifest.replace(b'"layers": [{', b'"layers": [], "gone": [{')
    with pytest.raises(BadArchive, match="has 0 layers, and a config for 2"):
        registry(cache).settle(publish(site, made), AMD64)
