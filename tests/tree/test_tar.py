"""Tar members as values, and the table of ELF.md 6.2: nothing is unpacked, so an escape is a value or an error."""

from __future__ import annotations

import io
import random
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.treetext import content

from slimrun.errors import BadArchive
from slimrun.tree import tar
from slimrun.tree.content import Extent, Inline
from slimrun.tree.tar import plain, read_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

Row = tuple[str, dict[str, Any], bytes]


def row(name: str, data: bytes = b"", **facts: Any) -> Row:
    """A member: its name, its data, and TarInfo's fields."""
    return name, facts, data


def archive(*rows: Row, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
        for name, facts, data in rows:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in facts.items():
                setattr(info, key, value)
            out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


LINK, HARD, DIR, CHAR, FIFO = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE
LONG = "long/" + "n" * 150 + "/" + "m" * 200

GOOD: dict[str, tuple[tuple[Row, ...], dict[str, str]]] = {
    "nothing": ((), {}),
    "a file": ((row("a", b"A"),), {"/a": "A"}),
    "an absolute name": ((row("/abs", b"A"),), {"/abs": "A"}),
    "dots and slashes": ((row("./a//b/./c", b"A"),), {"/a/b/c": "A"}),
    "the root itself": ((row("./", type=DIR, mode=0o700), row("", type=DIR), row("a", b"A")), {"/a": "A"}),
    "a trailing slash": ((row("d/", type=DIR, mode=0o750),), {"/d": "dir 0750"}),
    "a link out, written through": (
        (row("l", type=LINK, linkname="/etc"), row("l/passwd", b"A")),
        {"/l": "symlink /etc", "/l/passwd": "A"},
    ),
    "a link upwards": ((row("l", type=LINK, linkname="../../x"),), {"/l": "symlink ../../x"}),
    "a link upwards, written through": (
        (row("d/l", type=LINK, linkname=".."), row("d/l/x", b"A")),
        {"/d/l": "symlink ..", "/d/l/x": "A"},
    ),
    "the longest names": (
        (row("n" * 255, b"A"), row("m/" * 2047 + "m", b"B")),
        {"/" + "m/" * 2047 + "m": "B", "/" + "n" * 255: "A"},
    ),
    "a name twice": ((row("a", b"1"), row("a", b"2")), {"/a": "2"}),
    "a file, a link, a file": ((row("a", b"1"), row("a", type=LINK, linkname="/v"), row("a", b"3")), {"/a": "3"}),
    "setuid": ((row("su", mode=0o104755),), {"/su": ""}),
    "devices and a FIFO": (
        (row("null", type=CHAR, devmajor=1, devminor=3, mode=0o666), row("pipe", type=FIFO, mode=0o600)),
        {"/null": "char 0666", "/pipe": "fifo 0600"},
    ),
    "a long name": ((row(LONG, b"A"), row("l", type=LINK, linkname=LONG)), {f"/{LONG}": "A", "/l": f"symlink {LONG}"}),
    "unicode, both forms": ((row("é", b"1"), row("e\u0301", b"2")), {"/e\u0301": "2", "/é": "1"}),
    "two cases": ((row("A", b"1"), row("a", b"2")), {"/A": "1", "/a": "2"}),
    "not UTF-8": ((row("\udcff", b"A"),), {"/\udcff": "A"}),
    "a newline": ((row("a\nb", b"A"),), {"/a\nb": "A"}),
}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", GOOD)
def test_what_is_read(name: str, form: int, tmp_path: Path) -> None:
    rows, expected = GOOD[name]
    (tmp_path / "x.tar").write_bytes(archive(*rows, form=form))
    assert content(Tree(plain(read_tar(tmp_path / "x.tar")))) == dict(sorted(expected.items()))


def header(**facts: Any) -> bytes:
    info = tarfile.TarInfo("x")
    for key, value in facts.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def damaged(data: bytes, at: int) -> bytes:
    """The same bytes with one changed."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def unknown_type() -> bytes:
    raw = bytearray(header())
    raw[156:157] = b"Z"
    raw[148:156] = b"%06o\0 " % (sum(raw[:148]) + 32 * 8 + sum(raw[156:]))
    return bytes(raw) + bytes(1024)


TWO = archive(row("a", b"A" * 600), row("b", b"B" * 600))
BAD: dict[str, bytes] = {
    "..": archive(row("../esc", b"x")),
    ".. inside": archive(row("a/../../esc", b"x")),
    "a part of a name too long": archive(row("d/" + "n" * 256, b"x")),
    "a part too long in bytes": archive(row("é" * 128, b"x")),
    "a name too long": archive(row("m/" * 2048 + "m", b"x")),
    "a hard link to ..": archive(row("a", type=HARD, linkname="../b")),
    "empty": b"",
    "text": b"this is not a tar at all\n" * 100,
    "gzip": b"\x1f\x8b\x08\0" + bytes(600),
    "zip": b"PK\x03\x04" + bytes(600),
    "cut in the first header": TWO[:300],
    "cut in a file": TWO[:900],
    "cut before the second header's end": TWO[: 512 * 3 + 100],
    "cut in the second file": TWO[: 512 * 4 + 100],
    "a damaged second header": damaged(TWO, 512 * 3),
    "garbage behind a member": TWO[: 512 * 3] + b"g" * 1024,
    "a size with letters": archive(row("a", b"A", pax_headers={"size": "ten"})),
    "a negative size": archive(row("a", pax_headers={"size": "-512"})),
    "a negative size in the header": header(size=-1024) + bytes(1024),
    "a PAX header cut off": archive(row(LONG, b"A"))[:700],
    "a type nobody knows": unknown_type(),
    "a huge size": header(size=1 << 60) + bytes(1024),
    "long names without end": header(type=tarfile.GNUTYPE_LONGNAME, size=1, name="././@LongLink").ljust(1024, b"n") * 2000,
    "sparse beyond all bounds": archive(
        row("a", b"1\n0\n0\n".ljust(512, b"\0"), pax_headers={
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 62), "GNU.sparse.name": "a",
        })
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(BAD[name])
    with pytest.raises(BadArchive):
        read_tar(tmp_path / "x.tar")


@pytest.mark.parametrize("cut", [512 * 6, 512 * 6 + 512])
def test_an_archive_without_its_end_marks_is_whole(cut: int, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(TWO[:cut])
    assert list(plain(read_tar(tmp_path / "x.tar"))) == ["/a", "/b"]


@pytest.mark.parametrize("target", ["absent", "dir", "link", "later"])
def test_a_hard_link_needs_a_file_before_it(target: str, tmp_path: Path) -> None:
    rows = (
        row("dir", type=DIR),
        row("link", type=LINK, linkname="x"),
        row("hard", type=HARD, linkname=target),
        row("later", b"x"),
    )
    (tmp_path / "x.tar").write_bytes(archive(*rows))
    with pytest.raises(BadArchive, match=f"names /{target}"):
        plain(read_tar(tmp_path / "x.tar"))


def test_names_of_one_file_share_an_inode(tmp_path: Path) -> None:
    rows = (row("a", b"x"), row("b", type=HARD, linkname="a"), row("c", type=HARD, linkname="/b"), row("d", b"x"))
    (tmp_path / "x.tar").write_bytes(archive(*rows))
    found = plain(read_tar(tmp_path / "x.tar"))
    assert [found[path].inode for path in ("/a", "/b", "/c", "/d")] == ["/a", "/a", "/a", ""]
    assert found["/c"].read() == b"x"


def test_pax_overrides_the_header(tmp_path: Path) -> None:
    over = {
        "path": "other",
        "uid": "70000",
        "gid": "3000000",
        "SCHILY.xattr.user.b": "\0\udcff=x",
        "SCHILY.xattr.user.a": "",
    }
    (tmp_path / "x.tar").write_bytes(archive(row("a", b"A", uid=1, pax_headers=over)))
    (member,) = read_tar(tmp_path / "x.tar")
    assert member.entry is not None
    assert member.path == "/other"
    assert (member.entry.uid, member.entry.gid) == (70000, 3000000)
    assert member.entry.xattrs == (("user.a", b""), ("user.b", b"\0\xff=x"))


def test_sparse_files_are_whole(tmp_path: Path) -> None:
    """GNU tar's PAX 1.0 form: a map of (offset, size) before the data."""
    over = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "6", "GNU.sparse.name": "s"}
    data = b"2\n1\n2\n5\n1\n".ljust(512, b"\0") + b"abc"
    raw = archive(row("GNUSparseFile.0/s", data, pax_headers=over), row("b", b"B"))
    (tmp_path / "x.tar").write_bytes(raw)
    found = plain(read_tar(tmp_path / "x.tar"))
    assert {path: item.read() for path, item in found.items()} == {"/s": b"\0ab\0\0c", "/b": b"B"}
    assert isinstance(found["/s"].content, Inline)


def test_members_lie_where_they_were(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(archive(row("a", b"A"), row("b", b"BB")))
    found = read_tar(tmp_path / "x.tar")
    assert [member.entry.content for member in found if member.entry] == [
        Extent(str(tmp_path / "x.tar"), 512, 1),
        Extent(str(tmp_path / "x.tar"), 512 * 3, 2),
    ]


def test_the_number_of_members_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MAX_MEMBERS", 2)
    (tmp_path / "x.tar").write_bytes(archive(row("a"), row("b")))
    assert len(read_tar(tmp_path / "x.tar")) == 2
    (tmp_path / "x.tar").write_bytes(archive(row("a"), row("b"), row("c")))
    with pytest.raises(BadArchive, match="more than 2 members"):
        read_tar(tmp_path / "x.tar")


def mutants() -> list[bytes]:
    """A whole archive with a few bytes changed, each time others; the seed is fixed."""
    chance = random.Random(20261124)
    whole = archive(
        row("d/", type=DIR), row(LONG, b"A" * 700, pax_headers={"SCHILY.xattr.user.x": "1"}),
        row("l", type=LINK, linkname=LONG), row("h", type=HARD, linkname=LONG), row("é", b"B"),
    )  # fmt: skip
    found = []
    for _ in range(300):
        raw = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            raw[chance.randrange(len(whole) - 9000)] = chance.choice(
                (0, 32, 48, 55, 61, 128, 255, chance.randrange(256))
            )
        found.append(bytes(raw))
    return found


def test_mutants_are_read_or_refused(tmp_path: Path) -> None:
    outcomes = {"read": 0, "refused": 0}
    for raw in mutants():
        (tmp_path / "x.tar").write_bytes(raw)
        try:
            Tree(plain(read_tar(tmp_path / "x.tar"))).digest()
            outcomes["read"] += 1
        except BadArchive:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 100
    assert outcomes["read"] > 10


def test_pax_says_how_long_a_file_is(tmp_path: Path) -> None:
    """Two readers that disagree about a length see other members behind it (CVE-2025-62518): PAX counts, as for GNU tar."""
    inner = archive(row("hidden", b"evil"))[:1024]
    whole = archive(row("outer", inner, pax_headers={"size": "1024"}), row("last", b"L"))
    at = whole.index(b"outer", 1024)
    data = bytearray(whole)
    data[at + 124 : at + 136] = b"%011o\0" % 0
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    (tmp_path / "x.tar").write_bytes(data)
    found = plain(read_tar(tmp_path / "x.tar"))
    assert list(found) == ["/outer", "/last"]
    assert found["/outer"].read() == inner
