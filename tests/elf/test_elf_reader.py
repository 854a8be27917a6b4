"""Facts from bytes, equal to pyelftools' on all that a distribution has."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_kit import DT_NEEDED, made
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

from slimrun.elf.facts import Facts
from slimrun.elf.info import ElfInfo, ElfType
from slimrun.elf.reader import read_elf
from slimrun.elf.symbols import read_symbols
from slimrun.errors import BadElf
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, file

if TYPE_CHECKING:
    from elf_bench import Bench


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
