"""What must hold of a finished tree (ELF.md 6.3, 1 to 8): for each check a tree that fails it, and one that does not."""

from __future__ import annotations

import random
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from elf_kit import LD, LIBC, LINE, MULTI, Kit, merged
from tests.images import GLIBC
from tests.tinyelf import program, shared
from tests.treetext import tree

from slimrun.elf import ldcache
from slimrun.elf.closure import Facts, Finding, Level, Missing, Root, Unmet, check
from slimrun.elf.output import BASE
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

LIB = "/usr/lib/x86_64-linux-gnu"
ARM = 183
SOUND: dict[str, str | bytes] = {
    **GLIBC,
    "/usr/bin/python3": program(needs=("libc.so.6",)),
    "/usr/lib/ext.so": shared(needs=("libz.so.1",)),
    f"{LIB}/libz.so.1": "symlink libz.so.1.3",
    f"{LIB}/libz.so.1.3": shared(soname="libz.so.1", needs=("libc.so.6",), offers=("libz.so.1", "Z_1")),
    ldcache.PATH: ldcache.write([ldcache.Cached("libz.so.1", f"{LIB}/libz.so.1", 0x303)]),
    "/etc/mtab": "symlink ../proc/self/mounts",
}
ROOTS = (
    Root(path="/usr/bin/python3", why=LINE),
    Root(path="/usr/lib/ext.so", why=LINE, program="/usr/bin/python3"),
)


def found(rows: dict[str, str | bytes], origin: Callable[[str], str] = lambda _: "python") -> list[tuple[str, Level]]:
    """Rules and classes of what is wrong, and how bad it is."""
    said = check(tree(rows), ROOTS, facts=Facts(), origin=origin)
    return [(one.rule, one.level) if isinstance(one, Finding) else (type(one).__name__, Level.ERROR) for one in said]


def cached(name: str, path: str, flags: int = 0x303) -> dict[str, str | bytes]:
    return {ldcache.PATH: ldcache.write([ldcache.Cached(name, path, flags)])}


def with_a_segment(data: bytes, offset: int, address: int) -> bytes:
    """A PT_LOAD more, of memory alone."""
    head = struct.pack("<IIQQQQQQ", 1, 6, offset, address, address, 0, 16, 0x1000)
    return data[:0x38] + struct.pack("<H", 3) + data[0x3A : 64 + 112] + head + data[64 + 168 :]


BROKEN: dict[str, tuple[dict[str, str | bytes], str]] = {
    "1: a root's interpreter is not there": ({"/usr/bin/python3": program(interp="/lib/ld-none.so")}, "Missing"),
    "1: a root's interpreter is of another machine": (
        {f"{LIB}/ld-linux-x86-64.so.2": shared(soname="ld-linux-x86-64.so.2", machine=ARM)},
        "Missing",
    ),
    "1: another program's interpreter": ({"/usr/bin/tool": program(interp="/lib/ld-none.so")}, "no-interpreter"),
    "1: another program's interpreter is text": (
        {"/usr/bin/tool": program(interp="/lib/ld-x.so"), "/usr/lib/ld-x.so": b"text" * 40},
        "no-interpreter",
    ),
    "2: a library is not there": ({"/usr/lib/ext.so": shared(needs=("libnone.so",))}, "Missing"),
    "2: a library is of another machine": (
        {f"{LIB}/libz.so.1.3": shared(soname="libz.so.1", machine=ARM), ldcache.PATH: ldcache.write([])},
        "Missing",
    ),
    "3: a version is not there": (
        {"/usr/lib/ext.so": shared(needs=("libz.so.1",), wants=(("libz.so.1", ("Z_1", "Z_2")),))},
        "Unmet",
    ),
    "4: a second libc": ({"/usr/lib/libc.so.6": shared(soname="libc.so.6", tail=b"2")}, "glibc-mixed"),
    "5: a segment on no page": ({f"{LIB}/libbad.so": with_a_segment(shared(soname="libbad.so"), 8, 0x5000)}, "misaligned"),
    "6: a library's link": ({f"{LIB}/libgone.so": "symlink libgone.so.1"}, "dangling-link"),
    "6: another link": ({"/usr/bin/idle": "symlink idle3"}, "dangling-link"),
    "6: a link above the root": ({"/usr/bin/up": "symlink ../../../usr/bin/python3"}, "escaping-link"),
    "7: a module of another machine": ({"/usr/lib/ext.so": shared(machine=ARM)}, "wrong-machine"),
    "8: a line leads nowhere": (cached("libz.so.1", "/opt/libz.so.1"), "stale-cache"),
    "8: a line leads to text": (cached("libx.so", "/etc/passwd") | {"/etc/passwd": b"root"}, "stale-cache"),
    "8: a line leads to another machine": (
        cached("libz.so.1", "/opt/libz.so.1") | {"/opt/libz.so.1": shared(soname="libz.so.1", machine=ARM)},
        "stale-cache",
    ),
    "8: no cache at all": ({ldcache.PATH: b"text"}, "stale-cache"),
}  # fmt: skip


def test_a_sound_tree_has_nothing_wrong() -> None:
    assert found(SOUND) == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_hold(name: str) -> None:
    rows, rule = BROKEN[name]
    assert (rule, Level.ERROR) in found(SOUND | rows)


BASE_S_OWN = ("no-interpreter", "misaligned", "dangling-link", "escaping-link")


@pytest.mark.parametrize("name", [name for name, (_, rule) in BROKEN.items() if rule in BASE_S_OWN])
def test_what_the_base_has_wrong_is_a_warning(name: str) -> None:
    """It is nothing that slimrun could mend."""
    rows, rule = BROKEN[name]
    (path,) = [path for path in rows if path not in ("/usr/lib/ld-x.so",)]
    assert found(SOUND | rows, lambda it: BASE if it == path else "python") == [(rule, Level.WARNING)]


@pytest.mark.parametrize("origin", ["packages", "files"])
def test_links_that_debian_or_a_person_left_are_a_warning(origin: str) -> None:
    """What a package only recommends, what a volume brings; but for a library's, which are an error."""
    rows: dict[str, str | bytes] = {"/usr/share/js": "symlink ../javascript", "/app/data": "symlink ../../data/x"}
    assert found(SOUND | rows, lambda _: origin) == [
        ("dangling-link", Level.WARNING), ("escaping-link", Level.WARNING), ("dangling-link", Level.WARNING),
    ]  # fmt: skip
    assert found(SOUND | {f"{LIB}/libx.so": "symlink libx.so.1"}, lambda _: origin) == [("dangling-link", Level.ERROR)]


def test_glibc_out_of_two_places(kit: Kit) -> None:
    """Each place tells the same build, or it is a mix: a libm says none."""
    files = merged(kit.glibc("2.36")).merge(Tree({"/app/prog": kit.program("2.36", ["libm.so.6"])}))
    roots = [Root(path="/app/prog", why=LINE)]

    def rules(supply: Callable[[str], str]) -> list[str]:
        said = check(files, roots, facts=Facts(), supply=supply)
        assert not [one for one in said if isinstance(one, Missing | Unmet)]
        return [f"{one.rule}: {one.text}" for one in said if isinstance(one, Finding)]

    assert rules(lambda _: "builder") == []
    assert rules(lambda path: "packages" if path.endswith(LIBC) else "builder") == []
    assert rules(lambda path: "files" if path.endswith("libm.so.6") else BASE) == [
        "glibc-mixed: glibc comes from several places, of which not all tell the build: files, the runtime"
    ]


def test_two_builds_of_glibc(kit: Kit) -> None:
    mixed = merged(kit.glibc("2.36") | {LD: kit.glibc("2.41")[LD]})
    said = check(
        mixed.merge(Tree({"/app/prog": kit.program("2.36")})), [Root(path="/app/prog", why=LINE)], facts=Facts()
    )
    assert [one.rule for one in said if isinstance(one, Finding)] == ["glibc-mixed"]
    assert f"{MULTI}/{LIBC} is of Test GLIBC 2.36-1" in str(said[0])


def test_files_of_debugging_information_are_not_loaded(kit: Kit) -> None:
    """`objcopy --only-keep-debug` keeps headers that describe another file."""
    place = kit.bench.lib("debug/libx.so", source=kit.bench.object("debugged", "int data = 1;\n"))
    out = place.with_name("libx.debug")
    subprocess.run(["objcopy", "--only-keep-debug", str(place), str(out)], check=True)
    rows = SOUND | {"/usr/lib/debug/libx.debug": out.read_bytes()}
    assert Level.ERROR not in {level for _, level in found(rows)}


def test_links_above_the_root() -> None:
    """Counted a second way: each step looked at, in folders without links."""
    chance = random.Random(6)
    for _ in range(300):
        here = [chance.choice("abc") for _ in range(chance.randrange(4))]
        target = [chance.choice(["..", "..", "a", "."]) for _ in range(chance.randrange(1, 7))]
        path = "/" + "/".join([*here, "link"])
        above = any(
            sum({"..": -1, ".": 0}.get(part, 1) for part in target[: end + 1]) + len(here) < 0
            for end in range(len(target))
        )
        rules = {rule for rule, _ in found({path: f"symlink {'/'.join(target)}"})}
        assert ("escaping-link" in rules) is above, (path, target)
