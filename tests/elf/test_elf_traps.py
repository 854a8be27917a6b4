"""The traps of ELF.md 4.2 and others of section 1: what a distribution's own files never exercise, against the real loader."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from elf_kit import DT_NEEDED, DT_STRTAB, PT_DYNAMIC

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elf_bench import Bench, Ours, Real

    Trap = Callable[[Bench], Path]

DT_SONAME, DT_RPATH, DT_RUNPATH = 14, 15, 29
# What each trap must come to, so that a trap that catches nothing any more is noticed: found and missing names, or fatal.
EXPECTED: dict[str, str] = {}
TRAPS: dict[str, Trap] = {}


def trap(expected: str) -> Callable[[Trap], Trap]:
    """Name a trap after its function."""

    def remember(make: Trap) -> Trap:
        TRAPS[make.__name__], EXPECTED[make.__name__] = make, expected
        return make

    return remember


@trap("d/liba.so d/libb.so")
def rpath_is_inherited(bench: Bench) -> Path:
    bench.lib("d/liba.so", ["libb.so"])
    bench.lib("d/libb.so")
    return bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d")


@trap("d/liba.so -libb.so")
def runpath_is_not_inherited(bench: Bench) -> Path:
    bench.lib("d/liba.so", ["libb.so"])
    bench.lib("d/libb.so")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d")


@trap("d/liba.so -libb.so")
def runpath_of_a_library_blocks_the_rpath_of_the_program(bench: Bench) -> Path:
    bench.lib("d/liba.so", ["libb.so"], runpath="/nowhere")
    bench.lib("d/libb.so")
    return bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d")


@trap("d/liba.so -libb.so")
def runpath_beside_an_rpath_makes_that_nothing(bench: Bench) -> Path:
    """Of the program's two tags RPATH counts for nobody, and RUNPATH for the program alone."""
    bench.lib("d/liba.so", ["libb.so"])
    bench.lib("d/libb.so")
    return _tagged(bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d"), DT_RUNPATH, b"$ORIGIN/d")


@trap("-liba.so")
def the_last_of_two_rpaths_counts(bench: Bench) -> Path:
    bench.lib("d/liba.so")
    return _tagged(bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d"), DT_RPATH, b"libc.so.6")


@trap("d/liba.so d/libq-real.so")
def the_last_of_two_sonames_counts(bench: Bench) -> Path:
    _tagged(bench.lib("d/libq-real.so", ["libq.so.1"], soname="libnot.so"), DT_SONAME, b"libq.so.1")
    bench.lib("d/liba.so", ["libq.so.1"])
    return bench.exe("exe", ["libq-real.so", "liba.so"], rpath="$ORIGIN/d")


@trap("d/liba.so")
def what_stands_behind_the_end_is_not_there(bench: Bench) -> Path:
    """DT_NULL ends the table, whatever its segment's size says."""
    bench.lib("d/liba.so")
    return _tagged(bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d"), DT_NEEDED, b"$ORIGIN/d", behind=True)


@trap("a/liba.so b/libb.so c/libc1.so")
def rpath_comes_from_the_chain_of_loaders(bench: Bench) -> Path:
    bench.lib("a/liba.so", ["libb.so"], rpath="$ORIGIN/../b:$ORIGIN/../c")
    bench.lib("b/libb.so", ["libc1.so"])
    bench.lib("c/libc1.so")
    return bench.exe("exe", ["liba.so"], rpath="$ORIGIN/a")


@trap("a/liba.so b/libb.so d/libd.so -libx.so")
def breadth_first_order_decides_who_loads(bench: Bench) -> Path:
    # libd.so is met by liba.so first, whose RPATH it inherits; libb.so, which has libx.so at hand, comes too late.
    bench.lib("a/liba.so", ["libd.so"], rpath="$ORIGIN/../d")
    bench.lib("b/libb.so", ["libd.so"], rpath="$ORIGIN/../d:$ORIGIN/../x")
    bench.lib("d/libd.so", ["libx.so"])
    bench.lib("x/libx.so")
    return bench.exe("exe", ["liba.so", "libb.so"], rpath="$ORIGIN/a:$ORIGIN/b")


@trap("i/real/deep/liba.so i/real/lib/libb.so")
def dots_after_a_linked_folder_are_physical(bench: Bench) -> Path:
    bench.lib("i/real/deep/liba.so", ["libb.so"], runpath="$ORIGIN/../lib")
    bench.lib("i/real/lib/libb.so")
    bench.lib("i/lib/libb.so", options=["-Wl,-soname,decoy"])
    (bench / "i/app").symlink_to("real/deep")
    return bench.exe("exe", ["liba.so"], runpath=str(bench / "i/app"))


@trap("j/lib/libb.so")
def origin_of_a_linked_program_is_its_real_folder(bench: Bench) -> Path:
    bench.lib("j/lib/libb.so")
    bench.exe("j/bin/ej", ["libb.so"], runpath="$ORIGIN/../lib")
    (bench / "other").mkdir()
    (bench / "other/ej").symlink_to("../j/bin/ej")
    return bench / "other/ej"


@trap("j/l1/liba.so -libb.so")
def origin_of_a_linked_library_is_the_folder_of_the_link(bench: Bench) -> Path:
    bench.lib("j/l1/liba.so", ["libb.so"], runpath="$ORIGIN")
    bench.lib("j/l1/libb.so")
    (bench / "j/l2").mkdir()
    (bench / "j/l2/liba.so").symlink_to("../l1/liba.so")
    return bench.exe("exe", ["liba.so"], runpath=str(bench / "j/l2"))


@trap("d/?libh.so d/libp.so")
def hwcaps_come_before_the_plain_file(bench: Bench) -> Path:
    for folder in ("d", "d/glibc-hwcaps/x86-64-v2", "d/glibc-hwcaps/x86-64-v3"):
        bench.lib(f"{folder}/libh.so")
    bench.lib("d/libp.so")
    return bench.exe("exe", ["libh.so", "libp.so"], runpath="$ORIGIN/d")


@trap("d/?libh.so d/?libi.so d/?libj.so d/libp.so")
def capabilities_of_older_days_come_before_the_plain_file(bench: Bench) -> Path:
    """Until glibc 2.36 (ELF.md 1.3); to a newer loader the folders are nothing, and the names are missing."""
    for folder in ("tls", f"tls/{bench.platform}", bench.platform, "x86_64", "tls/tls", "avx512_1/haswell"):
        bench.lib(f"d/{folder}/libh.so")
    for folder in ("haswell/avx512_1", "tls/x86_64", "tls/avx512_1"):
        bench.lib(f"d/{folder}/libi.so")
    bench.lib("d/x86_64/x86_64/libj.so")
    bench.lib("d/libp.so")
    return bench.exe("exe", ["libh.so", "libi.so", "libj.so", "libp.so"], rpath="$ORIGIN/d")


@trap("d/liba.so")
def the_kernels_own_object_is_no_file(bench: Bench) -> Path:
    bench.lib("d/liba.so", ["linux-vdso.so.1"])
    return bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d")


@trap("d/libf.so -libaux.so")
def auxiliary_filtee_may_be_absent(bench: Bench) -> Path:
    bench.lib("d/libf.so", options=["-Wl,-f,libaux.so"])
    return bench.exe("exe", ["libf.so"], rpath="$ORIGIN/d")


@trap("d/libaux.so d/libf.so")
def auxiliary_filtee_is_loaded(bench: Bench) -> Path:
    bench.lib("d/libf.so", options=["-Wl,-f,libaux.so"])
    bench.lib("d/libaux.so")
    return bench.exe("exe", ["libf.so"], rpath="$ORIGIN/d")


@trap("d/libf.so -libtarget.so")
def filtee_must_be_there(bench: Bench) -> Path:
    bench.lib("d/libf.so", options=["-Wl,-F,libtarget.so"])
    return bench.exe("exe", ["libf.so"], rpath="$ORIGIN/d")


@trap("d/libf.so e/libtarget.so")
def filtee_is_searched_by_the_filter(bench: Bench) -> Path:
    bench.lib("d/libf.so", options=["-Wl,-F,libtarget.so"], runpath="$ORIGIN/../e")
    bench.lib("e/libtarget.so")
    return bench.exe("exe", ["libf.so"], rpath="$ORIGIN/d")


@trap("t/lib/x86_64-linux-gnu/liba.so t/$PLATFORM/libb.so")
def tokens_lib_and_platform(bench: Bench) -> Path:
    bench.lib("t/lib/x86_64-linux-gnu/liba.so")
    bench.lib(f"t/{bench.platform}/libb.so")
    return bench.exe("exe", ["liba.so", "libb.so"], runpath="$ORIGIN/t/${LIB}:${ORIGIN}/t/$PLATFORM")


@trap("${NOPE}/liba.so")
def unknown_token_stays(bench: Bench) -> Path:
    bench.lib("${NOPE}/liba.so")
    return bench.exe("exe", ["liba.so"], runpath=f"{bench.work}/${{NOPE}}")


@trap("-liba.so")
def longer_name_is_another_token(bench: Bench) -> Path:
    bench.lib("dAL/liba.so")
    return bench.exe("d/exe", ["liba.so"], runpath="$ORIGINAL")


@trap("fatal")
def linker_script_ends_the_search(bench: Bench) -> Path:
    bench.lib("e/liba.so")
    (bench / "d").mkdir()
    (bench / "d/liba.so").write_text("/* GNU ld script */ INPUT ( /lib/libreal.so.6 AS_NEEDED ( /lib/other.so.2 ) )\n")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")


@trap("fatal")
def empty_file_ends_the_search(bench: Bench) -> Path:
    bench.lib("e/liba.so")
    (bench / "d").mkdir()
    (bench / "d/liba.so").touch()
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")


@trap("fatal")
def folder_of_that_name_ends_the_search(bench: Bench) -> Path:
    bench.lib("e/liba.so")
    (bench / "d/liba.so").mkdir(parents=True)
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")


@trap("fatal")
def program_named_as_library_ends_the_search(bench: Bench) -> Path:
    bench.exe("d/liba.so")
    bench.lib("e/liba.so")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")


@trap("fatal")
def fixed_address_program_ends_the_search(bench: Bench) -> Path:
    bench.exe("d/liba.so", options=["-no-pie"])
    bench.lib("e/liba.so")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")


@trap("fatal")
def other_byte_order_ends_the_search(bench: Bench) -> Path:
    return _patched(bench, 5, b"\x02")


@trap("fatal")
def other_os_abi_ends_the_search(bench: Bench) -> Path:
    return _patched(bench, 7, b"\x09")


@trap("fatal")
def padding_ends_the_search(bench: Bench) -> Path:
    return _patched(bench, 12, b"\x01")


@trap("e/liba.so")
def other_machine_is_skipped(bench: Bench) -> Path:
    return _patched(bench, 18, b"\xb7\x00")


@trap("e/liba.so")
def other_class_is_skipped(bench: Bench) -> Path:
    return _patched(bench, 4, b"\x01")


@trap("e/liba.so")
def dangling_link_is_skipped(bench: Bench) -> Path:
    bench.lib("e/liba.so")
    (bench / "d").mkdir()
    (bench / "d/liba.so").symlink_to("liba.so.1")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")


@trap("d/libother.so d/libreal-xyz.so")
def soname_of_a_loaded_library_ends_the_search(bench: Bench) -> Path:
    bench.lib("d/libreal-xyz.so", soname="libq.so.1")
    bench.lib("d/libother.so", ["libq.so.1"])
    return bench.exe("exe", ["libreal-xyz.so", "libother.so"], runpath="$ORIGIN/d")


@trap("d/libother.so -libq.so.1")
def soname_counts_only_once_loaded(bench: Bench) -> Path:
    bench.lib("d/libreal-xyz.so", soname="libq.so.1")
    bench.lib("d/libother.so", ["libq.so.1"])
    return bench.exe("exe", ["libother.so"], runpath="$ORIGIN/d")


@trap("d/liba.so")
def names_of_one_file_are_one_object(bench: Bench) -> Path:
    bench.lib("d/liba.so")
    os.link(bench / "d/liba.so", bench / "d/libb.so")
    (bench / "d/libc1.so").symlink_to("liba.so")
    return bench.exe("exe", ["liba.so", "libb.so", "libc1.so"], runpath="$ORIGIN/d")


@trap("e/libs.so")
def needed_with_a_slash_is_opened_as_it_is(bench: Bench) -> Path:
    bench.lib("e/libs.so")
    return bench.exe("exe", ["$ORIGIN/e/libs.so"])


@trap("-e/libs.so")
def needed_relative_path_depends_on_the_working_folder(bench: Bench) -> Path:
    bench.lib("e/libs.so")
    return bench.exe("exe", ["e/libs.so"], runpath="$ORIGIN")


@trap("-libc.so.6")
def nodefaultlib_leaves_only_the_paths(bench: Bench) -> Path:
    return bench.exe("exe", options=["-Wl,-z,nodefaultlib"])


@trap("d/liba.so")
def folder_at_the_end_of_two_slashes(bench: Bench) -> Path:
    bench.lib("d/liba.so")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN//d//")


@trap("-liba.so")
def empty_element_is_the_working_folder(bench: Bench) -> Path:
    bench.lib("liba.so")
    return bench.exe("exe", ["liba.so"], runpath="/zzz:")


@trap("d/liba.so -libself-missing.so")
def cycles_end(bench: Bench) -> Path:
    bench.lib("d/liba.so", ["libb.so", "liba.so", "libself-missing.so"], soname="libb.so")
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d")


@pytest.mark.parametrize("name", sorted(TRAPS))
def test_trap(name: str, bench: Bench, ours: Ours, real_loader: Real) -> None:
    bench.platform = real_loader.platform
    expected = EXPECTED[name].replace("$PLATFORM", bench.platform)
    file = TRAPS[name](bench)
    said = ours.trace(str(file))
    real = real_loader.trace(os.path.realpath(file))
    assert said.fatal is real.fatal is (expected == "fatal")
    if not said.fatal:
        assert (said.loaded, said.missing) == (real.loaded, real.missing)
        mine = sorted(os.path.relpath(path, bench.work) for path in said.loaded if path.startswith(str(bench.work)))
        words = [word for word in expected.split() if "?" not in word and not word.startswith("-")]
        unsure = {word[word.index("?") + 1 :] for word in expected.split() if "?" in word}
        assert [path for path in mine if path.rpartition("/")[2] not in unsure] == words
        missing = {word[1:] for word in expected.split() if word.startswith("-")}
        assert said.missing - unsure == missing


def test_working_folder(bench: Bench, ours: Ours, real_loader: Real) -> None:
    bench.lib("liba.so", ["e/libs.so"])
    bench.lib("e/libs.so")
    file = str(bench.exe("exe", ["liba.so"], runpath="/zzz:"))
    for cwd in ("/", str(bench.work)):
        said, real = ours.trace(file, cwd=cwd), real_loader.trace(file, cwd=cwd)
        assert (said.loaded, said.missing) == (real.loaded, real.missing)
        assert bool(said.missing) is (cwd == "/")


def test_preloaded(bench: Bench, ours: Ours, real_loader: Real) -> None:
    """Before all that the program needs, by the program's own paths; what is not there is left out."""
    bench.lib("d/liba.so", ["libq.so.1"])
    bench.lib("d/libq.so.1")
    bench.lib("d/libpre.so", ["libb.so"])
    bench.lib("d/libb.so")
    other = bench.lib("e/other.so", soname="libq.so.1")
    file = str(bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d"))
    for preload in ("libpre.so", f"{other}", f"libnone.so libpre.so:{other}", "", "libc.so.6"):
        names = [name for name in preload.replace(":", " ").split() if name]
        said, real = ours.trace(file, preload=names), real_loader.trace(file, preload=preload)
        assert (said.loaded, said.missing - {"libnone.so"}, said.fatal) == (real.loaded, real.missing, real.fatal)
        assert (str(other) in said.loaded) is (str(bench / "d/libq.so.1") not in said.loaded) is (str(other) in preload)
        assert (str(bench / "d/libb.so") in said.loaded) is ("libpre" in preload)


@pytest.mark.parametrize("text", ["{w}/p", "{w}/q:{w}/p", "{w}/q;{w}/p", "$ORIGIN/p", "", ":", "/no"])
def test_library_path(text: str, bench: Bench, ours: Ours, real_loader: Real) -> None:
    for folder in ("p", "q", "d"):
        bench.lib(f"{folder}/liba.so")
    file = str(bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d"))
    path = text.format(w=bench.work)
    parts = path.replace(";", ":").split(":") if path else []
    said, real = ours.trace(file, library_path=parts), real_loader.trace(file, library_path=path)
    assert (said.loaded, said.missing) == (real.loaded, real.missing)


def _tagged(file: Path, tag: int, text: bytes, *, behind: bool = False) -> Path:
    """The file with one entry more in its dynamic table, where the linker leaves some free; `behind` the first DT_NULL."""
    data = bytearray(file.read_bytes())
    (phoff,), (count,) = struct.unpack_from("<Q", data, 0x20), struct.unpack_from("<H", data, 0x38)
    heads = [struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * number) for number in range(count)]
    (start, size) = next((head[2], head[5]) for head in heads if head[0] == PT_DYNAMIC)
    rows = [struct.unpack_from("<QQ", data, at) for at in range(start, start + size, 16)]
    null = [row[0] for row in rows].index(0) + behind
    assert null + 1 < len(rows), "the linker left no room"
    table = next(value for key, value in rows if key == DT_STRTAB)
    index = data.index(text + b"\0", table) - table
    struct.pack_into("<QQ", data, start + 16 * null, tag, index)
    file.write_bytes(data)
    return file


def _patched(bench: Bench, offset: int, new: bytes) -> Path:
    """liba.so in d/, which comes first, with some bytes of its header changed, and a good one in e/."""
    good = bench.lib("e/liba.so").read_bytes()
    (bench / "d").mkdir()
    (bench / "d/liba.so").write_bytes(good[:offset] + new + good[offset + len(new) :])
    return bench.exe("exe", ["liba.so"], runpath="$ORIGIN/d:$ORIGIN/e")
