"""What one glibc does and another does not: alignment, capabilities, executable stacks, DT_RELR; each in its own Debian."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from elf_trees import Distro, different, distro

from slimrun.elf import inspect
from slimrun.elf.folders import Hit
from slimrun.elf.model import Level
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from elf_bench import Bench

SUITES = ("bullseye", "bookworm", "trixie")
PT_LOAD, P_VADDR, P_ALIGN = 1, 16, 48
PYTHON = {"bullseye": "/usr/bin/python3", "bookworm": "/usr/local/bin/python3", "trixie": "/usr/bin/python3"}


@pytest.fixture(params=SUITES)
def there(request: pytest.FixtureRequest, bench: Bench) -> Distro:
    """A distribution with the bench at /mnt."""
    return distro(request.param).with_({"/mnt": bench.work})


def loads(data: bytes) -> list[int]:
    """Where the program headers of the PT_LOADs are."""
    (start,), (count,) = struct.unpack_from("<Q", data, 0x20), struct.unpack_from("<H", data, 0x38)
    return [at for at in range(start, start + 56 * count, 56) if struct.unpack_from("<I", data, at)[0] == PT_LOAD]


def writable(bench: Bench) -> str:
    """Data of its own: its PT_LOAD lies at another address than in the file."""
    return bench.object("writable", "int data = 1;\nint get(void) { return data; }\n")


def patched(place: Path, field: int, change: int, *, which: slice = slice(None), add: bool = False) -> None:
    data = bytearray(place.read_bytes())
    for at in loads(bytes(data))[which]:
        (old,) = struct.unpack_from("<Q", data, at + field)
        struct.pack_into("<Q", data, at + field, old + change if add else change)
    place.write_bytes(data)


@pytest.mark.parametrize("align", [0, 1, 0x10, 0x800, 0x1000, 0x10000, 0x200000, 1 << 40])
def test_alignment(align: int, there: Distro, bench: Bench) -> None:
    """Until 2.34 the loader heeds p_align; from then on the page alone."""
    bench.lib("liby.so", ["libx.so"], runpath="$ORIGIN")
    place = bench.lib("libx.so", source=writable(bench), options=["-Wl,-z,max-page-size=0x200000"])
    patched(place, P_ALIGN, align)
    real = there.real(["/mnt/liby.so"])
    assert different(real, there.mine(real)) == []
    assert real["/mnt/liby.so"].error is (there.name == "bullseye" and align not in (0x1000, 0x10000, 0x200000))


def test_an_address_and_an_offset_of_different_pages(there: Distro, bench: Bench) -> None:
    bench.lib("liby.so", ["libx.so"], runpath="$ORIGIN")
    patched(bench.lib("libx.so", source=writable(bench)), P_VADDR, 8, which=slice(-1, None), add=True)
    real = there.real(["/mnt/liby.so"])
    assert different(real, there.mine(real)) == []
    assert real["/mnt/liby.so"].error


def test_capabilities(there: Distro, bench: Bench) -> None:
    """glibc-hwcaps since 2.33, tls and the platform until 2.36."""
    for folder in ("glibc-hwcaps/x86-64-v2", "tls", ""):
        bench.lib(f"d/{folder}/liba.so")
    for folder in ("tls/x86_64", "x86_64/x86_64"):
        bench.lib(f"d/{folder}/libb.so")
    bench.lib("d/glibc-hwcaps/x86-64-v2/libc2.so")
    bench.lib("x.so", ["liba.so", "libb.so", "libc2.so"], runpath="$ORIGIN/d")
    real = there.real(["/mnt/x.so"])
    assert different(real, there.mine(real)) == []
    (said,) = real.values()
    expected = {"bullseye": "tls", "bookworm": "glibc-hwcaps/x86-64-v2", "trixie": "glibc-hwcaps/x86-64-v2"}
    assert f"/mnt/d/{expected[there.name]}/liba.so" in said.loaded
    assert said.missing == {"bullseye": {"libc2.so"}, "bookworm": set(), "trixie": {"libb.so"}}[there.name]


def test_executable_stack(there: Distro, bench: Bench) -> None:
    """dlopen refuses it from 2.41 on; until then it makes the stack executable."""
    bench.lib("stack.so", options=["-Wl,-z,execstack"])
    bench.lib("plain.so")
    for name in ("stack.so", "plain.so"):
        program = PYTHON[there.name]
        out = there.sh(f'{program} -c \'import ctypes; ctypes.CDLL("/mnt/{name}"); print("opened")\' 2>&1')
        refused = "cannot enable executable stack" in out
        assert refused is not (out.strip() == "opened"), out
        assert refused is (name == "stack.so" and there.name == "trixie")
        ours = there.ours()
        process = ours.process(program)
        found = resolve(there.tree, f"/mnt/{name}")
        assert found is not None
        info = ours.facts.facts(found.path, found.entry)
        assert info is not None
        module = process.fork().open(Hit(found.path, found.path, found.entry, info, (), "root"))
        said = {one.rule for one in inspect.findings(process, [module], module=True) if one.level is Level.ERROR}
        assert said == ({"executable-stack"} if refused else set())


def test_a_version_that_is_no_number(there: Distro, bench: Bench) -> None:
    """GLIBC_ABI_DT_RELR, which glibc 2.36 defined: an opaque string, offered or not."""
    source = bench.object(
        "relr",
        "extern int puts(const char *);\nint (*table[9])(const char *) = {puts, puts};\nint *self = (int *)&self;\n",
    )
    place = bench.lib("relr.so", source=source, options=["-Wl,--no-as-needed,-z,pack-relative-relocs", "-lc"])
    assert b"GLIBC_ABI_DT_RELR" in place.read_bytes()
    real = there.real(["/mnt/relr.so"])
    assert different(real, there.mine(real)) == []
    expected = {("GLIBC_ABI_DT_RELR", "/mnt/relr.so")} if there.name == "bullseye" else set()
    assert real["/mnt/relr.so"].versions == expected


def test_kinds_of_versions(there: Distro, bench: Bench) -> None:
    """Offered, not offered, needed weakly, and of a library that lost all its versions or never had any."""
    for name, text in (("v1", "V1"), ("v2", "V1 V2")):
        words = text.split()
        code = "".join(f"void of_{word}(void) {{}}\n" for word in words)
        (bench.objects / f"{name}.map").write_text("".join(f"{word} {{ global: of_{word}; }};\n" for word in words))
        options = [f"-Wl,--version-script={bench.objects / name}.map"]
        bench.lib(f"{name}/libv.so", soname="libv.so", source=bench.object(name, code), options=options)
    source = bench.object("asks", "void of_V1(void); void of_V2(void); void ask(void) { of_V1(); of_V2(); }\n")
    against = [bench / "v2/libv.so"]
    for folder in ("v1", "v2", "bare"):
        bench.lib(f"{folder}/ask.so", source=source, against=against, runpath="$ORIGIN")
    weak = bytearray((bench / "v1/ask.so").read_bytes())
    for at in _vernauxs(bytes(weak)):
        struct.pack_into("<H", weak, at + 4, 2)
    (bench / "v1/weak.so").write_bytes(weak)
    bench.lib("bare/libv.so", soname="libv.so")
    files = ["/mnt/v1/ask.so", "/mnt/v1/weak.so", "/mnt/v2/ask.so", "/mnt/bare/ask.so"]
    real = there.real(files)
    assert different(real, there.mine(files)) == []
    assert real["/mnt/v1/ask.so"].versions == {("V2", "/mnt/v1/ask.so")}
    assert real["/mnt/v1/weak.so"].weak == {("V2", "/mnt/v1/weak.so")}
    assert real["/mnt/bare/ask.so"].unversioned == {("/mnt/bare/libv.so", "/mnt/bare/ask.so")}
    assert not real["/mnt/v2/ask.so"].versions


def test_a_library_without_any_versions_ends_the_process(there: Distro, bench: Bench) -> None:
    """Not when it is loaded: when a symbol is found in it that is wanted with a version (dl-lookup.c); a newer glibc takes it."""
    code = bench.object("late", "void of_V1(void) {}\n")
    (bench.objects / "late.map").write_text("V1 { global: of_V1; };\n")
    versioned = ["-Wl,--version-script=" + str(bench.objects / "late.map")]
    bench.lib("with/libv.so", soname="libv.so", source=code, options=versioned)
    bench.lib("bare/libv.so", soname="libv.so", source=code)
    source = bench.object("wants", "void of_V1(void); void ask(void) { of_V1(); }\n")
    for folder in ("with", "bare"):
        bench.lib(f"{folder}/ask.so", source=source, against=[bench / "with/libv.so"], runpath="$ORIGIN")
        call = f'import ctypes; ctypes.CDLL("/mnt/{folder}/ask.so", 2); print("alive")'
        said = there.sh(f"{PYTHON[there.name]} -c '{call}' 2>&1")
        ours = there.ours()
        process = ours.process(f"/mnt/{folder}/ask.so")
        (breach, *_) = [*inspect.breaches(process, process.loaded), None]
        assert (breach is not None) is (folder == "bare")
        dies = breach is not None and breach.fatal
        assert dies is (folder == "bare" and there.name != "trixie")
        assert dies is ("alive" not in said) is ("Assertion" in said), said


def _vernauxs(data: bytes) -> list[int]:
    """Where the Vernaux records are: their names and hashes are of V1 and V2."""
    found = []
    for name in ("V1", "V2"):
        value = 0
        for char in name.encode():
            value = ((value << 4) + char) & 0xFFFFFFFF
            value ^= (value >> 24) & 0xF0
        found.append(data.index(struct.pack("<IH", value & 0x0FFFFFFF, 0)))
    return found
