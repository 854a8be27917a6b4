"""OCI layouts: what we write reads back and has one form; skopeo and umoci read it; what is none is refused."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.oci.registry_kit import index, make, sha
from tests.treetext import tree

from slimrun.backend.base import Finished
from slimrun.cache.store import Cache
from slimrun.cli.save import save_image
from slimrun.errors import BadArchive, ImageNotFound, Invalid, RequirementNotMet
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer
from slimrun.oci.layout import join_index, layout_chunks, make_layout, open_layout, read_layout
from slimrun.plan.pins import ImagePin

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.tree.tree import Tree

AMD64 = "linux/amd64"
BASE = ImagePin(reference="busybox:glibc", digest="sha256:c", platform=AMD64, manifest=f"sha256:{'d' * 64}")


def finished(cache: Cache, *, tag: str = "team/app:1", text: bytes = b"1") -> Finished:
    """An image of two layers, the first one twice."""
    one, two = (
        write_layer(tree({"/a": data, "/dir": "dir 0700"}), cache, name="x", epoch=0).diff_id
        for data in (text, text * 2)
    )
    config = Config(architecture="amd64", created="1970-01-01T00:00:00Z", cmd=("/a",), diff_ids=(one, two, one))
    return Finished(config=config, tags=(tag,), size=3, base=BASE)


def packed(path: Path) -> dict[str, Any]:
    """The JSON of a layout: index and manifest."""
    layout = open_layout(path)
    top = json.loads(layout["/index.json"].read())
    digest = top["manifests"][0]["digest"].removeprefix("sha256:")
    return {"index": top, "manifest": json.loads(layout[f"/blobs/sha256/{digest}"].read())}


@pytest.mark.parametrize("name", ["out/", "app.oci.tar"])
def test_round_trip(cache: Cache, tmp_path: Path, name: str) -> None:
    image = finished(cache)
    use = save_image(f"{tmp_path}/{name}", image, cache)
    place = tmp_path / name.rstrip("/")
    source = f"oci-archive:{place}" if place.is_file() else f"oci:{place}:1"
    assert use == f"skopeo copy {source} docker-daemon:team/app:1"
    other = Cache(tmp_path / "other")
    assert read_layout(open_layout(place), other, platform=AMD64, what="it") == image.config
    assert all(sha(other.blob_path(item).read_bytes()) == item for item in image.config.diff_ids)


def test_a_file_and_a_folder_hold_the_same(cache: Cache, tmp_path: Path) -> None:
    image = finished(cache)
    for name in ("out/", "app.oci.tar"):
        save_image(f"{tmp_path}/{name}", image, cache)
    both = [
        {path: entry.digest for path, entry in open_layout(tmp_path / name).files()} for name in ("out", "app.oci.tar")
    ]
    assert both[0] == both[1]
    assert sorted(path for path in both[0] if "blobs" not in path) == ["/index.json", "/oci-layout"]


def test_the_base_stands_in_annotations_of_the_manifest_alone(cache: Cache, tmp_path: Path) -> None:
    save_image(f"{tmp_path}/out/", finished(cache), cache)
    found = packed(tmp_path / "out")
    assert found["manifest"]["annotations"] == {
        "org.opencontainers.image.base.digest": BASE.manifest,
        "org.opencontainers.image.base.name": "busybox:glibc",
    }
    assert found["index"]["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "1"
    assert found["index"]["manifests"][0]["platform"] == {"architecture": "amd64", "os": "linux"}


def test_equal_images_give_equal_bytes(tmp_path: Path) -> None:
    texts = []
    for name in "ab":
        cache = Cache(tmp_path / name)
        image = finished(cache)
        layout = make_layout(image.config, image.tags, cache, annotations=(("x", "y"),))
        texts.append(b"".join(layout_chunks(layout, cache)))
    assert texts[0] == texts[1]
    assert b"\x1f\x8b\x08\0\0\0\0\0" in texts[0], "gzip without name and time"


def test_layers_are_compressed_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    image = finished(cache)
    first = make_layout(image.config, image.tags, cache)
    monkeypatch.setattr("gzip.GzipFile", None)
    assert make_layout(image.config, image.tags, cache) == first


def test_a_folder_keeps_images_of_other_tags(cache: Cache, tmp_path: Path) -> None:
    one, two = finished(cache, tag="app:1"), finished(cache, tag="app:2", text=b"2")
    for image in (one, two, finished(cache, tag="app:1", text=b"3")):
        save_image(f"{tmp_path}/out/", image, cache)
    layout = open_layout(tmp_path / "out")
    assert read_layout(layout, cache, platform=AMD64, what="it", tag="2") == two.config
    assert read_layout(layout, cache, platform=AMD64, what="it", tag="1") != one.config
    assert len(json.loads(layout["/index.json"].read())["manifests"]) == 2
    with pytest.raises(ImageNotFound, match="no image with the tag 3"):
        read_layout(layout, cache, platform=AMD64, what="it", tag="3")


def test_a_folder_of_other_things_is_left_alone(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("x")
    with pytest.raises(Invalid, match="something else than an OCI layout"):
        save_image(f"{tmp_path}/out", finished(cache), cache)
    (tmp_path / "out/index.json").write_text("{")
    with pytest.raises(BadArchive, match=r"index.json that is there"):
        save_image(f"{tmp_path}/out", finished(cache), cache)
    assert (tmp_path / "out/index.json").read_text() == "{"


def test_an_empty_folder_becomes_a_layout(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    save_image(f"{tmp_path}/out", finished(cache), cache)
    assert packed(tmp_path / "out")


def test_a_file_that_is_there_is_not_written_again(cache: Cache, tmp_path: Path) -> None:
    place = tmp_path / "deep/er/app.tar"
    image = finished(cache)
    assert save_image(str(place), image, cache) == f"docker load -i {place}"
    before = place.stat()
    save_image(str(place), image, cache)
    assert place.stat() == before
    place.write_bytes(b"changed")
    save_image(str(place), image, cache)
    assert place.stat().st_size == before.st_size
    save_image(str(place), finished(cache, text=b"other"), cache)
    assert place.stat() != before, "another image is written over it"
    assert sorted(item.name for item in place.parent.iterdir()) == ["app.tar"]


def test_a_place_that_cannot_be_written(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("file/app.tar", "file/app.oci.tar", "file/out/"):
        with pytest.raises(RequirementNotMet, match="cannot write"):
            save_image(f"{tmp_path}/{name}", finished(cache), cache)


# What others write ---------------------------------------------------------------------------------------------------------


def layout_of(files: dict[str, bytes]) -> Tree:
    return tree({f"/{name}": data for name, data in files.items()})


def test_an_index_in_the_index_and_zstd_layers(cache: Cache, tmp_path: Path) -> None:
    made = make(tmp_path / "made", tree({"/a": b"a"}), pack="zstd")
    inner, kind = index({AMD64: made, "linux/arm64": make(tmp_path / "made", tree({"/b": b"b"}))})
    top = {"schemaVersion": 2, "manifests": [{"mediaType": kind, "digest": f"sha256:{sha(inner)}", "size": len(inner)}]}
    blobs = {sha(data): data for data in (inner, made.manifest, *made.blobs.values())}
    files = {f"blobs/sha256/{digest}": data for digest, data in blobs.items()} | {
        "index.json": json.dumps(top).encode()
    }
    assert read_layout(layout_of(files), cache, platform=AMD64, what="it").diff_ids == made.diff_ids
    assert cache.has_blob(made.diff_ids[0])
    with pytest.raises(ImageNotFound, match="no image for linux/s390x"):
        read_layout(layout_of(files), cache, platform="linux/s390x", what="it")
    for path, data in files.items():
        for wrong in ({path: data[:-1] + b"\0"}, {path: data[:-9]}, {}):
            given = {name: text for name, text in files.items() if name != path} | wrong
            with pytest.raises(BadArchive):
                read_layout(layout_of(given), Cache(tmp_path / "fresh"), platform=AMD64, what="it")


def test_join_index_refuses_what_is_none() -> None:
    for text in (b"", b"[]", b'{"manifests": 1}', b'{"manifests": [1]}'):
        with pytest.raises(BadArchive):
            join_index(text, b'{"manifests": []}')


# What others read ----------------------------------------------------------------------------------------------------------


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: apt-get install {name}")
    return found


def said(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_skopeo_accepts_all_three_forms(cache: Cache, tmp_path: Path) -> None:
    skopeo, image = tool("skopeo"), finished(cache)
    forms = {
        f"oci:{tmp_path}/out:1": "out/",
        f"oci-archive:{tmp_path}/a.oci.tar": "a.oci.tar",
        f"docker-archive:{tmp_path}/a.tar": "a.tar",
    }
    for source, name in forms.items():
        save_image(f"{tmp_path}/{name}", image, cache)
        assert json.loads(said(skopeo, "inspect", "--config", source))["rootfs"]["diff_ids"] == [
            f"sha256:{item}" for item in image.config.diff_ids
        ]
        target = tmp_path / f"copied-{sha(name.encode())[:8]}"
        said(skopeo, "--insecure-policy", "copy", source, f"docker-archive:{target}:app:1")
        with tarfile.open(target) as archive:
            (entry,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        assert entry["Config"] == f"{image.config.digest()}.json", "one config, whatever the way"


def test_what_skopeo_writes_is_read(cache: Cache, tmp_path: Path) -> None:
    skopeo, image = tool("skopeo"), finished(cache)
    save_image(f"{tmp_path}/a.tar", image, cache)
    for target, place in ((f"oci:{tmp_path}/their:x", "their"), (f"oci-archive:{tmp_path}/their.tar:x", "their.tar")):
        said(skopeo, "--insecure-policy", "copy", f"docker-archive:{tmp_path}/a.tar", target)
        config = read_layout(
            open_layout(tmp_path / place), Cache(tmp_path / f"c-{place}"), platform=AMD64, what="it", tag="x"
        )
        assert config.diff_ids == image.config.diff_ids


def test_umoci_unpacks_it(cache: Cache, tmp_path: Path) -> None:
    umoci = tool("umoci")
    save_image(f"{tmp_path}/out/", finished(cache), cache)
    assert said(umoci, "ls", "--layout", tmp_path / "out") == "1\n"
    said(umoci, "unpack", "--rootless", "--image", f"{tmp_path}/out:1", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/a").read_bytes() == b"1"
