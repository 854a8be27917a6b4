"""What a run settles once: which image, which wheel, by digest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ImagePin:
    """An image reference as the recipe has it, settled to one platform's image.

    `digest` is the digest of the image's config (`sha256:<hex>`), which names the same bytes on every engine and registry
    (an engine with the containerd store knows the manifest's instead). `manifest` is the digest that a registry has it
    under, "" for an image that was never in one.
    """

    reference: str
    digest: str
    platform: str
    manifest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CommitPin:
    """A ref of a git repository, settled: `repo` is the canonical address (never a mirror's) or an absolute path."""

    repo: str
    ref: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SourcePin:
    """Sources that a wheel is built of, settled: an sdist of an index, or a folder of the person's own.

    Fields are as a wheel's. Of a folder `name` and `version` are empty, `filename` is what the recipe calls it, `url` its path,
    and `sha256` the digest of its tree.
    """

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class WheelPin:
    """One wheel, settled: `url` is the canonical address (never a mirror's), or the path of a local wheel file.

    `name` is normalised (PEP 503), `sha256` bare hex, `size` in bytes (0 where the index does not say). A wheel that was built
    has its `source`, and as `url` the source's.
    """

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int = 0
    source: SourcePin | None = None
