"""Stored layers → their tars: what a layer may be packed in, and where inflating one ends (ELF.md 6.2)."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING

import pytest
import zstandard

from slimrun.cache.store import Cache
from slimrun.errors import BadArchive, DownloadFailed, SlimrunError
from slimrun.oci.inflate import Checked, CutShort, keep_layer
from slimrun.oci.manifest import Descriptor

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"some of a layer's bytes" * 5000


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def kept(
    cache: Cache, packed: bytes, *, said: bytes | None = None, size: int | None = None, data: bytes = DATA
) -> bytes:
    """What ends up in the cache of a blob that its manifest describes as `said`, and its config as `data`."""
    said = packed if said is None else said
    stored = Descriptor(media_type="x", digest=sha(said), size=len(said) if size is None else size)
    pieces = (packed[at : at + 999] for at in range(0, len(packed), 999))
    keep_layer(Checked(pieces, stored, what="the layer"), sha(data), stored, cache, what="the layer")
    return cache.blob_path(sha(data)).read_bytes()


def window(log: int) -> bytes:
    """A zstd frame that asks its reader for 2^log bytes of memory."""
    # The size must not be in the frame: it would make the window as small as that. Byte 5 is the window's (RFC 8878, 3.1.1.1.2).
    parameters = zstandard.ZstdCompressionParameters(window_log=20, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = packer.compress(DATA) + packer.flush()
    assert frame[5] == (20 - 10) << 3
    return frame[:5] + bytes([(log - 10) << 3]) + frame[6:]


HALF = len(DATA) // 2
GOOD = {
    "plain": DATA,
    "gzip": gzip.compress(DATA),
    "gzip members one after another": gzip.compress(DATA[:HALF]) + gzip.compress(DATA[HALF:]),
    "an empty gzip member between": gzip.compress(DATA[:HALF]) + gzip.compress(b"") + gzip.compress(DATA[HALF:]),
    "zstd": zstandard.compress(DATA),
    "zstd frames one after another": zstandard.compress(DATA[:HALF]) + zstandard.compress(DATA[HALF:]),
    "zstd behind what is to be skipped": b"\x5a\x2a\x4d\x18\4\0\0\0skip" + zstandard.compress(DATA),
    "zstd with the window of its level 19": window(23),
    "zstd with the largest window": window(25),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_is_inflated(name: str, cache: Cache) -> None:
    assert kept(cache, GOOD[name]) == DATA


BAD: dict[str, tuple[bytes, type[SlimrunError]]] = {
    "bytes behind gzip": (gzip.compress(DATA) + b"trailing", BadArchive),
    "gzip cut off": (gzip.compress(DATA)[:-9], BadArchive),
    "a wrong checksum of gzip": (gzip.compress(DATA)[:-8] + bytes(8), BadArchive),
    "bytes behind zstd": (zstandard.compress(DATA) + b"trailing", BadArchive),
    "zstd that asks for 64 MiB": (window(26), BadArchive),
    "zstd that asks for 1 GiB": (window(30), BadArchive),
    "another content than the config says": (gzip.compress(DATA + b"x"), BadArchive),
    "less than the config says": (gzip.compress(DATA[:-1]), BadArchive),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str, cache: Cache) -> None:
    packed, error = BAD[name]
    with pytest.raises(error, match="the layer"):
        kept(cache, packed)
    assert not cache.blob_path(sha(DATA)).exists()


@pytest.mark.parametrize(
    ("given", "size", "says"),
    [
        (gzip.compress(DATA + b"!"), None, "is longer than|has sha256"),
        (GOOD["gzip"], 20, "is longer than the 20 bytes"),
    ],
)
def test_the_digest_and_the_size_of_what_is_stored(given: bytes, size: int | None, says: str, cache: Cache) -> None:
    """Of the compressed bytes, before anything that they make is used: even where what they make is right."""
    with pytest.raises(DownloadFailed, match=says):
        kept(cache, given, said=GOOD["gzip"], size=size, data=DATA + b"!" if size is None else DATA)
    assert not cache.blob_path(sha(DATA)).exists()
    assert not cache.blob_path(sha(DATA + b"!")).exists()


def test_a_blob_that_breaks_off_may_be_asked_for_again(cache: Cache) -> None:
    with pytest.raises(CutShort):
        kept(cache, GOOD["gzip"][:-100], said=GOOD["gzip"])
    assert not cache.blob_path(sha(DATA)).exists()
