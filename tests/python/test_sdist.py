"""Sources as trees: what an sdist holds, and what is refused before a byte of it reaches a builder."""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from sdistmaker import tar
from tests.treetext import content

from slimrun.errors import BadArchive
from slimrun.python import sdist
from slimrun.python.sdist import open_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.tree.tree import Tree

Member = tuple[str, bytes | None, dict[str, Any]]


def opened(data: bytes, cache: Cache, tmp_path: Path, name: str = "x-1.tar.gz") -> Tree:
    path = tmp_path / "file"
    path.write_bytes(data)
    return open_sdist(path, name, hashlib.sha256(data).hexdigest(), cache)


def test_the_one_folder_is_the_root(cache: Cache, tmp_path: Path) -> None:
    members: tuple[Member, ...] = (
        ("x-1", None, {"type": tarfile.DIRTYPE, "mode": 0o700, "uid": 1000}),
        ("x-1/setup.py", b"setup()", {"mode": 0o664, "uid": 1000, "gid": 1000}),
        ("x-1/run", b"#!/bin/sh", {"mode": 0o4775}),
        ("x-1/src/link", None, {"type": tarfile.SYMTYPE, "linkname": "../setup.py"}),
        ("x-1/src/same", None, {"type": tarfile.LNKTYPE, "linkname": "x-1/run"}),
    )
    tree = opened(tar(*members), cache, tmp_path)
    assert tree.dump() == {
        "/run": f"file 0755 {hashlib.sha256(b'#!/bin/sh').hexdigest()[:8]} inode /run",
        "/setup.py": f"file 0644 {hashlib.sha256(b'setup()').hexdigest()[:8]}",
        "/src/link": "symlink ../setup.py",
        "/src/same": f"file 0755 {hashlib.sha256(b'#!/bin/sh').hexdigest()[:8]} inode /run",
    }
    assert tree.read("/src/same") == b"#!/bin/sh"


def test_it_is_read_once(cache: Cache, tmp_path: Path) -> None:
    data = tar(("x-1/a", b"1", {}))
    first = opened(data, cache, tmp_path)
    (tmp_path / "file").unlink()
    again = open_sdist(tmp_path / "file", "x-1.tar.gz", hashlib.sha256(data).hexdigest(), cache)
    assert again == first
    assert content(again) == {"/a": "1"}


def test_zip(cache: Cache, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x-1/a.py", "a" * 1000)
        script = zipfile.ZipInfo("x-1/run.sh")
        script.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(script, "#!/bin/sh")
    tree = opened(buffer.getvalue(), cache, tmp_path, "x-1.zip")
    assert content(tree) == {"/a.py": "a" * 1000, "/run.sh": "#!/bin/sh"}
    assert tree["/run.sh"].mode == 0o755


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


LINK, DIR = tarfile.SYMTYPE, tarfile.DIRTYPE
HOSTILE: dict[str, tuple[bytes, str]] = {
    "leads upwards": (tar(("x-1/../../etc/passwd", b"", {})), "leads out of the archive"),
    "two folders": (tar(("x-1/a", b"", {}), ("y-1/a", b"", {})), "2 things at its top instead of one folder"),
    "absolute beside": (tar(("x-1/a", b"", {}), ("/etc/passwd", b"", {})), "2 things at its top"),
    "a file alone": (tar(("x-1", b"a", {})), "a single file"),
    "empty": (tar(), "0 things at its top"),
    "device": (tar(("x-1/null", None, {"type": tarfile.CHRTYPE})), "which is a char"),
    "fifo": (tar(("x-1/pipe", None, {"type": tarfile.FIFOTYPE})), "which is a fifo"),
    "link out": (tar(("x-1/out", None, {"type": LINK, "linkname": "../../etc"})), "a link out of its folder"),
    "link to the folder above": (tar(("x-1/out", None, {"type": LINK, "linkname": ".."})), "a link out of its folder"),
    "absolute link": (tar(("x-1/out", None, {"type": LINK, "linkname": "/etc"})), "a link out of its folder: /etc"),
    "below a link": (
        tar(("x-1/d", None, {"type": DIR}), ("x-1/l", None, {"type": LINK, "linkname": "d"}), ("x-1/l/a", b"", {})),
        "below /l, which is no folder",
    ),
    "below a file": (tar(("x-1/f", b"", {}), ("x-1/f/a", b"", {})), "below /f, which is no folder"),
    "hard link to nothing": (tar(("x-1/h", None, {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})), "hard link"),
    "not gzip": (b"hello", "cannot be unpacked"),
    "cut off": (tar(("x-1/a", b"1" * 5000, {}))[:-20], "ended before"),
    "damaged": (tar(("x-1/a", b"1" * 5000, {}))[:40] + b"\xff" * 20, "cannot be unpacked|can be read"),
    "no tar": (gzip.compress(b"hello" * 500, mtime=0), "not a tar"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_refused(what: str, cache: Cache, tmp_path: Path) -> None:
    data, says = HOSTILE[what]
    with pytest.raises(BadArchive, match=says) as caught:
        opened(data, cache, tmp_path)
    assert caught.value.hint
    assert list(cache.scratch().iterdir()) == []
    assert not (cache.root / "values" / "sdist").exists()


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (zipped("x-1/a", "y-1/b"), "x-1.zip", "2 things at its top"),
        (zipped("x-1/../a"), "x-1.zip", "leads outside"),
        (b"PK", "x-1.zip", "zip archive"),
        (tar(("x-1/a", b"", {})), "x-1.tar.xz", "neither .tar.gz nor .zip"),
        (tar(("x-1/a", b"", {})), "x-1.whl", "is not a source distribution"),
    ],
)
def test_refused_by_name_or_as_zip(data: bytes, name: str, says: str, cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match=says) as caught:
        opened(data, cache, tmp_path, name)
    assert caught.value.message.startswith(name)


def test_a_bomb_is_not_unpacked(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "FREE", 1 << 20)
    bomb = tar(("x-1/a", b"\0" * (8 << 20), {}))
    assert len(bomb) * sdist.RATIO < 8 << 20
    with pytest.raises(BadArchive, match="unpacks to more than any source has"):
        opened(bomb, cache, tmp_path)
    assert list(cache.scratch().iterdir()) == []
