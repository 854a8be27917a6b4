"""Two small images: an official CPython and a glibc runtime, of ELF files that no kernel will ever start."""

from __future__ import annotations

from slimrun.python.interpreter import find_interpreter
from tests.tinyelf import program, shared
from tests.treetext import tree

LIB = "/usr/lib/x86_64-linux-gnu"
PY = "/usr/local/lib/python3.11"
GLIBC = {
    "/lib64": "symlink usr/lib64",
    "/lib": "symlink usr/lib",
    "/usr/lib64/ld-linux-x86-64.so.2": f"symlink ..{LIB[4:]}/ld-linux-x86-64.so.2",
    f"{LIB}/ld-linux-x86-64.so.2": shared(soname="ld-linux-x86-64.so.2"),
    f"{LIB}/libc.so.6": shared(soname="libc.so.6", needs=("ld-linux-x86-64.so.2",)),
    f"{LIB}/libm.so.6": shared(soname="libm.so.6", needs=("libc.so.6",)),
}
TAG = ".cpython-311-x86_64-linux-gnu.so"
OFFICIAL: dict[str, str | bytes] = {
    **GLIBC,
    "/usr/local/bin/python3": "symlink python3.11",
    "/usr/local/bin/python3.11": program(needs=("libpython3.11.so.1.0", "libc.so.6")),
    "/usr/local/bin/pip": "file 0755 script",
    "/usr/local/bin/2to3": "symlink 2to3-3.11",
    "/usr/local/bin/2to3-3.11": "file 0755 script",
    "/usr/local/lib/libpython3.11.so.1.0": shared(soname="libpython3.11.so.1.0", needs=("libm.so.6", "libc.so.6")),
    "/usr/local/lib/libpython3.so": shared(soname="libpython3.so", needs=("libpython3.11.so.1.0",)),
    "/usr/local/include/python3.11/Python.h": b"#define",
    f"{PY}/os.py": b"import os",
    f"{PY}/ssl.py": b"import _ssl",
    f"{PY}/test/test_os.py": b"assert",
    f"{PY}/tkinter/__init__.py": b"import _tkinter",
    f"{PY}/__pycache__/os.cpython-311.pyc": b"code",
    f"{PY}/lib-dynload/_ssl{TAG}": shared(needs=("libssl.so.3", "libc.so.6")),
    f"{PY}/lib-dynload/_uuid{TAG}": shared(needs=("libuuid.so.1",)),
    f"{PY}/lib-dynload/_tkinter{TAG}": shared(needs=("libtk8.6.so",)),
    f"{PY}/lib-dynload/_curses{TAG}": shared(needs=("libncursesw.so.6",)),
    f"{PY}/site-packages/pip/__init__.py": b"pip",
    f"{LIB}/libssl.so.3": shared(soname="libssl.so.3", needs=("libcrypto.so.3", "libc.so.6")),
    f"{LIB}/libcrypto.so.3": shared(soname="libcrypto.so.3", needs=("libc.so.6",)),
    f"{LIB}/libncursesw.so.6": "symlink libncursesw.so.6.4",
    f"{LIB}/libncursesw.so.6.4": shared(soname="libncursesw.so.6"),
    f"{LIB}/libgcc_s.so.1": shared(soname="libgcc_s.so.1", needs=("libc.so.6",)),
    f"{LIB}/libunused.so.1": shared(soname="libunused.so.1"),
    "/etc/ld.so.conf": b"/usr/local/lib\n",
    "/usr/share/zoneinfo/Europe/Berlin": b"TZif",
}
RUNTIME: dict[str, str | bytes] = {
    **GLIBC,
    "/bin/sh": b"busybox",
    "/etc/passwd": "file 0644 root:x:0:0:root:/root:/bin/sh",
    "/tmp": "dir 1777",
}
official, runtime = tree(OFFICIAL), tree(RUNTIME)
INTERPRETER = find_interpreter(official)
