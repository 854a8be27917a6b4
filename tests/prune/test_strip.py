"""Our own strip: what it leaves runs, says the same to a loader and to readelf, and is the same every time."""

from __future__ import annotations

import ctypes
import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from slimrun.elf.reader import read_elf
from slimrun.prune.strip import strip

PYENV = Path("/root/.pyenv/versions/3.11.7")
SOURCE = """
#include <stdio.h>
__thread int mine = 7;
int zeros[40000];
static int hidden(int value) { return value + mine; }
int answer(int value) { return hidden(value) + zeros[value]; }
#ifdef PROGRAM
int main(void) { return printf("%d\\n", answer(35)) < 0; }
#endif
"""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not here")
    place = tmp_path_factory.mktemp("strip") / "source.c"
    place.write_text(SOURCE)
    return place


def build(source: Path, name: str, *options: str) -> Path:
    out = source.parent / name
    subprocess.run(["gcc", "-g", "-O1", *options, str(source), "-o", str(out)], check=True, capture_output=True)
    return out


def readelf(data: bytes, tmp_path: Path, *options: str) -> str:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not here")
    (tmp_path / "file").write_bytes(data)
    done = subprocess.run(["readelf", *options, str(tmp_path / "file")], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_an_empty_segment_behind_the_end_stops_nothing(source: Path) -> None:
    """GNU_STACK covers no bytes, wherever its header says that they begin."""
    data = build(source, "empty.so", "-shared", "-fPIC").read_bytes()
    small = strip(data)
    assert small is not None
    (table,), (count,) = struct.unpack_from("<Q", data, 0x20), struct.unpack_from("<H", data, 0x38)
    (at,) = (at for at in range(table, table + 56 * count, 56) if data[at : at + 4] == struct.pack("<I", 0x6474E551))
    assert struct.unpack_from("<Q", data, at + 0x20) == (0,)
    moved = bytearray(data)
    struct.pack_into("<Q", moved, at + 8, len(data) - 1)
    assert len(small) < len(data) - 1
    again = strip(bytes(moved))
    assert again is not None
    assert len(again) == len(small)


@pytest.mark.parametrize("options", [("-fPIE", "-pie"), ("-no-pie",), ("-static",), ("-static-pie",)])
def test_programs_run(options: tuple[str, ...], source: Path, tmp_path: Path) -> None:
    built = build(source, "prog" + "".join(options), "-DPROGRAM", *options)
    data = built.read_bytes()
    small = strip(data)
    assert small is not None
    assert len(small) < len(data)
    (tmp_path / "prog").write_bytes(small)
    (tmp_path / "prog").chmod(0o755)
    assert subprocess.run([str(tmp_path / "prog")], capture_output=True, check=True).stdout == b"42\n"
    sections = readelf(small, tmp_path, "-SW")
    assert ".debug" not in sections
    assert ".symtab" not in sections
    assert ".bss" in sections


@pytest.mark.parametrize(
    "options",
    [(), ("-Wl,--hash-style=sysv",), ("-Wl,-z,noseparate-code",), ("-Wl,--build-id=sha1", "-Wl,-soname,libx.so.1")],
)
def test_libraries_load(options: tuple[str, ...], source: Path, tmp_path: Path) -> None:
    data = build(source, "libx.so", "-shared", "-fPIC", *options).read_bytes()
    small = strip(data)
    assert small is not None
    (tmp_path / "libx.so").write_bytes(small)
    assert ctypes.CDLL(str(tmp_path / "libx.so")).answer(35) == 42
    readelf(small, tmp_path, "-aW")
    assert strip(small) is None
    assert strip(data) == small


def test_no_offset_moves(source: Path) -> None:
    data = build(source, "libx.so", "-shared", "-fPIC").read_bytes()
    small = strip(data)
    info = read_elf(io.BytesIO(data), "x")
    assert small is not None
    assert info is not None
    for load in info.loads:
        kept, old = (bytearray(each[load.offset : load.offset + load.filesz]) for each in (small, data))
        if load.offset == 0:  # the ELF header says where the section table is
            kept[:64] = old[:64]
        assert kept == old


def test_what_is_not_touched(source: Path) -> None:
    data = build(source, "libx.so", "-shared", "-fPIC").read_bytes()
    relocatable = build(source, "x.o", "-c").read_bytes()
    for other in (b"", b"#!/bin/sh\n", data[:100], relocatable, data + b"payload" * 99):
        assert strip(other) is None
    no_sections = bytearray(data)
    struct.pack_into("<H", no_sections, 0x3C, 0)
    assert strip(bytes(no_sections)) is None
    beyond = bytearray(data)
    struct.pack_into("<Q", beyond, 0x28, 1 << 62)
    assert strip(bytes(beyond)) is None


def test_sections_between_allocated_ones_leave_a_gap(source: Path, tmp_path: Path) -> None:
    """.dynsym names sections by number: the numbers of those that stay do not change."""
    data = bytearray(build(source, "libx.so", "-shared", "-fPIC").read_bytes())
    (table,) = struct.unpack_from("<Q", data, 0x28)
    (count,) = struct.unpack_from("<H", data, 0x3C)
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * number) for number in range(count)]
    comment = next(number for number, row in enumerate(rows) if row[1] == 7 and row[2] & 2)  # the build-id's note
    struct.pack_into("<Q", data, table + 64 * comment + 8, 0)  # no longer allocated, as far as its header says
    small = strip(bytes(data))
    assert small is not None
    (table,) = struct.unpack_from("<Q", small, 0x28)
    for number, row in enumerate(rows[: comment + 8]):
        new = struct.unpack_from("<IIQQQQIIQQ", small, table + 64 * number)
        assert new[1:] == ((0,) * 9 if number == comment else row[1:])
    readelf(small, tmp_path, "-SW")


def test_32_bits_and_other_byte_order(source: Path) -> None:
    """Only sizes and places differ; gcc here makes none, so a made-up header must at least not be misread."""
    data = bytearray(build(source, "libx.so", "-shared", "-fPIC").read_bytes())
    for at, value in ((4, 1), (5, 2)):
        changed = bytearray(data)
        changed[at] = value
        assert strip(bytes(changed)) is None


def test_libpython(tmp_path: Path) -> None:
    lib = PYENV / "lib/libpython3.11.so.1.0"
    if not lib.exists():
        pytest.skip(f"cannot be had here: {lib}")
    data = lib.read_bytes()
    small = strip(data)
    assert small is not None
    readelf(small, tmp_path, "-lSW")
    (tmp_path / lib.name).write_bytes(small)
    if shutil.which("strip") is not None:
        subprocess.run(["strip", "--strip-unneeded", "-o", str(tmp_path / "gnu"), str(lib)], check=True)
        assert abs(len(small) - (tmp_path / "gnu").stat().st_size) < 2048
    code = "import ssl, json, decimal, threading; print(open('/proc/self/maps').read())"
    env = {"LD_LIBRARY_PATH": str(tmp_path)}
    maps = subprocess.run(
        [PYENV / "bin/python3.11", "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert str(tmp_path / lib.name) in maps


@pytest.mark.network
def test_wheel_that_patchelf_rewrote(tmp_path: Path) -> None:
    """GNU strip breaks numpy's OpenBLAS; ours leaves it be, or leaves it whole."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-q",
        "-d",
        str(tmp_path),
        "numpy",
    ]
    if subprocess.run(pip, capture_output=True, check=False).returncode != 0:
        pytest.skip("pip cannot download numpy")
    (wheel,) = tmp_path.glob("*.whl")
    changed = 0
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            place = tmp_path / "site" / name
            if name.endswith("/"):
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            data = archive.read(name)
            small = strip(data) if ".so" in name else None
            changed += small is not None
            place.write_bytes(small or data)
    assert changed
    code = "import numpy; a = numpy.arange(9.0).reshape(3, 3) + numpy.eye(3); print(numpy.linalg.inv(a) @ a)"
    env = {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
