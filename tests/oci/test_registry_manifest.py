"""Manifests and indexes as literals: what is read, what is chosen, what is refused."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from slimrun.errors import BadArchive, ImageNotFound
from slimrun.oci.manifest import Descriptor, Index, Manifest, choose, read_manifest

A, B = "a" * 64, "b" * 64


def blob(digest: str = A, size: object = 1, **more: object) -> dict[str, object]:
    return {"digest": f"sha256:{digest}", "size": size, **more}


def test_a_manifest() -> None:
    found = read_manifest(
        json.dumps({"schemaVersion": 2, "config": blob(A), "layers": [blob(B, 7)]}).encode(), what="it"
    )
    assert found == Manifest(config=Descriptor(digest=A, size=1), layers=(Descriptor(digest=B, size=7),))


def test_an_index_without_its_attestations() -> None:
    items = [
        blob(A, platform={"os": "linux", "architecture": "arm", "variant": "v7"}),
        blob(B, platform={"os": "unknown", "architecture": "unknown"}),
        blob(B, annotations={"vnd.docker.reference.type": "attestation-manifest"}),
    ]
    found = read_manifest(json.dumps({"manifests": items}).encode(), what="it")
    assert found == Index(manifests=(Descriptor(digest=A, size=1, platform="linux/arm/v7"),))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "cannot be read"),
        ("{", "cannot be read"),
        ({}, "cannot be read"),
        ({"schemaVersion": 1, "fsLayers": []}, "schema 1"),
        ({"config": blob(), "layers": [blob("g" * 64)]}, "no sha256 digest"),
        ({"config": blob(), "layers": [blob(size="1")]}, "no sha256 digest"),
        ({"config": blob(), "layers": [blob(size=-1)]}, "no sha256 digest"),
        ({"config": {"digest": "sha512:" + A, "size": 1}, "layers": []}, "no sha256 digest"),
        ({"config": blob(), "layers": [blob()] * 1025}, "1025 layers"),
        ({"manifests": [{"platform": {}}]}, "cannot be read"),
        ({"manifests": 7}, "cannot be read"),
    ],
)
def test_what_is_no_manifest(value: Any, said: str) -> None:
    data = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(BadArchive, match=said) as caught:
        read_manifest(data.encode(), what="it")
    assert caught.value.message.startswith("it ")


@pytest.mark.parametrize(
    ("platform", "there", "chosen"),
    [
        ("linux/amd64", "linux/amd64 linux/arm64 windows/amd64", "linux/amd64"),
        ("linux/amd64", "linux/amd64/v3 linux/amd64", "linux/amd64"),
        ("linux/amd64", "linux/amd64/v1 linux/amd64/v4", "linux/amd64/v1"),
        ("linux/arm64", "linux/arm64/v8 linux/arm/v7", "linux/arm64/v8"),
        ("linux/arm64/v8", "linux/arm64 linux/arm/v7", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v5 linux/arm/v6 linux/arm64", "linux/arm/v6"),
        ("linux/arm/v6", "linux/arm/v7 linux/arm/v5", "linux/arm/v5"),
        ("linux/arm", "linux/arm/v6 linux/arm/v7", "linux/arm/v7"),
        ("linux/riscv64", "linux/riscv64 linux/amd64", "linux/riscv64"),
    ],
)
def test_the_nearest_variant_whatever_the_order(platform: str, there: str, chosen: str) -> None:
    for order in permutations(there.split()):
        items = tuple(Descriptor(digest=A, size=1, platform=name) for name in order)
        assert choose(Index(manifests=items), platform, what="it").platform == chosen


def test_no_image_for_the_platform_names_those_that_are() -> None:
    items = tuple(
        Descriptor(digest=A, size=1, platform=name) for name in ("linux/s390x", "linux/arm/v7", "linux/amd64/v3")
    )
    with pytest.raises(ImageNotFound, match="it has no image for linux/amd64") as caught:
        choose(Index(manifests=items), "linux/amd64", what="it")
    assert caught.value.hint == "it is there for: linux/amd64/v3, linux/arm/v7, linux/s390x"


def test_an_index_of_one_that_does_not_say_for_what() -> None:
    (item,) = items = (Descriptor(digest=A, size=1),)
    assert choose(Index(manifests=items), "linux/amd64", what="it") is item
