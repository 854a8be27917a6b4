"""ELF.md 6.2: archives that lie, names that lead outside, RECORDs that do not hold; and odd ones that are honest."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from rawzip import Lies, Raw, change, honest, write
from wheelmaker import contents, make, pack, pin_of, record_line, with_record

from slimrun.errors import BadWheel, WheelNotFound
from slimrun.fetch.target import Target
from slimrun.python import wheelfile
from slimrun.python.install import install_wheels
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.tree import Tree

PY311 = Target(version=(3, 11, 2), abi="cp311", arch="x86_64", glibc=(2, 36))
GOOD = with_record(contents("demo", "1.0", {"demo/__init__.py": b"x = 1\n" * 50, "demo/data.bin": bytes(2000)}))
MEMBERS = honest(GOOD)
RECORD = GOOD["demo-1.0.dist-info/RECORD"]
CRC, SIZE = zlib.crc32(MEMBERS[0].data), len(MEMBERS[0].data)
Install = "Callable[[bytes], Tree]"


@pytest.fixture
def install(tmp_path: Path, cache: Cache, interpreter: Callable[..., Interpreter]) -> Install:
    def run(data: bytes, name: str = "demo-1.0-py3-none-any.whl") -> Tree:
        path = tmp_path / name
        path.write_bytes(data)
        with cache.pack("test") as packed:
            done = install_wheels(
                [(pin_of(path), path, Why(rule="recipe", text="demo"))], interpreter(), packed, target=PY311
            )
        return done.tree

    return run


def added(name: bytes, data: bytes = b"evil", **fields: object) -> list[Raw]:
    """The wheel with one more member, which RECORD lists."""
    shown = name.decode("utf-8", "replace")
    record = RECORD + record_line(f'"{shown}"', data).encode()
    return [*change(MEMBERS, 4, data=record), Raw(name=name, data=data, **fields)]  # type: ignore[arg-type]


def zip64(*numbers: int) -> bytes:
    body = b"".join(struct.pack("<Q", number) for number in numbers)
    return struct.pack("<HH", 1, len(body)) + body


DISAGREE = "headers .* disagree"
FULL = 0xFFFFFFFF
FUTURE = pack(with_record(contents("demo", "1.0") | {"demo-1.0.dist-info/WHEEL": b"Wheel-Version: 2.0\n"}))
PLAIN = struct.pack("<III", CRC, SIZE, SIZE)


def metadata(text: str) -> bytes:
    return pack(with_record(contents("demo", "1.0", metadata=text)))


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "does not end as a zip"),
    "not a zip": (b"x" * 100, "does not end as a zip"),
    "prepended bytes": (write(MEMBERS, Lies(prefix=b"#!/bin/sh\n")), "belong to no member"),
    "prepended bytes, offsets not adjusted": (b"#!/bin/sh\n" + write(MEMBERS), "directory is not where it says"),
    "trailing bytes": (write(MEMBERS, Lies(suffix=b"x")), "does not end as a zip"),
    "a second archive behind": (write(MEMBERS) + write(MEMBERS), "directory is not where it says"),
    "a comment": (write(MEMBERS, Lies(comment=b"hello")), "does not end as a zip"),
    "a comment that looks like an end": (write(MEMBERS, Lies(comment=write([])[-22:])), "directory is not where it says"),
    "bytes between members": (write(change(MEMBERS, 1, before=b"gap")), "belong to no member"),
    "bytes before the directory": (write(MEMBERS, Lies(before_directory=b"gap")), "belong to no member"),
    "bytes inside the directory": (write(MEMBERS, Lies(in_directory=b"gap")), "belong to no member"),
    "a hidden member": (write(MEMBERS, Lies(count=len(MEMBERS) - 1)), "belong to no member"),
    "more members than there are": (write(MEMBERS, Lies(count=len(MEMBERS) + 1)), "directory is damaged"),
    "the directory elsewhere": (write(MEMBERS, Lies(shift=1)), "directory is not where it says"),
    "a name twice": (write(added(b"demo/__init__.py")), "twice"),
    "a file and a folder of one name": (write(added(b"demo/data.bin/x")), "is a file and a folder"),
    "a folder and a file of one name": (write(added(b"demo/data.bin/", b"", mode=0o040755)), "twice"),
    "another name in the local header": (write(change(MEMBERS, 0, local_name=b"demo/__evil__.py")), DISAGREE),
    "another size in the local header": (write(change(MEMBERS, 0, local_size=1)), DISAGREE),
    "another checksum in the local header": (write(change(MEMBERS, 0, local_crc=1)), DISAGREE),
    "another method in the local header": (write(change(MEMBERS, 0, method=0, packed=MEMBERS[0].data, local_method=8)), DISAGREE),
    "other flags in the local header": (write(change(MEMBERS, 0, local_flags=0x800)), DISAGREE),
    "encrypted": (write(change(MEMBERS, 0, flags=1)), "is encrypted"),
    "packed with bzip2": (write(change(MEMBERS, 0, method=12)), "packed in a way"),
    "stored, with two sizes": (write(change(MEMBERS, 0, method=0, size=7)), "packed in a way"),
    "a wrong descriptor": (write(change(MEMBERS, 0, flags=8, descriptor=b"PK\x07\x08" + bytes(12))), "sizes after"),
    "a descriptor that is missing": (write(change(MEMBERS, 0, flags=8)[:1] + MEMBERS[1:]), "sizes after"),
    "more bytes than claimed": (write(change(MEMBERS, 0, size=SIZE - 1)), "longer than it claims"),
    "fewer bytes than claimed": (write(change(MEMBERS, 0, size=SIZE + 1)), "not the size and checksum"),
    "a wrong checksum": (write(change(MEMBERS, 0, crc=1)), "not the size and checksum"),
    "rubbish instead of deflate": (write(change(MEMBERS, 0, packed=b"\xff" * 20)), "cannot be unpacked"),
    "deflate that is cut off": (write(change(MEMBERS, 0, packed=b"\x4b")), "is cut off"),
    "bytes after deflate's end": (write(change(MEMBERS, 0, packed=b"\x03\x00evil", data=b"")), "not the size and checksum|RECORD"),
    "zip64 sizes that are missing": (write(change(MEMBERS, 0, size=FULL)), "zip64 sizes are missing"),
    "zip64 discord": (write(change(MEMBERS, 0, size=FULL, extra=zip64(7), local_size=FULL, local_extra=zip64(8))), DISAGREE),
    "a second name in an extra field": (write(change(MEMBERS, 0, extra=struct.pack("<HH", 0x7075, 1) + b"x")), "second time"),
    "an extra field that is cut off": (write(change(MEMBERS, 0, extra=struct.pack("<HH", 9, 50))), "extra field"),
    "a symbolic link": (write(added(b"demo/link", b"/etc/passwd", mode=0o120777)), "symbolic link"),
    "a device": (write(added(b"demo/dev", b"", mode=0o020666)), "special file"),
    "a file that says it is a folder": (write(added(b"demo/dir", mode=0o040755)), "special file"),
    "a folder with bytes": (write(added(b"demo/dir/", mode=0o040755)), "has bytes"),
    "name: parent": (write(added(b"a/../../esc.py")), "leads outside"),
    "name: parent at the start": (write(added(b"../esc.py")), "leads outside"),
    "name: absolute": (write(added(b"/abs.py")), "leads outside"),
    "name: dot": (write(added(b"./demo/x.py")), "leads outside"),
    "name: empty part": (write(added(b"demo//x.py")), "leads outside"),
    "name: empty": (write(added(b"")), "leads outside"),
    "name: backslash": (write(added(b"demo\\..\\x.py")), "leads outside"),
    "name: drive": (write(added(b"C:/x.py")), "leads outside"),
    "name: NUL": (write(added(b"demo/x\0.py")), "leads outside"),
    "name: newline": (write(added(b"demo/x\n.py")), "leads outside"),
    "name: latin-1": (write(added(b"demo/caf\xe9.py")), "encoding"),
    "name: UTF-8 without its flag": (write(added("demo/café.py".encode())), "encoding"),
    "name: not UTF-8 with the flag": (write(added(b"demo/caf\xe9.py", flags=0x800)), "encoding"),
    "name: long part": (write(added(b"demo/" + b"x" * 256)), "too long"),
    "name: long": (write(added(b"x/" * 2100 + b"x")), "too long"),
    "data that leads out of the prefix": (write(added(b"demo-1.0.data/data/../../etc/passwd")), "leads outside"),
    "an unknown part of data": (write(added(b"demo-1.0.data/stdlib/os.py")), "not contained in a valid .data"),
    "data of something else": (write(added(b"other-1.0.data/data/x")), "is not of demo 1.0"),
    "data over the standard library": (write(added(b"demo-1.0.data/data/lib/python3.11/os.py")), "standard library"),
    "data over the interpreter": (write(added(b"demo-1.0.data/data/bin/python3.11")), "replaces the interpreter"),
    "a script over the interpreter": (write(added(b"demo-1.0.data/scripts/python3")), "replaces the interpreter"),
    "two .dist-info": (write(added(b"demo-1.0.0.dist-info/METADATA")), "2 folders"),
    ".dist-info of something else": (pack(with_record(contents("other", "1.0"))), "is not of demo 1.0"),
    ".dist-info of another version": (pack(with_record(contents("demo", "2.0"))), "is not of demo 1.0"),
    "no .dist-info": (write([Raw(name=b"demo.py")]), "0 folders"),
    "a file outside RECORD": (write([*MEMBERS, Raw(name=b"demo/extra.py", data=b"evil")]), "RECORD has no digest of demo/extra.py"),
    "a file that is not what RECORD lists": (write(change(MEMBERS, 0, data=b"y" * 300)), "not the file that RECORD lists"),
    "METADATA that is not what RECORD lists": (write(change(MEMBERS, 2, data=b"Name: demo")), "not the file that RECORD lists"),
    "no RECORD": (pack(contents("demo", "1.0")), "has no demo-1.0.dist-info/RECORD"),
    "RECORD with half a digest": (write(change(MEMBERS, 4, data=RECORD.replace(b"sha256=", b"sha256=a"))), "not the file"),
    "an empty RECORD": (write(change(MEMBERS, 4, data=b"")), "RECORD has no digest"),
    "RECORD with a weak hash": (write(change(MEMBERS, 4, data=RECORD.replace(b"sha256=", b"md5="))), "has no digest"),
    "RECORD with a line twice": (write(change(MEMBERS, 4, data=RECORD * 2)), "twice"),
    "RECORD that is not text": (write(change(MEMBERS, 4, data=b"\xff\xfe")), "not UTF-8"),
    "no METADATA": (write([*MEMBERS[:2], *MEMBERS[3:]]), "has no demo-1.0.dist-info/METADATA"),
    "no WHEEL": (write([*MEMBERS[:3], *MEMBERS[4:]]), "WHEEL"),
    "METADATA of something else": (metadata("Name: other\nVersion: 1.0\n"), "METADATA is of other"),
    "METADATA without a version": (metadata("Name: demo\n"), "METADATA is of demo"),
    "a wheel of the future": (FUTURE, "Wheel-Version 2.0"),
}  # fmt: skip


def entry_points(text: str) -> bytes:
    return pack(with_record(contents("demo", "1.0") | {"demo-1.0.dist-info/entry_points.txt": text.encode()}))


BAD |= {
    f"entry point: {name}": (entry_points(text), says)
    for name, text, says in [
        ("outside", "[console_scripts]\n../../x = demo:main\n", "is not a name of a program"),
        ("a folder", "[console_scripts]\na/b = demo:main\n", "is not a name of a program"),
        ("the interpreter", "[console_scripts]\npython3 = demo:main\n", "replaces the interpreter"),
        ("code", "[console_scripts]\nx = demo; import os:main\n", "entry_points"),
        ("no attribute", "[console_scripts]\nx = demo\n", "entry_points"),
        ("not an INI file", "x = 1\n", "section"),
    ]
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str, install: Callable[..., Tree]) -> None:
    data, says = BAD[name]
    with pytest.raises(BadWheel, match=says) as caught:
        install(data)
    assert caught.value.message.startswith("demo-1.0-py3-none-any.whl: ")
    assert caught.value.hint


HEX = RECORD.replace(
    record_line("", MEMBERS[0].data).split(",")[1].encode(),
    b"sha256=" + hashlib.sha256(MEMBERS[0].data).hexdigest().encode(),
)
GOOD_ONES: dict[str, bytes] = {
    "plain": write(MEMBERS),
    "by zipfile": pack(GOOD),
    "stored": pack(GOOD, method=0),
    "the directory in another order": write(MEMBERS, Lies(reorder=True)),
    "descriptor with its mark": write(change(MEMBERS, 0, flags=8, descriptor=b"")),
    "descriptor without": write(change(MEMBERS, 0, method=0, flags=8, descriptor=PLAIN)),
    "zip64 end": write(MEMBERS, zip64=True),
    "zip64 sizes": write(change(MEMBERS, 0, local_size=FULL, local_extra=zip64(SIZE))),
    "padding in an extra field": write(change(MEMBERS, 0, local_extra=b"\0\0\0")),
    "a folder": write([Raw(name=b"demo/", mode=0o040755, method=0), *MEMBERS]),
    "hex in RECORD": write(change(MEMBERS, 4, data=HEX)),
    "without modes": write([change([one], 0, mode=0)[0] for one in MEMBERS]),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD_ONES)
def test_accepted(name: str, install: Callable[..., Tree]) -> None:
    tree = install(GOOD_ONES[name])
    site = "/usr/local/lib/python3.11/site-packages"
    assert tree.read(f"{site}/demo/__init__.py") == GOOD["demo/__init__.py"]
    assert len(tree) == 6


def test_a_name_in_utf8_and_signatures(install: Callable[..., Tree]) -> None:
    tree = install(
        write([*added("demo/café.py".encode(), flags=0x800), Raw(name=b"demo-1.0.dist-info/RECORD.jws", data=b"{}")])
    )
    assert tree.read("/usr/local/lib/python3.11/site-packages/demo/café.py") == b"evil"
    assert not [path for path in tree if path.endswith(".jws")]


def test_a_bomb_is_not_inflated(install: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    """200 kB that would become 200 MB, honest about it, and the same lying about it."""
    monkeypatch.setattr(wheelfile, "FREE", 1 << 20)
    members = contents("demo", "1.0", {"demo/zeros": bytes(20 << 20)})
    with pytest.raises(BadWheel, match="claims to hold more than"):
        install(pack(with_record(members)))
    raw = honest(with_record(members))
    with pytest.raises(BadWheel, match="longer than it claims"):
        install(write(change(raw, 0, size=1000)))


@pytest.mark.parametrize("limit", ["MAX_MEMBERS", "MAX_DIRECTORY"])
def test_the_number_of_members_is_limited(
    limit: str, install: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"slimrun.python.zipcheck.{limit}", 3)
    with pytest.raises(BadWheel, match="more than"):
        install(write(MEMBERS))


def digests(tree: Tree) -> dict[str, str]:
    return {path: entry.digest for path, entry in tree.items()}


def test_any_damage_is_a_bad_wheel_or_changes_nothing(install: Callable[..., Tree]) -> None:
    """Bytes changed, cut out or put in at random: never another exception, never other content (a mode may)."""
    chance = random.Random(7)
    data = write(MEMBERS)
    whole = digests(install(data))
    for _ in range(300):
        place = chance.randrange(len(data))
        length = chance.choice((0, 1, 4, 40))
        mutant = data[:place] + chance.randbytes(chance.choice((0, 1, 4))) + data[place + length :]
        try:
            found = digests(install(mutant))
        except BadWheel:
            continue
        assert found == whole


@pytest.mark.parametrize(
    ("tag", "python", "says"),
    [
        ("cp39-cp39-manylinux_2_17_x86_64", "", "for CPython 3.9, not for CPython 3.11"),
        ("cp311-cp311-manylinux_2_39_x86_64", "", "for glibc 2.39 or newer, not for glibc 2.36"),
        ("cp311-cp311-manylinux_2_17_aarch64", "", "for Linux aarch64"),
        ("py3-none-any", ">=3.12", "for Python >=3.12, not for 3.11.2"),
        ("py3-none-any", "<3.11", "for Python <3.11, not for 3.11.2"),
    ],
)
def test_made_for_something_else(
    tag: str, python: str, says: str, install: Callable[..., Tree], tmp_path: Path
) -> None:
    path = make(tmp_path, "demo", "1.0", tag=tag, requires_python=python)
    with pytest.raises(WheelNotFound, match=says) as caught:
        install(path.read_bytes(), path.name)
    assert caught.value.hint == "choose a version with a wheel for CPython 3.11 on x86_64 with glibc 2.36"


@pytest.mark.parametrize("python", [">=3.11.1", ">=3.7,!=3.11.0", "~=3.11", "nonsense", ""])
def test_requires_python_that_holds(python: str, install: Callable[..., Tree], tmp_path: Path) -> None:
    path = make(tmp_path, "demo", "1.0", requires_python=python)
    assert install(path.read_bytes(), path.name)
