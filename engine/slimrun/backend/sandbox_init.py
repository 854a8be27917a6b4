"""The first process of a sandbox: makes the mounts, gives up every privilege, and becomes the command.

Run by `python -I -S -c` with this file's text, inside new namespaces and outside of the package: it imports the standard library
alone. Its one argument is a JSON file (`Sandbox` writes it). Exit 125 means that the sandbox could not be made, 126 and 127 that
the command could not be started, as with `docker run`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from typing import Any

# include/uapi/linux: mount.h, prctl.h, capability.h
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _MOVE = 1, 2, 4, 8, 32, 4096, 8192
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS, _CAP_AMBIENT, _CLEAR_ALL = 1, 24, 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
# Flags that a mount already has may not be taken off by who does not own its namespace (mount_namespaces(7)).
_KEPT = {
    os.ST_NOSUID: _NOSUID,
    os.ST_NODEV: _NODEV,
    os.ST_NOATIME: 1024,
    os.ST_NODIRATIME: 2048,
    os.ST_RELATIME: 1 << 21,
}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _must(_libc.mount(*words), f"mounting {kind or source} on {target}")


def _mounts(spec: dict[str, Any]) -> None:
    root = spec["root"]
    _mount(root, root, "", _BIND)
    _mount("tmpfs", f"{root}/dev", "tmpfs", _NOSUID, "mode=0755")
    for name in _DEVICES:
        with open(f"{root}/dev/{name}", "wb"):  # noqa: PTH123 (pathlib is not loaded here)
            _mount(f"/dev/{name}", f"{root}/dev/{name}", "", _BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")  # noqa: PTH211
    # Read-only as a whole: without a user namespace, /proc/sys would obey uid 0 even where it has no capability.
    _mount("proc", f"{root}/proc", "proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    for path in spec["tmpfs"]:
        os.makedirs(root + path, exist_ok=True)  # noqa: PTH103
        _mount("tmpfs", root + path, "tmpfs", _NOSUID | _NODEV, "mode=1777")
    for source, target in spec["binds"]:
        _mount(source, root + target, "", _BIND)
    kept = sum(flag for name, flag in _KEPT.items() if os.statvfs(root).f_flag & name)
    _mount("", root, "", _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV | kept)
    os.chdir(root)
    _mount(".", "/", "", _MOVE)
    os.chroot(".")
    os.chdir("/")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _give_up_privileges(spec: dict[str, Any]) -> None:
    for capability in range(64):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL for those that this kernel does not have
    _libc.prctl(_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    if spec["become"]:
        os.setgroups(spec["groups"])
        os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _must(_libc.capset(header, bytes(24)), "giving up capabilities")
    _must(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _must(_libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "dying with slimrun")  # becoming another user undoes it


def main() -> None:
    """Never returns."""
    try:
        with open(sys.argv[1], "rb") as file:  # noqa: PTH123 (as above)
            spec = json.load(file)
        socket.sethostname("slimrun")
        if spec["own_network"]:
            _loopback_up()
        _mounts(spec)
        os.chdir(spec["cwd"])
        _give_up_privileges(spec)
    except OSError as error:
        sys.stderr.write(f"slimrun: no sandbox: {error.args[-1]}\n")
        os._exit(125)
    if not spec["argv"]:
        os._exit(0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.umask(0o022)
    try:
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        sys.stderr.write(f"cannot run {spec['argv'][0]}: {error.strerror}\n")
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main()
