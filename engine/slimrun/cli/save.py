"""A finished image as a file or folder, written only where it is not there yet, complete or not at all."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slimrun.cli.files import check_target, write_file
from slimrun.errors import BadCommandLine, Invalid
from slimrun.recipe.words import near_miss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.backend.base import Finished
    from slimrun.cache.store import Cache
    from slimrun.oci.layout import Layout

DEFAULT = "build/{name}-{arch}.tar"


_PLACEHOLDER = re.compile(r"\{[^{}/]*\}")
_KNOWN = ("{name}", "{arch}")


def check_save(pattern: str, names: Sequence[str]) -> None:
    """Raise BadCommandLine for a pattern that cannot be the place of each of these images, before any work is done."""
    for found in _PLACEHOLDER.findall(pattern):
        if found not in _KNOWN:
            close = near_miss(found[1:-1], [known[1:-1] for known in _KNOWN])
            hint = f"did you mean {{{close}}}?" if close else f"{' and '.join(_KNOWN)} are filled in"
            msg = f"--save {pattern}: nothing is known to fill in for {found}"
            raise BadCommandLine(msg, hint=hint)
    if len(names) > 1 and "{name}" not in pattern:
        msg = f"--save {pattern} names one file for {len(names)} images"
        raise BadCommandLine(msg, hint="write {name} in it: --save 'build/{name}.tar'")
    for name in names:
        place = pattern.replace("{name}", name)
        if not is_folder(place) and "{arch}" not in str(Path(place).parent):
            check_target(Path(place), "--save")


def target(pattern: str, name: str, image: Finished) -> str:
    """The place that a pattern with `{name}` and `{arch}` means for an image."""
    arch = "-".join(filter(None, (image.config.architecture, image.config.variant)))
    return pattern.replace("{name}", name).replace("{arch}", arch)


def is_folder(place: str) -> bool:
    """Whether a place is to be an OCI layout's folder: it ends in a slash, or is a folder."""
    return place.endswith("/") or Path(place).is_dir()


def save_image(place: str, image: Finished, cache: Cache) -> str:
    """Write the image, as its place says: an OCI layout for a folder or `*.oci.tar`, else a docker-archive.

    Answers with the command that uses it.
    """
    path = Path(place)
    tag = image.tags[0]
    if is_folder(place):
        _write_folder(path, _layout(image, cache), cache)
        return f"skopeo copy oci:{path}:{tag.rpartition(':')[2]} docker-daemon:{tag}"
    if not _is_there(path, image, cache):
        write_file(path, _chunks(path, image, cache), "--save")
        cache.save("saved", _key(path), _facts(path, image))
    return f"skopeo copy oci-archive:{path} docker-daemon:{tag}" if _is_oci(path) else f"docker load -i {path}"


def _is_oci(path: Path) -> bool:
    return path.name.endswith(".oci.tar")


def _chunks(path: Path, image: Finished, cache: Cache) -> Iterator[bytes]:
    if _is_oci(path):
        from slimrun.oci.layout import layout_chunks

        return layout_chunks(_layout(image, cache), cache)
    from slimrun.oci.archive import archive_chunks

    return archive_chunks(image.config, image.tags, cache)


def _layout(image: Finished, cache: Cache) -> Layout:
    from slimrun.oci.layout import base_annotations, make_layout

    return make_layout(image.config, image.tags, cache, annotations=base_annotations(image.base))


def _write_folder(path: Path, layout: Layout, cache: Cache) -> None:
    """Blobs first and the index last, each renamed into its place; images of other tags that are in the layout stay."""
    from slimrun.oci.layout import INDEX, chunks, join_index

    blobs, index = path / "blobs" / "sha256", path / INDEX
    if path.is_dir() and not index.is_file() and any(path.iterdir()):
        msg = f"{path} is a folder that holds something else than an OCI layout"
        raise Invalid(msg, hint="name an empty folder, a new one with a slash at its end, or a file *.tar or *.oci.tar")
    for layer in layout.layers:
        if not (blobs / layer.digest).is_file():
            with cache.blob_path(layer.digest).open("rb") as source:
                write_file(blobs / layer.digest, chunks(source), "--save")
    for name, data in layout.files:
        write_file(
            path / name,
            (join_index(index.read_bytes(), data) if name == INDEX and index.is_file() else data,),
            "--save",
        )


def _is_there(path: Path, image: Finished, cache: Cache) -> bool:
    """Whether the file is the one that was written last time, by its size and time."""
    return path.is_file() and cache.load("saved", _key(path)) == _facts(path, image)


def _facts(path: Path, image: Finished) -> dict[str, Any]:
    facts = path.stat()
    return {
        "digest": image.config.digest(),
        "tags": list(image.tags),
        "base": image.base.manifest if image.base else "",
        "size": facts.st_size,
        "time": facts.st_mtime_ns,
    }


def _key(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()
