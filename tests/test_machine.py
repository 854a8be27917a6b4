"""One architecture's names belong together, whichever of them is known."""

from __future__ import annotations

import platform
import struct

import pytest

from slimrun import machine
from slimrun.machine import MACHINES


def head(code: int, *, bits: int = 64, big: bool = False) -> bytes:
    """The first 20 bytes of an ELF file."""
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 2 if big else 1, 1]) + bytes(9)
    return ident + struct.pack(">HH" if big else "<HH", 2, code)


@pytest.mark.parametrize(
    ("code", "bits", "big", "kernel", "triplet"),
    [
        (62, 64, False, "x86_64", "x86_64-linux-gnu"), (3, 32, False, "i686", "i386-linux-gnu"),
        (183, 64, False, "aarch64", "aarch64-linux-gnu"), (40, 32, False, "armv7l", "arm-linux-gnueabihf"),
        (22, 64, True, "s390x", "s390x-linux-gnu"), (999, 64, False, "machine999", "machine999-linux-gnu"),
        (62, 32, False, "machine62", "machine62-linux-gnu"),
    ],
)  # fmt: skip
def test_elf(code: int, bits: int, big: bool, kernel: str, triplet: str) -> None:
    found = machine.of_elf(head(code, bits=bits, big=big))
    assert found is not None
    assert (found.kernel, found.triplet) == (kernel, triplet)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n" + bytes(40), head(62)[:19], b"\x7fELF\x02\x09" + bytes(40)])
def test_no_elf(data: bytes) -> None:
    assert machine.of_elf(data) is None


@pytest.mark.parametrize(
    ("text", "debian", "kernel"),
    [
        ("linux/amd64", "amd64", "x86_64"), ("linux/arm64", "arm64", "aarch64"), ("linux/arm64/v8", "arm64", "aarch64"),
        ("linux/arm", "armhf", "armv7l"), ("linux/arm/v7", "armhf", "armv7l"), ("linux/arm/v5", "armel", "armv5tel"),
        ("linux/arm/v6", "armel", "armv6l"), ("linux/386", "i386", "i686"), ("linux/ppc64le", "ppc64el", "ppc64le"),
        ("linux/sparc64", "sparc64", "sparc64"),
    ],
)  # fmt: skip
def test_platforms(text: str, debian: str, kernel: str) -> None:
    found = machine.of_platform(text)
    assert (found.debian, found.kernel) == (debian, kernel)


def test_every_name_but_debians_leads_back() -> None:
    for one in MACHINES:
        assert machine.of_kernel(one.kernel) == one
        assert machine.of_platform(one.platform) == one
    assert len({one.kernel for one in MACHINES}) == len({one.oci for one in MACHINES}) == len(MACHINES)


def test_this_machine() -> None:
    assert machine.host() == machine.of_kernel(platform.machine())
    assert machine.host().platform.startswith("linux/")
