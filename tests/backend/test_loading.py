"""Layers that an engine has are left out of what it is sent; the engine itself is in tests/docker/test_loading.py."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

from slimrun.backend.loading import chain_ids
from slimrun.cache.store import Cache
from slimrun.oci.archive import archive_chunks
from slimrun.oci.config import Config

if TYPE_CHECKING:
    from pathlib import Path


def test_chain_ids_are_those_of_the_format() -> None:
    one, two, three = (hashlib.sha256(bytes([number])).hexdigest() for number in range(3))
    second = hashlib.sha256(f"sha256:{one} sha256:{two}".encode()).hexdigest()
    third = hashlib.sha256(f"sha256:{second} sha256:{three}".encode()).hexdigest()
    assert chain_ids([]) == []
    assert chain_ids([one]) == [one]
    assert chain_ids([one, two, three]) == [one, second, third]
    assert chain_ids([two, one, three])[2] != third, "a layer is another on another base"


def test_an_archive_names_layers_that_it_leaves_out(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layers = []
    for text in (b"one", b"two"):
        with cache.new_blob() as blob:
            blob.write(text)
        layers.append(blob.digest)
    config = Config(architecture="amd64", diff_ids=(*layers, layers[0]))

    def names(without: tuple[str, ...]) -> list[str]:
        data = b"".join(archive_chunks(config, ["x:1"], cache, without=without))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert archive.extractfile("manifest.json").read().count(b"layer.tar") == 3  # type: ignore[union-attr]
            return archive.getnames()

    rest = [f"{config.digest()}.json", "manifest.json"]
    assert names(()) == [*(f"{layer}/layer.tar" for layer in layers), *rest]
    assert names((layers[0],)) == [f"{layers[1]}/layer.tar", *rest]
    cache.blob_path(layers[1]).unlink()
    assert names(tuple(layers)) == rest, "nobody needs the bytes of what is left out"
