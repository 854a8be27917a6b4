"""Platforms, tags and markers of a target, and what is said about a wheel that does not fit it."""

from __future__ import annotations

import re
import subprocess

import pytest
from packaging.tags import parse_tag
from packaging.utils import parse_wheel_filename
from uv import find_uv_bin

from slimrun.errors import WheelNotFound
from slimrun.fetch.fit import fits, mismatch, pythons, systems
from slimrun.fetch.target import UV_ARCHES, UV_GLIBC_MINORS, Target


def target(
    version: tuple[int, int, int | None] = (3, 11, 2),
    *,
    abi: str = "",
    arch: str = "x86_64",
    glibc: tuple[int, int] = (2, 36),
) -> Target:
    return Target(version=version, abi=abi or f"cp{version[0]}{version[1]}", arch=arch, glibc=glibc)


@pytest.mark.parametrize(
    ("glibc", "platform"),
    [
        ((2, 17), "2_17"), ((2, 27), "2_17"), ((2, 28), "2_28"), ((2, 30), "2_28"), ((2, 31), "2_31"), ((2, 36), "2_36"),
        ((2, 40), "2_40"), ((2, 42), "2_40"), ((3, 0), "2_40"),
    ],
)  # fmt: skip
def test_the_highest_platform_that_still_runs(glibc: tuple[int, int], platform: str) -> None:
    for arch in UV_ARCHES:
        assert target(arch=arch, glibc=glibc).uv_platform == f"{arch}-manylinux_{platform}"


@pytest.mark.parametrize(
    ("arch", "glibc", "says"), [("ppc64le", (2, 36), "ppc64le"), ("x86_64", (2, 12), "glibc 2.12")]
)
def test_what_uv_does_not_know(arch: str, glibc: tuple[int, int], says: str) -> None:
    with pytest.raises(WheelNotFound, match=says) as caught:
        _ = target(arch=arch, glibc=glibc).uv_platform
    assert caught.value.hint


def test_our_list_of_platforms_is_that_of_the_uv_at_hand() -> None:
    said = subprocess.run(
        [find_uv_bin(), "pip", "compile", "--help"], capture_output=True, text=True, check=True
    ).stdout
    offered = set(re.findall(r"\b(\w+?)-manylinux_2_(\d+)\b", said))
    ours = {(arch, str(minor)) for arch in UV_ARCHES for minor in UV_GLIBC_MINORS}
    assert ours <= offered, "uv dropped platforms"
    assert {arch for arch, _ in offered} <= set(UV_ARCHES), "uv learnt an architecture: add it to UV_ARCHES"


@pytest.mark.parametrize(
    ("version", "abi", "accepted", "refused"),
    [
        ((3, 7, 17), "cp37m", ["cp37-cp37m", "cp36-abi3", "py3-none", "py37-none", "cp37-none"], ["cp37-cp37", "cp38-abi3"]),
        ((3, 11, 2), "cp311", ["cp311-cp311", "cp37-abi3", "py2.py3-none"], ["cp311-cp311t", "cp312-abi3", "pp311-pypy311_pp73"]),
        ((3, 13, 1), "cp313t", ["cp313-cp313t", "py3-none"], ["cp313-cp313", "cp37-abi3"]),
    ],
)  # fmt: skip
def test_tags(version: tuple[int, int, int], abi: str, accepted: list[str], refused: list[str]) -> None:
    here = target(version, abi=abi)
    for platform in ("manylinux_2_36_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64", "linux_x86_64"):
        assert [tag for tag in accepted if not fits(parse_tag(f"{tag}-{platform}"), here)] == []
        assert [tag for tag in refused if fits(parse_tag(f"{tag}-{platform}"), here)] == []
    for platform in ("manylinux_2_37_x86_64", "manylinux_2_17_aarch64", "musllinux_1_1_x86_64", "win_amd64"):
        assert not fits(parse_tag(f"{accepted[0]}-{platform}"), here)
    assert fits(parse_tag("py3-none-any"), here)


def test_old_names_end_where_architectures_begin() -> None:
    assert "manylinux1_x86_64" in target().platforms
    assert target(arch="aarch64", glibc=(2, 18)).platforms == (
        "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("filename", "says"),
    [
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.whl", ""),
        ("a-1-py3-none-any.whl", ""),
        ("a-1-cp39-cp39-manylinux_2_17_x86_64.whl", "for CPython 3.9, not for CPython 3.11"),
        ("a-1-cp37-cp37m-manylinux1_x86_64.whl", "for CPython 3.7, not for CPython 3.11"),
        ("a-1-cp311-cp311t-manylinux_2_17_x86_64.whl", "for CPython 3.11t, not for CPython 3.11"),
        ("a-1-cp312-abi3-manylinux_2_17_x86_64.whl", "for CPython 3.12 and newer, not for CPython 3.11"),
        ("a-1-pp39-pypy39_pp73-manylinux_2_17_x86_64.whl", "for PyPy 3.9, not for CPython 3.11"),
        ("a-1-py2-none-any.whl", "for Python 2, not for CPython 3.11"),
        (
            "a-1-cp311-cp311-manylinux_2_39_x86_64.manylinux_2_38_x86_64.whl",
            "for glibc 2.38 or newer, not for glibc 2.36",
        ),
        ("a-1-cp311-cp311-manylinux2014_aarch64.whl", "for Linux aarch64, not for Linux with glibc on x86_64"),
        ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", "for Linux with musl x86_64, not for Linux with glibc on x86_64"),
        ("a-1-cp311-cp311-macosx_11_0_arm64.whl", "for macOS, not for Linux with glibc on x86_64"),
        ("a-1-cp311-cp311-win_amd64.whl", "for Windows, not for Linux with glibc on x86_64"),
    ],
)
def test_what_does_not_fit(filename: str, says: str) -> None:
    assert mismatch(parse_wheel_filename(filename)[3], target()) == says


def test_words_for_many_tags() -> None:
    tags = parse_tag("cp37.cp38.cp39.cp310.cp312.pp39.py3-none-any") | parse_tag("cp313-cp313t-linux_x86_64")
    assert pythons(tags) == "CPython 3.7 to 3.10, 3.12, 3.13t, PyPy 3.9, Python 3"
    assert systems(tags) == "Linux x86_64, any system"


def test_markers() -> None:
    assert target((3, 7, None), abi="cp37m").environment["python_full_version"] == "3.7.0"
    assert target(arch="aarch64").environment["platform_machine"] == "aarch64"
    assert str(target()) == "CPython 3.11 on x86_64 with glibc 2.36"
