"""Which CPython a tree holds, read from its files: the interpreter is never executed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun import machine
from slimrun.errors import PythonNotFound
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slimrun.tree.tree import TreeSource

# What official images and Debian set, for images whose config has no PATH.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIBRARY = re.compile(r"python(\d+)\.(\d+)(t?)")
_EXTENSION = re.compile(r"\.cpython-(\d+[a-z]*)(?:-[a-z0-9_-]+)?\.so$")
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One CPython of a tree; paths are those inside the tree, every symbolic link resolved.

    `path` is what shebangs and the entrypoint name; `version` is (major, minor, micro), micro None where no file says
    it; `ext_suffixes` in the order in which import looks (PEP 3149), `tag` and `abi` as in wheel names (PEP 425): cp37
    and cp37m; `debian` means the dist-packages layout, where wheels and scripts go below /usr/local as pip puts them;
    `arch` is the kernel's word (x86_64, aarch64).
    """

    path: str
    prefix: str
    version: tuple[int, int, int | None]
    stdlib: str
    site_packages: str
    dynload: str
    scripts: str
    ext_suffixes: tuple[str, ...]
    tag: str
    abi: str
    debian: bool
    arch: str

    @property
    def series(self) -> str:
        """`3.11`."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def full_version(self) -> str:
        """`3.11.2`, or `3.11` where micro is not known."""
        return self.series if self.version[2] is None else f"{self.series}.{self.version[2]}"


def find_interpreter(
    tree: TreeSource, path_env: str = DEFAULT_PATH, *, env: Mapping[str, str] | None = None
) -> Interpreter:
    """The first python3 on `path_env`; `env` is the image's, where official images say PYTHON_VERSION.

    Raises PythonNotFound where there is none, and where it is a wrapper script or has no standard library.
    """
    path = _first_python(tree, path_env)
    runs_on = machine.of_elf(_head(tree, path))
    if runs_on is None:
        msg = f"{path} is not an ELF program"
        raise PythonNotFound(msg, hint="it looks like a wrapper: put the folder of the real python3 first on PATH")
    arch, prefix = runs_on.kernel, dirname(dirname(path)).rstrip("/")
    stdlib = _stdlib(tree, path, prefix)
    name = _LIBRARY.fullmatch(basename(stdlib))
    major, minor = (int(name[1]), int(name[2])) if name else (3, 0)
    dynload = next((found for found in _library_folders(prefix, f"{basename(stdlib)}/lib-dynload")
                    if tree.children(found)), f"{stdlib}/lib-dynload")  # fmt: skip
    suffix = _ext_suffix(tree, dynload, path, arch, f"{major}{minor}")
    debian = _is_debian(tree, stdlib)
    home = "/usr/local" if debian else prefix
    found = _EXTENSION.match(suffix)
    return Interpreter(
        path=path,
        prefix=prefix or "/",
        version=(major, minor, _micro(tree, prefix, path, f"{major}.{minor}", env or {})),
        stdlib=stdlib,
        site_packages=f"{home}/lib/{basename(stdlib)}/{'dist' if debian else 'site'}-packages",
        dynload=dynload,
        scripts=f"{home}/bin",
        ext_suffixes=(suffix, f".abi{major}.so", ".so"),
        tag=f"cp{major}{minor}",
        abi=f"cp{found[1] if found else f'{major}{minor}'}",
        debian=debian,
        arch=arch,
    )


def glibc_version(tree: TreeSource, arch: str = "") -> tuple[int, int] | None:
    """The release of the tree's glibc, from the banner inside libc.so.6; None where there is none (musl, static).

    With `arch` (x86_64, …) a libc of another architecture is passed over.
    """
    for path in _libcs(tree):
        found = resolve(tree, path)
        if found is None or found.entry.kind is not Kind.FILE:
            continue
        made_for = machine.of_elf(_head(tree, found.path))
        if arch and (made_for is None or made_for.kernel != arch):
            continue
        banner = re.compile(rb"GNU C Library [^\n]{0,200}? release version (\d+)\.(\d+)")
        for match in _search(tree, found.path, banner):
            return int(match[1]), int(match[2])
    return None


def _first_python(tree: TreeSource, path_env: str) -> str:
    folders = [folder for folder in path_env.split(":") if folder.startswith("/")]
    for folder in folders:
        found = resolve(tree, f"{folder.rstrip('/')}/python3")
        if found is not None and found.entry.kind is Kind.FILE and found.entry.mode & 0o111:
            return found.path
    msg = f"no python3 in {':'.join(folders) or 'an empty PATH'}"
    raise PythonNotFound(msg, hint="name an image that has CPython 3 on its PATH, such as python:3.11-slim")


def _library_folders(prefix: str, name: str) -> tuple[str, ...]:
    """Where Fedora and openSUSE (sys.platlibdir) and everyone else put it."""
    return f"{prefix}/lib/{name}", f"{prefix}/lib64/{name}"


def _stdlib(tree: TreeSource, path: str, prefix: str) -> str:
    """The folder with os.py: of the version in the program's name, else the only one that this prefix has."""
    wanted = _LIBRARY.match(basename(path))
    names = {
        name
        for folder in _library_folders(prefix, "")
        for name in tree.children(folder.rstrip("/"))
        if _LIBRARY.fullmatch(name) and name.startswith("python3.")
    }
    if wanted:
        # A free-threaded build's folder is python3.13t while its program may be python3.13 too.
        names &= {f"python{wanted[1]}.{wanted[2]}{wanted[3]}"}
    found = [
        folder
        for name in sorted(names)
        for folder in _library_folders(prefix, name)
        if {"os.py", "os.pyc"} & set(tree.children(folder))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        msg = f"{path} has no standard library in {prefix}/lib/python3.*"
        raise PythonNotFound(msg, hint="install it (Debian: libpython3-stdlib), or name a complete image")
    msg = f"{path} could belong to {' or '.join(found)}"
    raise PythonNotFound(msg, hint="let python3 be a link to a program with its version in the name")


def _ext_suffix(tree: TreeSource, dynload: str, path: str, arch: str, digits: str) -> str:
    """`.cpython-311-x86_64-linux-gnu.so`: as the extension modules say, else as CPython's configure makes it."""
    names = (_EXTENSION.search(name) for name in tree.children(dynload))
    seen = Counter(match[0] for match in names if match and match[1].startswith(digits))
    if seen:
        return min(seen, key=lambda suffix: (-seen[suffix], suffix))
    flags = re.sub(r"python[\d.]*", "", basename(path))
    if not flags and int(digits[1:]) < 8:
        flags = "m"  # ABI flag of every build until 3.7 (bpo-36707)
    return f".cpython-{digits}{flags}-{machine.of_kernel(arch).triplet}.so"


def _is_debian(tree: TreeSource, stdlib: str) -> bool:
    site = resolve(tree, f"{stdlib}/site.py")
    if site is None or site.entry.kind is not Kind.FILE:
        return False
    with tree.open(site.path) as stream:
        return b"dist-packages" in stream.read()


def _micro(tree: TreeSource, prefix: str, path: str, series: str, env: Mapping[str, str]) -> int | None:
    """From patchlevel.h, else the image's PYTHON_VERSION, else the text that sys.version begins with."""
    version = re.compile(rf"{re.escape(series)}\.(\d+)")
    for name in tree.children(f"{prefix}/include"):
        header = f"{prefix}/include/{name}/patchlevel.h"
        if name.startswith(f"python{series}") and tree.stat(header) is not None:
            with tree.open(header) as stream:
                said = re.search(r'#define\s+PY_VERSION\s+"([^"]+)"', stream.read().decode("utf-8", "replace"))
            if said and (match := version.match(said[1])):
                return int(match[1])
    if match := version.match(env.get("PYTHON_VERSION", "")):
        return int(match[1])
    # The linker merges strings with equal ends: the version may stand at the end of a path that the build left.
    text = re.compile(rb"(?<![\d.])" + re.escape(series).encode() + rb"\.(\d{1,3})(?:(?:a|b|rc)\d+)?\+?\0")
    for program in (*_libpythons(tree, prefix, series), path):
        seen = {int(match[1]) for match in _search(tree, program, text)}
        if len(seen) == 1:
            return seen.pop()
    return None


def _libpythons(tree: TreeSource, prefix: str, series: str) -> Iterator[str]:
    for folder in _multiarch(tree, (f"{prefix}/lib", f"{prefix}/lib64")):
        for name in tree.children(folder):
            if name.startswith(f"libpython{series}") and ".so" in name:
                found = resolve(tree, join(folder, name))
                if found is not None and found.entry.kind is Kind.FILE:
                    yield found.path


def _libcs(tree: TreeSource) -> Iterator[str]:
    for folder in _multiarch(tree, ("/lib", "/usr/lib", "/lib64", "/usr/lib64")):
        yield f"{folder}/libc.so.6"


def _multiarch(tree: TreeSource, folders: tuple[str, ...]) -> Iterator[str]:
    """Each folder, and Debian's folder of each architecture inside it."""
    for folder in folders:
        found = resolve(tree, folder)
        if found is not None:
            yield found.path
            names = tree.children(found.path)
            yield from (join(found.path, name) for name in names if "-linux-gnu" in name)


def _head(tree: TreeSource, path: str) -> bytes:
    with tree.open(path) as stream:
        return stream.read(20)


def _search(tree: TreeSource, path: str, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Matches in a file of any size; the pattern may match at most 512 bytes."""
    with tree.open(path) as stream:
        rest = b""
        while data := stream.read(_CHUNK):
            yield from pattern.finditer(rest + data)
            rest = data[-512:]
