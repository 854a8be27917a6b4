"""Tokens, folders, versions, members of glibc, landing places: the small rules by literals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slimrun.elf.banner import Banner, banner_of
from slimrun.elf.family import is_member
from slimrun.elf.info import ElfInfo, ElfType, Load, VersionNeed, VersionRef
from slimrun.elf.ldconf import folders as conf_folders
from slimrun.elf.linker import Linker
from slimrun.elf.tokens import expand, folders
from slimrun.elf.versions import Outcome, Verdict, compare
from slimrun.elf.view import View, land, lead, place
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind, file, folder, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = Linker(
    interp="/lib64/ld-linux-x86-64.so.2",
    path="",
    musl=False,
    dirs=("/lib/x86_64-linux-gnu",),
    lib="lib/x86_64-linux-gnu",
    platform="x86_64",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ORIGIN/../x", "/a/b/../x"),
        ("${ORIGIN}/$LIB", "/a/b/lib/x86_64-linux-gnu"),
        ("/opt/$PLATFORM", "/opt/x86_64"),
        ("$ORIGINAL/${NOPE}/$", "$ORIGINAL/${NOPE}/$"),
        ("${ORIGIN", "${ORIGIN"),
        ("$LIB-2", "lib/x86_64-linux-gnu-2"),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    assert expand(text, "/a/b", DEBIAN) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ()),
        ("", ()),
        ("/zzz:", ("/zzz", "")),
        (":", ("",)),
        ("/a//:/a:/", ("/a", "/")),
        ("$ORIGIN", ("/x",)),
        ("rel", ("rel",)),
    ],
)
def test_search_paths(text: str | None, expected: tuple[str, ...]) -> None:
    assert folders(text, "/x/liba.so", DEBIAN) == expected


def library(*verdef: str, versym: bool = False) -> ElfInfo:
    return ElfInfo(bits=64, little=True, machine=62, type=ElfType.SHARED, verdef=verdef, has_versym=versym)


@pytest.mark.parametrize(
    ("needs", "provider", "expected"),
    [
        ("V1", library("base", "V1"), Outcome(Verdict.MET)),
        ("V1 V2 V3", library("base", "V1"), Outcome(Verdict.UNMET, ("V2", "V3"))),
        ("V1 V2?", library("base", "V1"), Outcome(Verdict.WEAK, ("V2",))),
        ("V1? V2", library("base"), Outcome(Verdict.UNMET, ("V2",))),
        ("GLIBC_ABI_DT_RELR", library("GLIBC_2.36"), Outcome(Verdict.UNMET, ("GLIBC_ABI_DT_RELR",))),
        ("V1", library(versym=True), Outcome(Verdict.UNVERSIONED, ("V1",))),
        ("V1", library(), Outcome(Verdict.ABORT, ("V1",))),
    ],
)
def test_versions(needs: str, provider: ElfInfo, expected: Outcome) -> None:
    refs = tuple(VersionRef(word.rstrip("?"), word.endswith("?")) for word in needs.split())
    assert compare(VersionNeed("libx.so", refs), provider) == expected


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("ld-linux-x86-64.so.2", True),
        ("ld-linux-aarch64.so.1", True),
        ("ld-2.31.so", True),
        ("libc.so.6", True),
        ("libc-2.31.so", True),
        ("libm.so.6", True),
        ("libmvec.so.1", True),
        ("libpthread.so.0", True),
        ("libnss_files.so.2", True),
        ("libnsl.so.1", True),
        ("libnsl.so.2", False),
        ("libcrypt.so.1", False),
        ("libgcc_s.so.1", False),
        ("libstdc++.so.6", False),
        ("libnss_mymachines.so.2", False),
        ("libcap.so.2", False),
        ("ld-musl-x86_64.so.1", False),
    ],
)
def test_members_of_glibc(name: str, member: bool) -> None:
    assert is_member(name) is member


def test_banners() -> None:
    ldso = b"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\0/usr\0"
    ldso += b"ld.so (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n\0"
    dirs = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib")
    assert banner_of(ldso) == Banner("Debian GLIBC 2.36-9+deb12u14", (2, 36), dirs)
    assert banner_of(b"x\0/lib64/\0/usr/lib64/\0y\0").dirs == ("/lib64", "/usr/lib64")
    assert banner_of(b"x\0/nix/store/abc-glibc-2.38/lib/\0y\0").dirs == ("/nix/store/abc-glibc-2.38/lib",)
    assert banner_of(b"nothing of the kind") == Banner()


def test_pages() -> None:
    assert Load(0x1000, 0x2000, 1, 1, 4, 0x1000).aligned()
    assert not Load(0x1008, 0x2000, 1, 1, 4, 0x1000).aligned()
    assert not Load(0x1000, 0x2000, 1, 1, 4, 0x10).strict


def test_ld_so_conf() -> None:
    tree = Tree(
        {
            "/etc/ld.so.conf": file(
                b"/one # first\ninclude conf.d/*.conf /etc/ld.so.conf\nhwcap 1 nosegneg\nrel\n/last/\n"
            ),
            "/etc/conf.d/b.conf": file(b"/b\n"),
            "/etc/conf.d/a.conf": file(b"/a=libc6\n/one\n"),
            "/etc/conf.d/.hidden.conf": file(b"/hidden\n"),
        }
    )
    assert conf_folders(tree) == ("/one", "/a", "/b", "/last")
    assert conf_folders(Tree()) == ()


LIB = file(b"library")
DEBIAN_TREE = Tree(
    {
        "/lib": link("usr/lib"),
        "/lib64": link("usr/lib64"),
        "/usr/lib64/ld.so": link("../lib/multi/ld.so"),
        "/usr/lib/multi/ld.so": LIB,
        "/usr/lib/multi/a.so": link("/etc/alternatives/a.so"),
        "/etc/alternatives/a.so": link("/lib/multi/a.so.1"),
        "/usr/lib/multi/a.so.1": LIB,
    }
)


@pytest.mark.parametrize(
    ("view", "path", "real", "after"),
    [
        (
            {},
            "/lib64/ld.so",
            "/usr/lib/multi/ld.so",
            {
                "/lib64": "symlink usr/lib64",
                "/usr/lib64/ld.so": "symlink ../lib/multi/ld.so",
                "/usr/lib/multi/ld.so": "file",
            },
        ),
        (
            {"/lib": folder(), "/lib64": link("lib")},
            "/lib64/ld.so",
            "/usr/lib/multi/ld.so",
            {
                "/usr/lib/multi/ld.so": "file",
                "/usr/lib64/ld.so": "symlink ../lib/multi/ld.so",
                "/lib/ld.so": "symlink /usr/lib/multi/ld.so",
            },
        ),
        (
            {"/usr/lib": link("/data/lib")},
            "/usr/lib/multi/a.so.1",
            "/data/lib/multi/a.so.1",
            {"/data/lib/multi/a.so.1": "file"},
        ),
        (
            {"/usr/lib/multi": folder()},
            "/usr/lib/multi/a.so",
            "/usr/lib/multi/a.so.1",
            {
                "/lib": "symlink usr/lib",
                "/usr/lib/multi/a.so.1": "file",
                "/usr/lib/multi/a.so": "symlink /etc/alternatives/a.so",
                "/etc/alternatives/a.so": "symlink /lib/multi/a.so.1",
            },
        ),
    ],
)
def test_places(view: dict[str, Entry], path: str, real: str, after: dict[str, str]) -> None:
    over = View(Tree(view))
    there, put = place(over, DEBIAN_TREE, path)
    put += lead(over, path, there)
    assert there == real
    dumped = {name: over.added[name].dump() for name in put}
    assert {name: text if text.startswith("symlink") else text.split()[0] for name, text in dumped.items()} == after


def test_landing_before_the_target_exists() -> None:
    view = View(Tree({"/lib": link("usr/lib"), "/loop": link("loop")}))
    assert land(view, "/lib/x") == "/usr/lib/x"
    assert land(view, "/a/../lib/./x") == "/usr/lib/x"
    assert land(view, "/loop").endswith("/loop")


def test_a_view_takes_unread_bytes_for_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(b"libraryanother")
    same, other = (Entry(kind=Kind.FILE, size=7, content=Extent(str(tmp_path / "layer"), at, 7)) for at in (0, 7))
    view = View(Tree({"/a": LIB}))
    assert not view.put("/a", same)
    assert view.put("/a", other)
    assert not view.put("/a", other)
    assert view.put("/b", same)


def test_view_is_a_tree_of_its_own() -> None:
    view = View(Tree({"/a/b": LIB, "/a/c": LIB}))
    view.remove("/a/b")
    assert view.put("/a/d/e", LIB)
    assert not view.put("/a/c", LIB)
    assert (view.children("/a"), view.children("/a/d"), view.stat("/a/b")) == (("c", "d"), ("e",), None)
    assert view.open("/a/d/e").read() == b"library"
    with pytest.raises(KeyError):
        view.open("/a/b")
