"""The closure: a table of worlds in text, each with what apt would choose, and what cannot be chosen."""

from __future__ import annotations

import time

import pytest
from worlds import texts

from slimrun.debian.archive import Source
from slimrun.debian.depends import closure
from slimrun.debian.packages import read_index
from slimrun.debian.universe import Universe
from slimrun.errors import PackageNotFound

SOURCE = Source(suite="bookworm", root="http://deb.debian.org/debian")


def universe(text: str) -> Universe:
    """`name version; Field: value; …` a line."""
    stanzas = []
    for line in text.strip().splitlines():
        head, *rest = (part.strip() for part in line.split(";"))
        name, _, version = head.partition(" ")
        given = [f"Package: {name}", f"Version: {version or '1'}", "Architecture: amd64", *rest]
        stanzas.append("\n".join([*given, "Filename: pool/x.deb", "Size: 1", f"SHA256: {'0' * 64}"]))
    return Universe("bookworm", "amd64", [read_index("\n\n".join(stanzas).encode(), SOURCE)])


@pytest.mark.parametrize(
    ("world", "asked", "chosen"),
    [
        ("a; Depends: b, c\nb; Pre-Depends: d\nc\nd\ne", "a", "a b c d"),
        ("a; Depends: b\nb; Depends: a", "a", "a b"),
        ("a; Recommends: b; Suggests: c\nb\nc", "a", "a"),
        ("a; Depends: b\nb\nz; Essential: yes", "a", "a b"),
        ("a; Depends: b | c\nb\nc", "a", "a b"),
        ("a; Depends: b | c\nc", "a", "a c"),
        ("a; Depends: b | c\nb\nc", "a c", "a b c"),
        ("a; Depends: b | c\nb\nc", "c a", "a c"),
        ("a; Depends: c, b | c\nb\nc", "a", "a c"),
        ("a; Depends: b (>= 2) | c\nb 1\nc", "a", "a c"),
        ("a; Depends: b (>= 2)\nb 1\nb 2.1\nb 2", "a", "a b"),
        ("a; Depends: v\np; Provides: v", "a", "a p"),
        ("a; Depends: v\nq; Provides: v; Priority: optional\np; Provides: x, v; Priority: extra", "a", "a q"),
        ("a; Depends: v\nq; Provides: v; Depends: z\np; Provides: v; Depends: y, z\ny\nz", "a", "a q z"),
        ("a; Depends: v\np; Provides: v\nz; Provides: v; Essential: yes", "a", "a z"),
        ("a; Depends: v\nv\np; Provides: v", "a", "a v"),
        ("a; Depends: v\nv\np; Provides: v", "p a", "a p"),
        ("a; Depends: v (>= 2)\nv 1\np; Provides: v (= 2)\nq; Provides: v", "a", "a p"),
        ("a; Depends: b:any, c:amd64\nb\nc", "a", "a b c"),
        ("a; Depends: b:i386 | c\nb\nc", "a", "a c"),
        ("a; Depends: b | c\nb; Conflicts: x\nc\nx", "x a", "a c x"),
        ("a; Depends: b | c\nb\nc\nx; Breaks: b (<< 2)", "x a", "a c x"),
        ("a; Depends: b | c\nb; Conflicts: v\nc\nx; Provides: v", "x a", "a c x"),
        ("a; Conflicts: v; Provides: v", "a", "a"),
        ("p; Provides: v", "v", "p"),
    ],
)
def test_closure(world: str, asked: str, chosen: str) -> None:
    found = closure(texts(*asked.split()), universe(world))
    assert " ".join(package.name for package in found) == chosen


def test_newest_wins_unless_asked() -> None:
    world = "a 1.0\na 1.0+b1\na 1.0~x\nb; Depends: a (= 1.0)"
    assert [str(one) for one in closure(texts("a"), universe(world))] == ["a 1.0+b1"]
    assert [str(one) for one in closure(texts("b", "a=1.0"), universe(world))] == ["a 1.0", "b 1"]


@pytest.mark.parametrize(
    ("world", "asked", "says", "hint", "line"),
    [
        ("python3-psycopg2", "x python3-psycpg2", "no package x for amd64", "look it up", 5),
        ("x\npython3-psycopg2", "x python3-psycpg2", "no package python3-psycpg2", "did you mean python3-psycopg2?", 6),
        ("a 1\na 2", "a=3", "no a 3", "it has 2, 1", 5),
        ("p; Provides: v\nq; Provides: v", "v", "virtual package", "name one of p, q", 5),
        ("a; Depends: b\nb; Depends: c (>= 2)\nc 1", "a", "b 1 needs c (>= 2), but bookworm has c 1", "a -> b", 5),
        ("a; Depends: b | d\nb 1", "x=1 a", "no package x", "", 5),
        ("z\na; Depends: c | d", "z a", "a 1 needs c | d, but bookworm has no c; bookworm has no d", "needed by a", 6),
        ("a; Depends: b:i386\nb", "a", "b:i386 is for another architecture", "needed by a", 5),
        ("a; Depends: b\nb; Conflicts: c\nc", "c a", "b 1 and c 1 exclude each other", "a -> b, and by c", 6),
        ("a; Depends: v (>= 1)\np; Provides: v", "a", "no v", "", 5),
    ],
)
def test_cannot(world: str, asked: str, says: str, hint: str, line: int) -> None:
    with pytest.raises(PackageNotFound) as caught:
        closure(texts(*asked.split()), universe(world))
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.exit_code) == (line, 2)


def test_deep_chain() -> None:
    """No recursion: a chain may be longer than Python's stack."""
    world = "\n".join(f"p{number}; Depends: p{number + 1}" for number in range(3000)) + "\np3000"
    assert len(closure(texts("p0"), universe(world))) == 3001


def test_sixty_thousand() -> None:
    """A whole suite of main is read in less than 1.5 s of this machine's time."""
    stanza = (
        "Package: lib{0}-dev\nSource: lib{0}\nVersion: {0}.2-3\nMaintainer: Somebody <somebody@lists.debian.org>\n"
        "Architecture: amd64\nProvides: lib{0}-abi (= 1), lib{0}-api\nDepends: libc6 (>= 2.34), lib{0} (= {0}.2-3)\n"
        "Description: something\nTag: devel::library, role::devel-lib\nSection: libdevel\nPriority: optional\n"
        "Filename: pool/main/lib{0}/lib{0}-dev_{0}.2-3_amd64.deb\nSize: 12345\nMD5sum: 0123456789abcdef0123456789abcdef\n"
        "SHA256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    )
    data = "\n".join(stanza.format(number) for number in range(60_000)).encode()
    start = time.process_time()
    index = read_index(data, SOURCE)
    assert time.process_time() - start < 1.5
    assert len(index.stanzas) == 60_000
    assert index.providers["lib7-abi"] == index.providers["lib7-api"] == ("lib7-dev",)
    (package,) = index.packages("lib59999-dev")
    assert (package.version, package.size, package.rank) == ("59999.2-3", 12345, 3)
