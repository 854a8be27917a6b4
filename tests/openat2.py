"""The kernel's own way of opening a path below a root: openat2 with RESOLVE_IN_ROOT, as an oracle."""

from __future__ import annotations

import ctypes
import errno
import os

OPENAT2 = 437  # the same number on every machine that Linux added it to (5.6)
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10


class How(ctypes.Structure):
    """struct open_how."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(root: int, path: str) -> int:
    """A descriptor of what `path` leads to below `root`, or minus the error number."""
    how = How(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    while True:
        number: int = libc.syscall(OPENAT2, root, path.encode(), ctypes.byref(how), ctypes.sizeof(how))
        if number >= 0:
            return number
        # A rename or mount anywhere on the machine, while `..` was followed: the kernel asks to try again.
        if ctypes.get_errno() != errno.EAGAIN:
            return -ctypes.get_errno()
