"""Images out of files: `oci:FOLDER[:TAG]` and `docker-archive:FILE`, the same for every backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.backend.layers import cached_layers, known_layers
from slimrun.backend.local_image import LocalImage
from slimrun.errors import ImageNotFound
from slimrun.oci.archive import read_archive
from slimrun.oci.layout import open_layout, read_layout
from slimrun.plan.pins import ImagePin
from slimrun.recipe.reference import ARCHIVE, split_file

if TYPE_CHECKING:
    from slimrun.backend.base import Layered
    from slimrun.cache.store import Cache
    from slimrun.oci.config import Config


def settle_file(reference: str, cache: Cache, platform: str) -> ImagePin:
    """Read an image out of a file into the cache; raises ImageNotFound, BadArchive."""
    config = _read(reference, cache, platform)
    found = "/".join(filter(None, (config.os, config.architecture, config.variant)))
    return ImagePin(reference=reference, digest=f"sha256:{config.digest()}", platform=found)


def open_file(pin: ImagePin, cache: Cache) -> LocalImage:
    """The image of a pin that `settle_file` made; what the cache lost is read out of the file again."""
    key = pin.digest.removeprefix("sha256:")
    known = known_layers(key, cache)
    config = known.config if known is not None else _read(pin.reference, cache, pin.platform)
    if f"sha256:{config.digest()}" != pin.digest:
        msg = f"{pin.reference} is another image by now"
        raise ImageNotFound(msg, hint="run with --refresh to settle it anew")

    def read() -> Layered:
        return known or cached_layers(config, key, cache, what=pin.reference)

    return LocalImage(config, read)


def _read(reference: str, cache: Cache, platform: str) -> Config:
    kind, name, tag = split_file(reference)
    path = Path(name)
    if not path.exists():
        msg = f"there is no {path}"
        raise ImageNotFound(msg, hint="the path starts from the recipe's folder")
    if not path.is_file() and (kind == ARCHIVE or not path.is_dir()):
        msg = f"{path} is {'a folder' if path.is_dir() else 'a pipe, a socket or a device'}, not a file"
        hint = (
            "name a file that `docker save` wrote"
            if kind == ARCHIVE
            else "name an OCI layout: a folder, or a tar of it"
        )
        raise ImageNotFound(msg, hint=hint)
    if kind == ARCHIVE:
        try:
            with path.open("rb") as stream:
                return read_archive(stream, cache, what=reference)
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror}"
            raise ImageNotFound(msg, hint="name a file that `docker save` wrote") from error
    return read_layout(open_layout(path), cache, platform=platform, what=reference, tag=tag)
