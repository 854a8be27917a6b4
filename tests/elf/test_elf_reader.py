"""Facts from bytes: equal to pyelftools' on good files, BadElf and nothing else on hostile ones (ELF.md 6.1)."""

from __future__ import annotations

import io
import random
import struct
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_kit import DT_NEEDED, DT_STRSZ, DT_STRTAB, PT_DYNAMIC, PT_LOAD, made
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

from slimrun.elf.facts import Facts
from slimrun.elf.info import ElfInfo, ElfType
from slimrun.elf.reader import read_elf
from slimrun.elf.symbols import read_symbols
from slimrun.errors import BadElf
from slimrun.tree.entry import Entry, Extent, Kind, file

if TYPE_CHECKING:
    from collections.abc import Callable

    from elf_bench import Bench

PT_NOTE, DT_SONAME, DT_VERNEED = 4, 14, 0x6FFFFFFE


class Bytes:
    """A 64-bit library under a knife: program headers and dynamic entries by number."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        (self.phoff,) = struct.unpack_from("<Q", data, 0x20)
        (self.phnum,) = struct.unpack_from("<H", data, 0x38)

    def segment(self, kind: int) -> int:
        """Offset of the first program header of a type."""
        places = (self.phoff + 56 * number for number in range(self.phnum))
        return next(at for at in places if self.get("<I", at) == kind)

    def dynamic(self, tag: int) -> int:
        """Offset of the first dynamic entry with a tag."""
        at = self.get("<Q", self.segment(PT_DYNAMIC) + 8)
        while self.get("<Q", at) != tag:
            at += 16
        return at

    def get(self, layout: str, at: int) -> int:
        (value,) = struct.unpack_from(layout, self.data, at)
        assert isinstance(value, int)
        return value

    def put(self, layout: str, at: int, value: int) -> None:
        struct.pack_into(layout, self.data, at, value)


@pytest.fixture
def sound(bench: Bench) -> bytes:
    """A small library with all kinds of tags."""
    source = bench.object(
        "sound",
        "extern void other(void);\nvoid mine(void) { other(); }\nstatic int hidden;\nint *use(void) { return &hidden; }\n",
    )
    options = ["-Wl,-z,nodelete", "-Wl,--build-id=0x0123456789abcdef", "-Wl,--hash-style=gnu"]
    return bench.lib(
        "libsound.so",
        ["liba.so.1", "libb.so.2"],
        soname="libsound.so.9",
        runpath="$ORIGIN",
        options=options,
        source=source,
    ).read_bytes()


def read(data: bytes, path: str = "/lib/x.so") -> ElfInfo | None:
    return read_elf(io.BytesIO(data), path)


def test_facts(sound: bytes) -> None:
    info = read(sound)
    assert info is not None
    assert (info.bits, info.little, info.machine, info.type) == (64, True, 62, ElfType.SHARED)
    assert (info.soname, info.needed, info.rpath, info.runpath) == (
        "libsound.so.9",
        ("liba.so.1", "libb.so.2"),
        None,
        "$ORIGIN",
    )
    assert (info.build_id, info.exec_stack, info.refused, info.interp) == ("0123456789abcdef", False, "", "")
    assert (info.flags_1, info.nodeflib, info.pie, info.misaligned) == (8, False, False, ())
    symbols = read_symbols(io.BytesIO(sound), "/lib/x.so")
    assert (symbols.imports, symbols.exports) == ({"other"}, {"mine", "use"})


def test_symbols_by_both_hash_tables(bench: Bench) -> None:
    source = bench.object(
        "many",
        "".join(f"void f{number}(void) {{}}\n" for number in range(900)) + "void g(void); void h(void) { g(); }\n",
    )
    found = []
    for style in ("sysv", "gnu", "both"):
        out = bench.lib(f"lib{style}.so", source=source, options=[f"-Wl,--hash-style={style}"])
        found.append(read_symbols(io.BytesIO(out.read_bytes()), "x"))
    assert found[0] == found[1] == found[2]
    assert len(found[0].exports) == 901
    assert found[0].imports == {"g"}


def test_what_is_no_elf_is_none() -> None:
    for data in (b"", b"\x7fEL", b"#!/bin/sh\n", b"PK\3\4" * 40):
        assert read(data) is None
        assert Facts().facts("/x", file(data)) is None


def test_each_content_is_read_once(sound: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, facts = file(sound), Facts()
    first = facts.facts("/a", entry)
    monkeypatch.setattr(Entry, "open", None)
    assert facts.facts("/b", entry) is first
    broken = file(sound[:200])
    monkeypatch.undo()
    for path in ("/c", "/d"):
        with pytest.raises(BadElf, match="/c: "):
            facts.facts(path, broken)


def header(offset: int, layout: str, value: int) -> Callable[[Bytes], None]:
    return lambda it: it.put(layout, offset, value)


def segment(kind: int, field: int, value: int, layout: str = "<Q") -> Callable[[Bytes], None]:
    return lambda it: it.put(layout, it.segment(kind) + field, value)


def entry(tag: int, value: int) -> Callable[[Bytes], None]:
    return lambda it: it.put("<Q", it.dynamic(tag) + 8, value)


def cut(length: int) -> Callable[[Bytes], None]:
    def do(it: Bytes) -> None:
        del it.data[length:]

    return do


def twice(it: Bytes) -> None:
    it.put("<I", it.segment(PT_NOTE), PT_DYNAMIC)


def empty_needed(it: Bytes) -> None:
    it.put("<Q", it.dynamic(DT_NEEDED) + 8, 0)


# Each of 6.1's table by the words of its error; None where the loader would take it, and so do we.
HOSTILE: dict[str, tuple[Callable[[Bytes], None], str | None]] = {
    "magic only": (cut(4), "shorter than an ELF header"),
    "cut header": (cut(40), "header is cut off"),
    "class 3": (header(4, "<B", 3), "unknown class 3"),
    "byte order 9": (header(5, "<B", 9), "byte order 9"),
    "version 2": (header(6, "<B", 2), "version 2"),
    "e_version 2": (header(0x14, "<I", 2), "e_version 2"),
    "e_phentsize 0": (header(0x36, "<H", 0), "e_phentsize is 0"),
    "e_phentsize 1": (header(0x36, "<H", 1), "e_phentsize is 1"),
    "PN_XNUM": (header(0x38, "<H", 0xFFFF), "PN_XNUM"),
    "e_phoff beyond": (header(0x20, "<Q", 1 << 62), "a table ends at"),
    "e_shentsize 0": (header(0x3A, "<H", 0), None),
    "e_shoff beyond": (header(0x28, "<Q", 1 << 62), None),
    "e_shstrndx 5000": (header(0x3E, "<H", 5000), None),
    "cut at half": (lambda it: cut(len(it.data) // 2)(it), "a PT_LOAD ends at"),
    "p_offset 2^60": (segment(PT_LOAD, 8, 1 << 60), "a PT_LOAD ends at"),
    "p_offset 2^63": (segment(PT_LOAD, 8, 1 << 63), "a PT_LOAD ends at"),
    "p_filesz 2^40": (segment(PT_LOAD, 32, 1 << 40), "a PT_LOAD ends at"),
    "PT_DYNAMIC of 2^40": (segment(PT_DYNAMIC, 32, 1 << 40), "a table of 1099511627776 bytes"),
    "PT_DYNAMIC unmapped": (segment(PT_DYNAMIC, 16, 1 << 40), "lies in no PT_LOAD"),
    "two PT_DYNAMIC": (twice, "two PT_DYNAMIC"),
    "DT_STRTAB unmapped": (entry(DT_STRTAB, 1 << 40), "DT_STRTAB at address"),
    "DT_STRSZ 0": (entry(DT_STRSZ, 0), "the string table has 0x0 bytes"),
    "DT_STRSZ 2^62": (entry(DT_STRSZ, 1 << 62), "DT_STRSZ is"),
    "DT_NEEDED 2^40": (entry(DT_NEEDED, 1 << 40), "DT_NEEDED points at"),
    "DT_NEEDED -1": (entry(DT_NEEDED, (1 << 64) - 1), "DT_NEEDED points at"),
    "DT_NEEDED empty": (empty_needed, "DT_NEEDED is empty"),
    "DT_SONAME 2^40": (entry(DT_SONAME, 1 << 40), "DT_SONAME points at"),
    "notes of 2^40": (segment(PT_NOTE, 32, 1 << 40), None),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile(name: str, sound: bytes) -> None:
    change, words = HOSTILE[name]
    it = Bytes(sound)
    change(it)
    if words is None:
        assert read(bytes(it.data)) is not None
        return
    with pytest.raises(BadElf, match=words) as caught:
        read(bytes(it.data), "/lib/bad.so")
    assert caught.value.message.startswith("/lib/bad.so: ")


def test_dynamic_table_without_end(sound: bytes) -> None:
    """The segment's size ends it where DT_NULL does not."""
    it = Bytes(sound)
    at = it.segment(PT_DYNAMIC)
    start, size = it.get("<Q", at + 8), it.get("<Q", at + 32)
    for place in range(start, start + size, 16):
        if it.get("<Q", place) == 0:
            it.put("<Q", place, 0x6FFFF000)
    assert read(bytes(it.data)) == read(sound)


def test_amplification() -> None:
    """10,000 DT_NEEDED of one string of a MiB: seconds and gigabytes for a naive reader."""
    names = b"\0" + b"a" * (1 << 20) + b"\0"
    tracemalloc.start()
    began = time.process_time()
    for count in (1000, 4096, 10_000):
        with pytest.raises(BadElf, match=r"is longer than 4096|10000 DT_NEEDED"):
            read(made(names, [(DT_NEEDED, 1)] * count))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert time.process_time() - began < 0.5


def test_many_names_of_one_string_are_one_string() -> None:
    info = read(made(b"\0liba.so\0", [(DT_NEEDED, 1)] * 4096))
    assert info is not None
    assert len(info.needed) == 4096
    assert len({id(name) for name in info.needed}) == 1


@pytest.mark.parametrize("name", ["a\nb.so", "../x.so", "/abs/./x.so", "é.so", "x" * 255])
def test_odd_names_are_kept(name: str) -> None:
    info = read(made(b"\0" + name.encode() + b"\0", [(DT_NEEDED, 1)]))
    assert info is not None
    assert info.needed == (name,)


def test_names_that_are_not_utf8_come_back_as_bytes() -> None:
    info = read(made(b"\0lib\xff.so\0", [(DT_NEEDED, 1)]))
    assert info is not None
    assert info.needed[0].encode("utf-8", "surrogateescape") == b"lib\xff.so"


def test_component_too_long() -> None:
    with pytest.raises(BadElf, match="component of more than 255"):
        read(made(b"\0/a/" + b"x" * 256 + b"\0", [(DT_NEEDED, 1)]))


def test_version_records_that_go_in_circles() -> None:
    """vn_next leads forward only; a table of overlapping records still comes to an end."""
    record = struct.pack("<HHIII", 1, 1, 1, 0, 1)
    with pytest.raises(BadElf):
        read(made(b"\0v\0" + record * 400, [(DT_VERNEED, 64 + 2 * 56 + 3)]))


def test_mutations(sound: bytes) -> None:
    """229 seeded: a result or BadElf, within 50 ms and 64 MiB."""
    chance = random.Random(20231)
    big = Path("/usr/lib/x86_64-linux-gnu/libz.so.1")
    seeds = [sound] + ([big.read_bytes()] if big.exists() else [])
    outcomes = {"read": 0, "bad": 0}
    tracemalloc.start()
    for number in range(229):
        data = bytearray(seeds[number % len(seeds)])
        reach = chance.choice([64, 1024, len(data)])
        for _ in range(chance.choice([1, 4, 32])):
            data[chance.randrange(min(reach, len(data)))] = chance.choice(
                [0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)]
            )
        if number % 5 == 0:
            del data[chance.randrange(len(data)) :]
        began = time.process_time()
        try:
            read(bytes(data))
            read_symbols(io.BytesIO(bytes(data)), "/x")
            outcomes["read"] += 1
        except BadElf:
            outcomes["bad"] += 1
        assert time.process_time() - began < 0.5
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert min(outcomes.values()) > 20


def oracle(path: Path) -> dict[str, object]:
    """The same facts by pyelftools, sections and all."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        tags: dict[str, list[str]] = {}
        for part in elf.iter_segments():
            if isinstance(part, DynamicSegment):
                for tag in part.iter_tags():
                    for key, name in (
                        ("DT_NEEDED", "needed"),
                        ("DT_SONAME", "soname"),
                        ("DT_RPATH", "rpath"),
                        ("DT_RUNPATH", "runpath"),
                    ):
                        if tag.entry.d_tag == key:
                            tags.setdefault(key, []).append(getattr(tag, name))
        need: list[tuple[str, tuple[tuple[str, bool], ...]]] = []
        defs: list[str] = []
        for section in elf.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                need += [
                    (one.name, tuple((aux.name, bool(aux["vna_flags"] & 2)) for aux in rest))
                    for one, rest in section.iter_versions()
                ]
            if isinstance(section, GNUVerDefSection):
                defs += [next(rest).name for _, rest in section.iter_versions()]
        interp = [part.get_interp_name() for part in elf.iter_segments("PT_INTERP")]
        notes = (note for part in elf.iter_segments("PT_NOTE") for note in part.iter_notes())
        build_ids = [note["n_desc"] for note in notes if note["n_type"] == "NT_GNU_BUILD_ID"]
        dynsym = elf.get_section_by_name(".dynsym")
        names = (
            [one for one in dynsym.iter_symbols() if one.name and one["st_info"]["bind"] != "STB_LOCAL"]
            if dynsym
            else []
        )
        return {
            "needed": tuple(tags.get("DT_NEEDED", ())),
            "soname": tags.get("DT_SONAME", [""])[-1],
            "rpath": tags.get("DT_RPATH", [None])[-1],
            "runpath": tags.get("DT_RUNPATH", [None])[-1],
            "verneed": tuple(need),
            "verdef": tuple(defs),
            "interp": interp[0] if interp else "",
            "build_id": build_ids[0] if build_ids else "",
            "imports": {one.name for one in names if one["st_shndx"] == "SHN_UNDEF"},
            "exports": {one.name for one in names if one["st_shndx"] != "SHN_UNDEF"},
        }


def _is_small_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 400_000:
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def test_agrees_with_pyelftools() -> None:
    folders = [
        Path("/usr/lib/x86_64-linux-gnu"),
        Path("/root/.pyenv/versions/3.11.7/lib/python3.11/lib-dynload"),
        Path("/usr/bin"),
    ]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if _is_small_elf(path)][
        ::20
    ]
    if not files:
        pytest.skip("no ELF files in the usual folders")
    for path in files:
        mine = Extent(str(path), 0, path.stat().st_size)
        with mine.open() as stream:
            info = read_elf(stream, str(path))
        with mine.open() as stream:
            symbols = read_symbols(stream, str(path))
        assert info is not None
        if info.type is ElfType.RELOCATABLE:
            continue
        said = {
            key: getattr(info, key)
            for key in ("needed", "soname", "rpath", "runpath", "verneed", "verdef", "interp", "build_id")
        }
        assert said | {"imports": symbols.imports, "exports": symbols.exports} == oracle(path), path


def test_kinds_other_than_files_are_no_elf() -> None:
    for kind in (Kind.DIR, Kind.LINK, Kind.FIFO, Kind.CHAR):
        assert Facts().facts("/x", Entry(kind=kind, size=999)) is None
