"""docker-archive: what we write reads back, what engines of all ages write is read, what is none is BadArchive."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.treetext import tree

from slimrun.cache.store import Cache
from slimrun.errors import BadArchive
from slimrun.oci.archive import archive_chunks, read_archive
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


@pytest.fixture
def config(cache: Cache) -> Config:
    layers = [write_layer(tree({"/a": text}), cache, name="x", epoch=0) for text in (b"1", b"2")]
    one, two = (layer.diff_id for layer in layers)
    return Config(architecture="amd64", diff_ids=(one, two, one))


def test_round_trip(config: Config, cache: Cache, tmp_path: Path) -> None:
    data = b"".join(archive_chunks(config, ["a:1", "b:2"], cache))
    other = Cache(tmp_path / "other")
    assert read_archive(io.BytesIO(data), other, what="it") == config
    assert all(map(other.has_blob, config.diff_ids))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        one, two, _ = config.diff_ids
        assert archive.getnames() == [
            f"{one}/layer.tar",
            f"{two}/layer.tar",
            f"{config.digest()}.json",
            "manifest.json",
        ]
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        (entry,) = json.loads(manifest.read())
    assert entry["RepoTags"] == ["a:1", "b:2"]
    assert entry["Layers"] == [f"{diff_id}/layer.tar" for diff_id in config.diff_ids]


def test_the_bytes_depend_on_config_and_tags_alone(config: Config, cache: Cache, tmp_path: Path) -> None:
    data = b"".join(archive_chunks(config, ["a:1"], cache))
    other = Cache(tmp_path / "other")
    read_archive(io.BytesIO(data), other, what="it")
    assert b"".join(archive_chunks(config, ["a:1"], other)) == data
    assert b"".join(archive_chunks(config, ["a:2"], cache)) != data


LAYER = b"L" * 1024
DIFF_ID = hashlib.sha256(LAYER).hexdigest()
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [f"sha256:{DIFF_ID}"]}}).encode()


def packed(*rows: tuple[str, bytes | str]) -> bytes:
    """Files; a text instead of bytes is a link's target, `=` before it makes it a hard link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, data in rows:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = (tarfile.LNKTYPE if data[0] == "=" else tarfile.SYMTYPE), data.lstrip("=")
                out.addfile(info)
            else:
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def manifest(**changes: Any) -> bytes:
    return json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": ["l/layer.tar"], **changes}]).encode()


GOOD = {
    "engine 24": packed(
        ("l/layer.tar", LAYER), ("l/VERSION", b"1.0"), ("c.json", CONFIG), ("manifest.json", manifest())
    ),
    "the manifest first": packed(("manifest.json", manifest()), ("c.json", CONFIG), ("l/layer.tar", LAYER)),
    "engine 25, an OCI layout too": packed(
        ("oci-layout", b"{}"),
        (f"blobs/sha256/{DIFF_ID}", LAYER),
        ("blobs/sha256/c", CONFIG),
        ("manifest.json", manifest(Config="blobs/sha256/c", Layers=[f"blobs/sha256/{DIFF_ID}"])),
    ),
    "a layer that is a link": packed(
        ("m/layer.tar", LAYER), ("l/layer.tar", "../m/layer.tar"), ("c.json", CONFIG), ("manifest.json", manifest())
    ),
    "a layer that is a hard link": packed(
        ("m/layer.tar", LAYER), ("l/layer.tar", "=m/layer.tar"), ("c.json", CONFIG), ("manifest.json", manifest())
    ),
    "names with dots": packed(("./l/layer.tar", LAYER), ("./c.json", CONFIG), ("./manifest.json", manifest())),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_engines_write(name: str, cache: Cache) -> None:
    found = read_archive(io.BytesIO(GOOD[name]), cache, what="it")
    assert found.diff_ids == (DIFF_ID,)
    assert cache.blob_path(DIFF_ID).read_bytes() == LAYER


BAD = {
    "empty": b"",
    "text": b"no tar" * 200,
    "cut": GOOD["engine 24"][:1200],
    "cut behind the layer": GOOD["engine 24"][: 512 * 3],
    "no manifest": packed(("l/layer.tar", LAYER), ("c.json", CONFIG)),
    "no config": packed(("l/layer.tar", LAYER), ("manifest.json", manifest())),
    "no layer": packed(("c.json", CONFIG), ("manifest.json", manifest())),
    "another layer": packed(("l/layer.tar", LAYER + b"x"), ("c.json", CONFIG), ("manifest.json", manifest())),
    "fewer layers": packed(("c.json", CONFIG), ("manifest.json", manifest(Layers=[]))),
    "two images": packed(("c.json", CONFIG), ("manifest.json", json.dumps([{}, {}]).encode())),
    "a manifest of another shape": packed(("manifest.json", b'{"Config": 1}')),
    "a manifest that is a number": packed(("manifest.json", b"1")),
    "a manifest that is no JSON": packed(("manifest.json", b"\xff")),
    "a config's name that is none": packed(("manifest.json", manifest(Config=None))),
    "layers that are none": packed(("c.json", CONFIG), ("manifest.json", manifest(Layers=[1]))),
    "a config that is none": packed(("c.json", b"[]"), ("manifest.json", manifest())),
    "links in a circle": packed(
        ("l/layer.tar", "layer.tar"), ("c.json", CONFIG), ("manifest.json", manifest())
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str, cache: Cache) -> None:
    with pytest.raises(BadArchive, match="it "):
        read_archive(io.BytesIO(BAD[name]), cache, what="it")
