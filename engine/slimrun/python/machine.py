"""The architecture that an ELF header names: 20 bytes, nothing else of the file is read."""

from __future__ import annotations

import struct

# e_machine, EI_CLASS, EI_DATA → the kernel's word (uname -m), the triplet of extension names (PEP 3149).
# 40 is hard-float here: no wheel and no official image is anything else.
_MACHINES = {
    (62, 2, 1): ("x86_64", "x86_64-linux-gnu"),
    (3, 1, 1): ("i686", "i386-linux-gnu"),
    (183, 2, 1): ("aarch64", "aarch64-linux-gnu"),
    (40, 1, 1): ("armv7l", "arm-linux-gnueabihf"),
    (21, 2, 1): ("ppc64le", "powerpc64le-linux-gnu"),
    (22, 2, 2): ("s390x", "s390x-linux-gnu"),
    (243, 2, 1): ("riscv64", "riscv64-linux-gnu"),
}
_TRIPLETS = dict(_MACHINES.values())


def machine_of(head: bytes) -> str | None:
    """The kernel's word for the architecture of a file that begins with `head`, or None where it is not ELF."""
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[5] not in (1, 2):
        return None
    (code,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return _MACHINES.get((code, head[4], head[5]), (f"machine{code}", ""))[0]


def triplet_of(machine: str) -> str:
    """The triplet in names of extension modules: `x86_64-linux-gnu`; an unknown machine's is a guess."""
    return _TRIPLETS.get(machine, f"{machine}-linux-gnu")
