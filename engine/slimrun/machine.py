"""One architecture under the names that everybody has for it."""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """`kernel` as `uname -m`, `oci` as in platforms (`arm/v7`), `debian` as dpkg, `triplet` of extension names (PEP 3149).

    `elf` is e_machine, EI_CLASS and EI_DATA of its files.
    """

    kernel: str
    oci: str
    debian: str
    triplet: str
    elf: tuple[int, int, int]

    @property
    def platform(self) -> str:
        """As a platform of images: `linux/amd64`."""
        return f"linux/{self.oci}"


# The first row with an ELF header's three numbers is what such a file is taken for: of 40, hard-float, since no wheel and no
# official image is anything else.
MACHINES = (
    Machine(kernel="x86_64", oci="amd64", debian="amd64", triplet="x86_64-linux-gnu", elf=(62, 2, 1)),
    Machine(kernel="aarch64", oci="arm64", debian="arm64", triplet="aarch64-linux-gnu", elf=(183, 2, 1)),
    Machine(kernel="armv7l", oci="arm/v7", debian="armhf", triplet="arm-linux-gnueabihf", elf=(40, 1, 1)),
    Machine(kernel="armv5tel", oci="arm/v5", debian="armel", triplet="arm-linux-gnueabi", elf=(40, 1, 1)),
    Machine(kernel="armv6l", oci="arm/v6", debian="armel", triplet="arm-linux-gnueabi", elf=(40, 1, 1)),
    Machine(kernel="i686", oci="386", debian="i386", triplet="i386-linux-gnu", elf=(3, 1, 1)),
    Machine(kernel="ppc64le", oci="ppc64le", debian="ppc64el", triplet="powerpc64le-linux-gnu", elf=(21, 2, 1)),
    Machine(kernel="riscv64", oci="riscv64", debian="riscv64", triplet="riscv64-linux-gnu", elf=(243, 2, 1)),
    Machine(kernel="s390x", oci="s390x", debian="s390x", triplet="s390x-linux-gnu", elf=(22, 2, 2)),
)
_KERNEL = {machine.kernel: machine for machine in MACHINES}
_OCI = {machine.oci: machine for machine in MACHINES}
_ELF = {machine.elf: machine for machine in reversed(MACHINES)}


def of_kernel(name: str) -> Machine:
    """By the kernel's word; one that the table lacks has that word for every name."""
    return _KERNEL.get(name) or _unknown(name)


def of_platform(text: str) -> Machine:
    """By a platform of images, `linux/arm/v7`; a variant that the table lacks (`linux/arm64/v8`) is the plain one.

    An engine on 32-bit ARM may leave the variant out: that is v7.
    """
    _, _, name = text.partition("/")
    plain = name.partition("/")[0]
    return _OCI.get(name) or _OCI.get("arm/v7" if plain == "arm" else plain) or _unknown(plain)


def of_elf(head: bytes) -> Machine | None:
    """By the first 20 bytes of a file; None where they are not an ELF header's."""
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[5] not in (1, 2):
        return None
    (code,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return _ELF.get((code, head[4], head[5])) or _unknown(f"machine{code}")


def host() -> Machine:
    """This machine."""
    return of_kernel(platform.machine())


def _unknown(name: str) -> Machine:
    return Machine(kernel=name, oci=name, debian=name, triplet=f"{name}-linux-gnu", elf=(0, 0, 0))
