"""Hostile files (ELF.md 6.1): BadElf or a result, in little time and memory, whatever the bytes."""

from __future__ import annotations

import ast
import io
import os
import random
import struct
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_kit import DT_NEEDED, DT_STRSZ, DT_STRTAB, LINE, PT_DYNAMIC, PT_LOAD, Kit, made, merged

import slimrun
from slimrun.elf.closure import Facts, Finding, Root, Supply, check, close
from slimrun.elf.reader import read_elf
from slimrun.elf.symbols import read_symbols
from slimrun.errors import BadElf
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, file
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.elf.info import ElfInfo


PT_INTERP, PT_NOTE, DT_SONAME, DT_VERNEED = 3, 4, 14, 0x6FFFFFFE
LIMIT, MEMORY = 0.05, 64 << 20


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


def read(data: bytes, path: str = "/lib/x.so") -> ElfInfo | None:
    return read_elf(io.BytesIO(data), path)


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


def test_version_records_that_go_in_circles() -> None:
    """vn_next leads forward only; a table of overlapping records still comes to an end."""
    record = struct.pack("<HHIII", 1, 1, 1, 0, 1)
    with pytest.raises(BadElf):
        read(made(b"\0v\0" + record * 400, [(DT_VERNEED, 64 + 2 * 56 + 3)]))


def test_sections_are_never_looked_at(sound: bytes) -> None:
    """A table of compressed sections that claim the world, or none at all: the loader does not read it either."""
    it = Bytes(sound)
    start, count = it.get("<Q", 0x28), it.get("<H", 0x3C)
    for at in range(start, start + 64 * count, 64):
        it.put("<Q", at + 8, 0x800)  # SHF_COMPRESSED
        it.put("<Q", at + 24, 1 << 40)
        it.put("<Q", at + 32, 1 << 62)
    bare = Bytes(sound)
    del bare.data[start:]
    for field in (0x28, 0x3C, 0x3E):
        bare.put("<H" if field != 0x28 else "<Q", field, 0)
    assert read(bytes(it.data)) == read(bytes(bare.data)) == read(sound)


def test_a_chain_of_notes_that_is_too_long(sound: bytes) -> None:
    """More than a MiB of notes is skipped, and what is in them with it."""
    it = Bytes(sound + b"\4\0\0\0\1\0\0\0\0\0\0\0GNU\0" * (1 << 17))
    at = it.segment(PT_NOTE)
    it.put("<Q", at + 8, len(sound))
    it.put("<Q", at + 32, len(it.data) - len(sound))
    info = read(bytes(it.data))
    assert info is not None
    assert (info.build_id, info.needed) == ("", ("liba.so.1", "libb.so.2"))


def test_a_file_of_a_terabyte_that_is_not_there(sound: bytes, tmp_path: Path) -> None:
    """Sparse: its size costs nothing to make, and nothing to look at."""
    place = tmp_path / "sparse.so"
    place.write_bytes(sound)
    os.truncate(place, 1 << 40)
    entry = Entry(kind=Kind.FILE, size=1 << 40, digest="sparse", content=Extent(str(place), 0, 1 << 40))
    began = time.process_time()
    info = Facts().facts("/sparse.so", entry)
    assert info is not None
    assert info.soname == "libsound.so.9"
    assert time.process_time() - began < LIMIT
    holes = tmp_path / "holes.so"
    holes.touch()
    os.truncate(holes, 1 << 40)
    nothing = replace(entry, digest="holes", content=Extent(str(holes), 0, 1 << 40))
    assert Facts().facts("/holes.so", nothing) is None


def test_many_names_of_one_file_are_read_once(sound: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A farm of hard links, or of copies."""
    facts, entry = Facts(), file(sound)
    first = facts.facts("/0.so", entry)
    monkeypatch.setattr(Entry, "open", None)
    assert {id(facts.facts(f"/{number}.so", entry)) for number in range(10_000)} == {id(first)}


@pytest.mark.parametrize("kind", [Kind.FIFO, Kind.CHAR, Kind.BLOCK, Kind.DIR])
def test_what_is_no_file_is_never_opened(kind: Kind, kit: Kit) -> None:
    """A FIFO that is called as a library is would block for ever; it ends the search as it would the loader's."""
    tree = merged(kit.glibc("2.36"), **{"libx.so": Entry(kind=kind)})
    roots = [Root(path="/app/prog", why=LINE)]
    closure = close(tree.merge(Tree({"/app/prog": kit.program("2.36", ["libx.so"])})), roots, [], facts=Facts())
    (missing,) = closure.missing
    assert missing.fatal.startswith("/lib/x86_64-linux-gnu/libx.so: ")


@pytest.fixture(scope="module")
def seeds(kit: Kit, sound: bytes) -> list[bytes]:
    """Files of all shapes: versions needed and defined, an interpreter, notes, both hash tables, none of anything."""
    found = [
        sound,
        kit.program("2.36", ["libfoo.so.1"]).read(),
        kit.offering("libver.so.1", "V1", "V2", "V3").read(),
        kit.asking("libask.so", "libver.so.1", "V1", "V2").read(),
        kit.glibc("2.41")["libc.so.6"].read(),
        made(b"\0liba.so\0libb.so\0", [(DT_NEEDED, 1), (DT_NEEDED, 9)]),
        kit.bench.exe("hostile/exe", ["liba.so"], options=["-Wl,--hash-style=sysv"]).read_bytes(),
    ]
    big = Path("/usr/lib/x86_64-linux-gnu/libz.so.1")
    return [*found, big.read_bytes()] if big.exists() else found


def mutant(seed: bytes, chance: random.Random) -> bytes:
    """A few bytes, words or ranges changed where headers and tables are; sometimes cut off or grown."""
    data = bytearray(seed)
    reach = chance.choice([64, 64 + 56 * 12, 4096, len(data)])
    for _ in range(chance.choice([1, 1, 2, 4, 32])):
        at = chance.randrange(min(reach, len(data)))
        match chance.randrange(4):
            case 0:
                data[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
            case 1:
                value = chance.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, chance.randrange(len(data) * 2)])
                data[at & ~3 : (at & ~3) + 4] = struct.pack("<I", value)
            case 2:
                value = chance.choice([0, 1 << 20, 1 << 40, 1 << 62, (1 << 64) - 1, chance.randrange(len(data) * 2)])
                data[at & ~7 : (at & ~7) + 8] = struct.pack("<Q", value)
            case 3:
                other = chance.randrange(len(data))
                data[at : at + 24] = data[other : other + 24]
    if chance.randrange(8) == 0:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def seconds(data: bytes, outcomes: dict[str, int]) -> float:
    """CPU time of reading one file in every way that there is."""
    began = time.process_time()
    try:
        info = read(data)
        read_symbols(io.BytesIO(data), "/x")
        outcomes["read" if info is not None else "no ELF"] += 1
    except BadElf:
        outcomes["bad"] += 1
    return time.process_time() - began


def test_two_thousand_mutants(seeds: list[bytes]) -> None:
    """Each ends in BadElf or a result within 50 ms and 64 MiB; where another process gets in between, the best of three counts."""
    chance, outcomes = random.Random(20261124), {"read": 0, "bad": 0, "no ELF": 0}
    tracemalloc.start()
    for number in range(2000):
        data = mutant(seeds[number % len(seeds)], chance)
        tracemalloc.reset_peak()
        took = seconds(data, outcomes)
        assert tracemalloc.get_traced_memory()[1] < MEMORY, number
        if took > LIMIT:
            took = min(seconds(data, dict(outcomes)) for _ in range(3))
        assert took < LIMIT, number
    tracemalloc.stop()
    assert sum(outcomes.values()) == 2000
    assert min(outcomes["read"], outcomes["bad"]) > 200


def test_mutants_among_the_files_of_an_image(seeds: list[bytes], kit: Kit) -> None:
    """As a module, as what it needs, and as what is only there: values and findings, or BadElf, and always an end."""
    chance, base = random.Random(77), merged(kit.glibc("2.36"))
    program = kit.program("2.36", ["libfoo.so.1"])
    supply = Supply(name="supply", tree=base.merge(Tree({"/usr/lib/libfoo.so.1": kit.library("libfoo.so.1")})))
    roots = [Root(path="/app/prog", why=LINE), Root(path="/x/ext.so", why=LINE, program="/app/prog")]
    rules: set[str] = set()
    for _ in range(150):
        places = {
            path: file(mutant(chance.choice(seeds), chance))
            for path in ("/x/ext.so", "/usr/lib/libfoo.so.1", "/x/y.so")
        }
        tree = base.merge(Tree({"/app/prog": program, **places}))
        try:
            closure = close(tree, roots, [supply], facts=Facts())
            final = tree.merge(Tree({one.path: one.entry for one in closure.pulled}))
            said = check(final, roots, facts=Facts())
            rules |= {one.rule if isinstance(one, Finding) else type(one).__name__ for one in said}
            assert all(str(one).isprintable() for one in said)
        except BadElf:
            rules.add("BadElf")
    assert {"bad-elf", "Missing"} <= rules


def reaches(path: Path) -> set[str]:
    """The modules that a file imports, and what it takes of `os`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            found.add(f"os.{node.attr}")
    return found


def test_nothing_of_a_target_is_run() -> None:
    """A file's own PT_INTERP may be anything (ELF.md 4.1): what decides on an image starts no process and loads no library."""
    rooms = Path(slimrun.__file__).parent
    forbidden = {
        "subprocess",
        "ctypes",
        "multiprocessing",
        "socket",
        "pty",
        "runpy",
        "os.system",
        "os.fork",
        "os.popen",
    }
    for path in (path for room in ("elf", "tree", "prune", "debian") for path in sorted((rooms / room).glob("*.py"))):
        found = reaches(path)
        assert not found & forbidden, path
        assert not [name for name in found if name.startswith(("os.exec", "os.spawn", "os.posix_spawn"))], path


@pytest.mark.parametrize("options", [["-static"], ["-static-pie"]])
def test_programs_without_libraries(options: list[str], kit: Kit) -> None:
    """They need nothing, in a tree that has nothing: no interpreter, no libc, and no table of what they need."""
    program = file(kit.bench.exe(f"static{options[0]}", options=options).read_bytes(), mode=0o755)
    tree = Tree({"/app/prog": program})
    roots = [Root(path="/app/prog", why=LINE)]
    closure = close(tree, roots, [Supply(name="supply", tree=merged(kit.glibc("2.36")))], facts=Facts())
    assert (closure.pulled, closure.missing, closure.used) == ((), (), {"/app/prog"})
    assert check(tree, roots, facts=Facts()) == ()
