"""Images in files: an archive and a layout of the same image are the same image."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from slimrun.backend.files import open_file, settle_file
from slimrun.cache.store import Cache
from slimrun.errors import ImageFailed, ImageNotFound
from slimrun.oci.archive import archive_chunks
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer
from slimrun.oci.layout import layout_chunks, make_layout
from slimrun.recipe.reference import from_folder, split_file
from slimrun.tree.entry import file, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


def test_images_in_files_are_one_image_whatever_holds_them(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "made")
    tree = Tree({"/usr/lib/libz.so.1": file(b"z"), "/lib": link("usr/lib")})
    layer = write_layer(tree, cache, name="x", epoch=0)
    config = Config(architecture="amd64", diff_ids=(layer.diff_id,), env=(("A", "b"),))
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"".join(archive_chunks(config, ("x:1",), cache)))
    folder = tmp_path / "layout.oci.tar"
    folder.write_bytes(b"".join(layout_chunks(make_layout(config, ("x:1",), cache), cache)))
    for reference in (f"docker-archive:{archive}", f"oci:{folder}"):
        fresh = Cache(tmp_path / reference.partition(":")[0])
        pin = settle_file(reference, fresh, "linux/amd64")
        assert pin.digest == f"sha256:{config.digest()}"
        image = open_file(pin, fresh)
        assert image.env == (("A", "b"),)
        assert image.layered().tree.dump() == tree.dump()
    archive.unlink()
    with pytest.raises(ImageNotFound, match="there is no"):
        settle_file(f"docker-archive:{archive}", cache, "linux/amd64")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("oci:out", ("oci:", "out", "")),
        ("oci:out:latest", ("oci:", "out", "latest")),
        ("oci:/a/b:c/d", ("oci:", "/a/b:c/d", "")),
        ("docker-archive:/a:b.tar", ("docker-archive:", "/a:b.tar", "")),
    ],
)
def test_parts(text: str, parts: tuple[str, str, str]) -> None:
    assert split_file(text) == parts


def test_a_relative_path_starts_from_the_recipe(tmp_path: Path) -> None:
    assert from_folder("oci:out:1", tmp_path) == f"oci:{tmp_path}/out:1"
    assert from_folder("python:3.11", tmp_path) == "python:3.11"


@pytest.mark.parametrize("kind", ["docker-archive", "oci"])
def test_what_is_no_image(kind: str, tmp_path: Path) -> None:
    """A pipe would be waited for, a device has no end; of a folder or an archive that holds another thing, that is said."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("readme"))
    says = {
        "pipe": "is a pipe, a socket or a device, not a file",
        "folder": "is a folder, not a file" if kind == "docker-archive" else "is no OCI layout: it has no index.json",
        "other.tar": "is no docker-archive: it has no manifest.json"
        if kind == "docker-archive"
        else "it has no index.json",
        "none": "there is no",
    }
    for name, text in says.items():
        with pytest.raises(ImageFailed, match=text) as caught:
            settle_file(f"{kind}:{tmp_path}/{name}", Cache(tmp_path / "cache"), "linux/amd64")
        assert caught.value.hint
    with pytest.raises(ImageFailed, match="device, not a file"):
        settle_file(f"{kind}:/dev/zero", Cache(tmp_path / "cache"), "linux/amd64")
