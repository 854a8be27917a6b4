"""A `.deb` as a value, and what nobody must be able to do with one."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from debmaker import Made, make_ar, make_deb, make_tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimrun.debian.deb import open_deb
from slimrun.debian.pins import DebPin
from slimrun.errors import BadArchive, ImageFailed

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.debian.deb import Deb

FILES = {"/usr": None, "/usr/bin/a": b"#!/bin/sh\n", "/usr/share/doc/a/copyright": b"MIT\n", "/usr/bin/b": "a"}


def put(data: bytes, cache: Cache, name: str = "a", version: str = "1.0") -> Deb:
    with cache.new_blob() as blob:
        blob.write(data)
    pin = DebPin(
        name=name,
        version=version,
        architecture="all",
        url="x",
        sha256=blob.digest,
        size=len(data),
        named=True,
        suite="x",
    )
    return open_deb(pin, cache)


def parts(made: Made) -> dict[str, bytes]:
    """The members of an archive that the maker made."""
    found, at = {}, 8
    while at < len(made.data):
        size = int(made.data[at + 48 : at + 58])
        found[made.data[at : at + 16].decode().strip()] = made.data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    return found


@pytest.mark.parametrize("compress", ["xz", "zst", "none"])
def test_open(compress: str, cache: Cache) -> None:
    made = make_deb("a", files=FILES, compress=compress, Depends="libc6")
    deb = put(made.data, cache)
    assert deb.tree.dump() == {
        "/usr": "dir 0755",
        "/usr/bin/a": f"file 0755 {hashlib.sha256(FILES['/usr/bin/a']).hexdigest()[:8]}",
        "/usr/bin/b": "symlink a",
        "/usr/share/doc/a/copyright": f"file 0644 {hashlib.sha256(b'MIT' + bytes([10])).hexdigest()[:8]}",
    }
    assert deb.tree.read("/usr/bin/a") == b"#!/bin/sh\n"
    assert (deb.name, deb.version, deb.field("Depends"), deb.field("Breaks")) == ("a", "1.0", "libc6", "")
    assert deb.control.decode() == made.control


def test_decompressed_once(cache: Cache) -> None:
    """The second time everything comes from the cache; a blob that has gone is made again."""
    made = make_deb("a", files=FILES)
    first = put(made.data, cache)
    cache.blob_path(hashlib.sha256(made.data).hexdigest()).write_bytes(b"gone")
    assert open_again(made, cache) == first
    file = first.tree["/usr/bin/a"].content.file  # type: ignore[union-attr]
    type(cache.root)(file).unlink()
    assert put(made.data, cache) == first


def open_again(made: Made, cache: Cache) -> Deb:
    sha = hashlib.sha256(made.data).hexdigest()
    return open_deb(
        DebPin(name="a", version="1.0", architecture="all", url="x", sha256=sha, size=1, named=True, suite="x"), cache
    )


GOOD = make_deb("a", files=FILES)
PARTS = parts(GOOD)


def with_tar(**changes: object) -> bytes:
    """A data.tar whose one member has these attributes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("./usr/bin/a")
        for name, value in changes.items():
            setattr(info, name, value)
        archive.addfile(info)
    return made.getvalue()


def changed(**members: bytes) -> bytes:
    return make_ar({name: members.get(name.partition(".")[0].replace("-", "_"), data) for name, data in PARTS.items()})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an ar archive"),
        (b"PK\3\4", "not an ar archive"),
        (GOOD.data[:-40], "ends inside data.tar.xz"),
        (GOOD.data[:80], "damaged member"),
        (GOOD.data.replace(b"`\n", b"``", 1), "damaged member"),
        (GOOD.data.replace(b"4         `", b"-4        `", 1), "damaged member"),
        (GOOD.data.replace(b"4         `", b"9999999999`", 1), "ends inside debian-binary"),
        (make_ar({"../../x": b"", **PARTS}), "member '../../x', which no package has"),
        (make_ar({"/etc/passwd": b"", **PARTS}), "which no package has"),
        (GOOD.data + GOOD.data[8:], "which no package has"),
        (make_ar({name: PARTS[name] for name in reversed(PARTS)}), "not a Debian package"),
        (make_ar({"debian-binary": b"2.0\n"}), "not a Debian package"),
        (make_ar({}), "it has nothing"),
        (changed(debian_binary=b"3.0\n"), "format that is not 2.0"),
        (changed(data=b"\xfd7zXZ\0 no"), "data.tar.xz of a 1.0 cannot be decompressed"),
        (changed(data=PARTS["data.tar.xz"][:-10]), "cannot be decompressed"),
        (changed(control=PARTS["control.tar.xz"][:40]), "cannot be decompressed"),
        (changed(data=lzma.compress(b"no tar" * 200)), "not a tar"),
        (changed(control=lzma.compress(make_tar({"/control": b"Package: a\n"}))), "lacks its name or version"),
        (changed(control=lzma.compress(make_tar({}))), "lacks its name or version"),
        (changed(data=lzma.compress(make_tar({"../../etc/cron.d/x": b""}))), "leads out of the archive"),
        (changed(data=lzma.compress(with_tar(type=tarfile.LNKTYPE, linkname="../../etc/shadow"))), "leads out"),
        (changed(data=lzma.compress(with_tar(type=tarfile.LNKTYPE, linkname="etc/shadow"))), "not a file before it"),
        (changed(data=lzma.compress(with_tar(type=b"Z"))), "unknown type"),
        (make_deb("b").data, "calls itself b 1.0"),
        (make_deb("a", "2").data, "calls itself a 2"),
        (make_deb("a", files=FILES, md5sums=f"{'0' * 32}  usr/bin/a\n").data, "not those of its md5sums: /usr/bin/a"),
        (make_deb("a", files=FILES, md5sums=f"{'0' * 32}  usr/bin/zz\n").data, "not those of its md5sums: /usr/bin/zz"),
        (make_deb("a", files=FILES, md5sums=f"{'0' * 32}  usr/bin/b\n").data, "not those of its md5sums: /usr/bin/b"),
        (make_deb("a", files=FILES, md5sums="what?\n").data, "md5sums of a 1.0 cannot be read"),
        (make_ar({"debian-binary": b"2.0\n", "control.tar.rar": b"", "data.tar": b""}), "compressed in a way"),
    ],
)
def test_bad(data: bytes, says: str, cache: Cache) -> None:
    with pytest.raises(BadArchive) as caught:
        put(data, cache)
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"\x28\xb5\x2f\xfd", b"no zstd at all"])
def test_damaged_zstd(data: bytes, cache: Cache) -> None:
    with pytest.raises(BadArchive) as caught:
        put(make_ar({"debian-binary": b"2.0\n", "control.tar.zst": data, "data.tar.zst": data}), cache)
    assert caught.value.hint


def test_bomb(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slimrun.debian.deb.MAX_DATA", 4096)
    with pytest.raises(BadArchive, match="longer than any package"):
        put(make_deb("a", files={"/x": bytes(100_000)}).data, cache)


def test_members_to_pass_over(cache: Cache) -> None:
    """deb(5): names that begin with `_` are to be ignored, and so is what follows data.tar."""
    members = list(PARTS.items())
    data = make_ar(dict([members[0], ("_gpgbuilder", b"x"), *members[1:], ("_more", b"y")]))
    assert put(data, cache).name == "a"


def test_names_with_backslashes(cache: Cache) -> None:
    """md5sum(1) writes such a line with a backslash before it; systemd has unit files of such names."""
    name = "/lib/systemd/system/system-systemd\\x2dx.slice"
    sums = f"\\{hashlib.md5(b'x').hexdigest()}  {name[1:]}\n".replace("\\x2d", "\\\\x2d")
    assert name in put(make_deb("a", files={name: b"x"}, md5sums=sums).data, cache).tree


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(GOOD.data) - 1), what=st.binary(max_size=4))
def test_any_damage(at: int, what: bytes, cache: Cache) -> None:
    """A package with other bytes somewhere is read or refused; nothing else ever happens."""
    with suppress(ImageFailed):
        put(GOOD.data[:at] + what + GOOD.data[at + len(what) :], cache)


def test_nothing_is_unpacked(cache: Cache, tmp_path: Path) -> None:
    put(GOOD.data, cache)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("copyright", "a", "control")]
