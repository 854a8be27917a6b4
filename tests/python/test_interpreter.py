"""Which CPython a tree holds: official images, Debian, musl, venvs, wrappers; nothing is executed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from slimrun.errors import PythonNotFound
from slimrun.python.interpreter import DEFAULT_PATH, Interpreter, find_interpreter, glibc_version
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, file, folder, link
from slimrun.tree.tree import Tree


def elf(machine: int = 62, *, bits: int = 64, big: bool = False, text: bytes = b"") -> bytes:
    head = b"\x7fELF" + bytes([2 if bits == 64 else 1, 2 if big else 1, 1]) + bytes(9)
    return head + struct.pack(">HH" if big else "<HH", 2, machine) + bytes(44) + text


def program(**kwargs: object) -> Entry:
    return file(elf(**kwargs), mode=0o755)  # type: ignore[arg-type]


def official(
    series: str, soabi: str, *, micro: str = "", name: str = "", triplet: str = "x86_64-linux-gnu"
) -> dict[str, Entry]:
    """An official image's /usr/local, as far as it matters."""
    name = name or f"python{series}"
    lib = f"/usr/local/lib/{name}"
    entries = {
        f"/usr/local/bin/{name}": program(),
        "/usr/local/bin/python3": link(name),
        "/usr/local/bin/python": link("python3"),
        f"{lib}/os.py": file(b""),
        f"{lib}/site.py": file(b"site-packages"),
        f"{lib}/lib-dynload/_ssl.cpython-{soabi}-{triplet}.so": program(),
        f"{lib}/lib-dynload/_json.cpython-{soabi}-{triplet}.so": program(),
        "/usr/local/lib/python3.6": folder(),
    }
    if micro:
        entries[f"/usr/local/include/{name}/patchlevel.h"] = file(f'#define PY_VERSION      "{micro}"\n'.encode())
    return entries


@pytest.mark.parametrize(
    ("series", "soabi", "abi"),
    [
        ("3.7", "37m", "cp37m"),
        ("3.8", "38", "cp38"),
        ("3.9", "39", "cp39"),
        ("3.10", "310", "cp310"),
        ("3.11", "311", "cp311"),
        ("3.12", "312", "cp312"),
        ("3.13", "313", "cp313"),
    ],
)
def test_official_images(series: str, soabi: str, abi: str) -> None:
    entries = official(series, soabi, micro=f"{series}.4")
    if series == "3.7":
        entries["/usr/local/bin/python3.7m"] = entries["/usr/local/bin/python3.7"]
        entries["/usr/local/include/python3.7m/patchlevel.h"] = entries.pop("/usr/local/include/python3.7/patchlevel.h")
    found = find_interpreter(Tree(entries), DEFAULT_PATH)
    digits = series.replace(".", "")
    lib = f"/usr/local/lib/python{series}"
    assert found == Interpreter(
        path=f"/usr/local/bin/python{series}",
        prefix="/usr/local",
        version=(3, int(series[2:]), 4),
        stdlib=lib,
        site_packages=f"{lib}/site-packages",
        dynload=f"{lib}/lib-dynload",
        scripts="/usr/local/bin",
        ext_suffixes=(f".cpython-{soabi}-x86_64-linux-gnu.so", ".abi3.so", ".so"),
        tag=f"cp{digits}",
        abi=abi,
        debian=False,
        arch="x86_64",
    )
    assert (found.series, found.full_version) == (series, f"{series}.4")


def test_free_threaded() -> None:
    entries = official("3.13", "313t", name="python3.13t")
    found = find_interpreter(Tree(entries), "/usr/local/bin")
    assert (found.abi, found.stdlib, found.version) == ("cp313t", "/usr/local/lib/python3.13t", (3, 13, None))


def test_debian_with_merged_usr() -> None:
    tree = Tree(
        {
            "/bin": link("usr/bin"),
            "/usr/bin/python3": link("python3.11"),
            "/usr/bin/python3.11": program(machine=183, text=b"\x003.11.2\x00"),
            "/usr/lib/python3.11/os.py": file(b""),
            "/usr/lib/python3.11/site.py": file(b'"dist-packages"'),
            "/usr/lib/python3/dist-packages/six.py": file(b""),
            "/usr/lib/python3.11/lib-dynload/_x.cpython-311-aarch64-linux-gnu.so": program(),
        }
    )
    found = find_interpreter(tree, "/bin:/usr/bin")
    assert found.debian
    assert (found.path, found.prefix) == ("/usr/bin/python3.11", "/usr")
    assert (found.site_packages, found.scripts) == ("/usr/local/lib/python3.11/dist-packages", "/usr/local/bin")
    assert (found.arch, found.full_version) == ("aarch64", "3.11.2")


def test_a_venv_leads_to_its_base() -> None:
    entries = official("3.11", "311") | {
        "/opt/venv/bin/python3": link("python"),
        "/opt/venv/bin/python": link("/usr/local/bin/python3"),
    }
    assert find_interpreter(Tree(entries), "/opt/venv/bin:/usr/local/bin").path == "/usr/local/bin/python3.11"


def test_the_first_on_path_counts() -> None:
    entries = official("3.11", "311") | {
        "/usr/bin/python3": program(),
        "/usr/lib/python3.9/os.py": file(b""),
        "/sbin/python3": link("missing"),
        "/opt/python3": folder(),
        "/srv/python3": file(elf(), mode=0o644),
    }
    tree = Tree(entries)
    assert find_interpreter(tree, "relative:/none:/sbin:/opt:/srv:/usr/bin/:/usr/local/bin").path == "/usr/bin/python3"
    assert find_interpreter(tree, "/usr/bin").version == (3, 9, None)
    assert find_interpreter(tree, "/usr/bin").ext_suffixes[0] == ".cpython-39-x86_64-linux-gnu.so"


def test_a_library_folder_that_is_lib64() -> None:
    tree = Tree(
        {
            "/usr/bin/python3": link("python3.12"),
            "/usr/bin/python3.12": program(),
            "/usr/lib64/python3.12/os.py": file(b""),
            "/usr/lib64/python3.12/lib-dynload/_x.cpython-312-x86_64-linux-gnu.so": program(),
        }
    )
    found = find_interpreter(tree, "/usr/bin")
    assert (found.stdlib, found.dynload) == ("/usr/lib64/python3.12", "/usr/lib64/python3.12/lib-dynload")


@pytest.mark.parametrize(
    ("micro", "env", "text", "expected"),
    [
        ("3.11.7", {"PYTHON_VERSION": "3.11.9"}, b"\x003.11.1\x00", 7),
        ("3.11.0rc2", {}, b"", 0),
        ("", {"PYTHON_VERSION": "3.11.9"}, b"\x003.11.1\x00", 9),
        ("", {"PYTHON_VERSION": "3.12.1"}, b"\x003.11.13+\x00", 13),
        ("", {}, b"/build/versions/3.11.7\x00", 7),
        ("", {}, b"\x003.11.1\x00x\x003.11.2\x00", None),
        ("", {}, b"113.11.1\x00 3.11.1.2\x00", None),
        ("", {}, b"", None),
    ],
)  # fmt: skip
def test_micro(micro: str, env: dict[str, str], text: bytes, expected: int | None) -> None:
    entries = official("3.11", "311", micro=micro) | {"/usr/local/lib/libpython3.11.so.1.0": program(text=text)}
    assert find_interpreter(Tree(entries), "/usr/local/bin", env=env).version == (3, 11, expected)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"/usr/local/bin/python3": None}, "no python3 in /usr/local/bin"),
        ({"/usr/local/bin/python3.11": file(b"#!/bin/sh\n", mode=0o755)}, "is not an ELF program"),
        ({"/usr/local/bin/python3.11": file(b"", mode=0o755)}, "is not an ELF program"),
        ({"/usr/local/lib/python3.11/os.py": None}, "has no standard library"),
    ],
)
def test_no_python(change: dict[str, Entry | None], says: str) -> None:
    entries = official("3.11", "311") | change
    with pytest.raises(PythonNotFound, match=says) as caught:
        find_interpreter(Tree({path: entry for path, entry in entries.items() if entry}), "/usr/local/bin")
    assert caught.value.hint


def test_two_candidates_are_not_guessed_between() -> None:
    tree = Tree({"/bin/python3": program(), "/lib/python3.9/os.py": file(b""), "/lib/python3.10/os.py": file(b"")})
    with pytest.raises(PythonNotFound, match=r"could belong to /lib/python3\.10 or /lib/python3\.9"):
        find_interpreter(tree, "/bin")


BANNER = b"\x00GNU C Library (Debian GLIBC 2.36-9+deb12u8) stable release version 2.36.\nCopyright"


@pytest.mark.parametrize(
    ("path", "machine", "text", "expected"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", 62, BANNER, (2, 36)),
        ("/usr/lib/aarch64-linux-gnu/libc.so.6", 183, BANNER, None),
        ("/lib64/libc.so.6", 62, b"GNU C Library (GNU libc) development release version 2.40.9000.\n", (2, 40)),
        ("/lib/libc.so.6", 62, b"GNU C Library stable release version 2.17, by Roland\n", (2, 17)),
        ("/lib/libc.so.6", 62, b"nothing", None),
        ("/lib/libc.musl-x86_64.so.1", 62, BANNER, None),
    ],
)
def test_glibc(path: str, machine: int, text: bytes, expected: tuple[int, int] | None) -> None:
    assert glibc_version(Tree({path: program(machine=machine, text=text)}), "x86_64") == expected


def test_glibc_through_links_and_across_chunks() -> None:
    data = elf(text=bytes((1 << 22) - 100) + BANNER)
    home = "/usr/lib/x86_64-linux-gnu"
    entries = {"/lib": link("usr/lib"), f"{home}/libc.so.6": link("libc-2.36.so"), f"{home}/libc-2.36.so": file(data)}
    tree = Tree(entries)
    assert glibc_version(tree) == (2, 36)
    assert glibc_version(Tree({})) is None


@pytest.mark.skipif(not Path("/usr/bin/python3.11").is_file(), reason="no python3.11 of Debian here")
def test_this_machines_own() -> None:
    """A real interpreter and libc, read and not run."""
    entries = {"/usr/bin/python3": link("python3.11"), "/usr/lib/python3.11/os.py": file(b"")}
    for path in ("/usr/bin/python3.11", "/usr/lib/x86_64-linux-gnu/libc.so.6"):
        if Path(path).is_file():
            size = Path(path).stat().st_size
            entries[path] = Entry(kind=Kind.FILE, mode=0o755, size=size, content=Extent(path, 0, size))
    found = find_interpreter(Tree(entries), "/usr/bin")
    assert found.version[:2] == (3, 11)
    assert found.version[2] is not None
