"""Manifests and indexes: which config and which layers an image has (OCI image-spec 1.1, Docker's manifest v2 schema 2)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from slimrun.errors import BadArchive, ImageNotFound

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST)
MAX_MANIFEST = 4 << 20
MAX_LAYERS = 1024

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
# What a machine runs, best first (containerd, `platforms`: compare.go).
_VARIANTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("arm64", ""): ("", "v8"),
    ("arm64", "v8"): ("v8", ""),
    ("arm", ""): ("v7", "v6", "v5", ""),
    ("arm", "v8"): ("v8", "v7", "v6", "v5", ""),
    ("arm", "v7"): ("v7", "v6", "v5", ""),
    ("arm", "v6"): ("v6", "v5", ""),
    ("amd64", ""): ("", "v1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A blob as a manifest names it: `digest` bare sha256 hex, `size` in bytes; `platform` only in an index."""

    digest: str
    size: int
    media_type: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One platform's image: its config, and its layers as they are stored (compressed), lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One image for several platforms."""

    manifests: tuple[Descriptor, ...]


def read_manifest(data: bytes, *, what: str) -> Manifest | Index:
    """A manifest or an index from its bytes; raises BadArchive."""
    try:
        value = json.loads(data)
        if value.get("schemaVersion") == 1:
            msg = f"{what} is in the format of before 2017 (manifest schema 1), which names no config"
            raise BadArchive(msg, hint="push the image again with any Docker since 1.10")
        if "manifests" in value:
            return Index(manifests=tuple(_descriptor(item) for item in value["manifests"] if not _attests(item)))
        layers = tuple(_descriptor(item) for item in value["layers"])
        config = _descriptor(value["config"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{what} has a manifest that cannot be read: {error}"
        raise BadArchive(msg) from error
    if len(layers) > MAX_LAYERS:
        msg = f"{what} has {len(layers)} layers, more than {MAX_LAYERS}"
        raise BadArchive(msg)
    return Manifest(config=config, layers=layers)


def choose(index: Index, platform: str, *, what: str) -> Descriptor:
    """The index's image for a platform (`linux/arm/v7`), its nearest variant; raises ImageNotFound, naming what there is."""
    os, architecture, variant = _split(platform)
    for wanted in _VARIANTS.get((architecture, variant), (variant,)):
        for item in index.manifests:
            if _split(item.platform) == (os, architecture, wanted):
                return item
    if len(index.manifests) == 1 and not index.manifests[0].platform:
        return index.manifests[0]
    there = ", ".join(sorted({item.platform for item in index.manifests if item.platform})) or "none that says so"
    msg = f"{what} has no image for {platform}"
    raise ImageNotFound(msg, hint=f"it is there for: {there}")


def _descriptor(item: dict[str, Any]) -> Descriptor:
    found = _DIGEST.fullmatch(item["digest"])
    size = item["size"]
    if found is None or not isinstance(size, int) or size < 0:
        msg = f"no sha256 digest and size: {item['digest']!r}, {size!r}"
        raise ValueError(msg)
    facts = item.get("platform") or {}
    platform = "/".join(filter(None, (facts.get("os"), facts.get("architecture"), facts.get("variant"))))
    return Descriptor(digest=found[1], size=size, media_type=item.get("mediaType") or "", platform=platform)


def _attests(item: dict[str, Any]) -> bool:
    """Build attestations stand in an index as images for `unknown/unknown`."""
    platform = item.get("platform") or {}
    return platform.get("os") == "unknown" or "vnd.docker.reference.type" in (item.get("annotations") or {})


def _split(platform: str) -> tuple[str, str, str]:
    os, architecture, variant = (*platform.split("/", 2), "", "")[:3]
    return os, architecture, variant
