"""ld.so.cache: a round trip, and what ldconfig and the real loader make of ours."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_bench import HostTree, Ours
from hypothesis import given, settings
from hypothesis import strategies as st

from slimrun.elf import ldcache, ldconf
from slimrun.elf.facts import Facts
from slimrun.elf.ldcache import Cached
from slimrun.elf.sonames import as_ldconfig
from slimrun.tree.entry import file, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from elf_bench import Bench, Chroot

LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin")
NAMES = ["libz.so.1", "liba.so", "liba.so.10", "liba.so.9", "liba-b.so", "libA.so", "lib1.so", "libé.so"]


def line(name: str, path: str = "", flags: int = 0x303, hwcaps: str = "") -> Cached:
    return Cached(name, path or f"/opt/{hwcaps or 'plain'}/{name}", flags, hwcaps)


def test_round_trip_in_any_order() -> None:
    lines = [line(name, hwcaps=level) for name in NAMES for level in ("", "x86-64-v2", "x86-64-v3")]
    data = ldcache.write(lines)
    for seed in range(5):
        random.Random(seed).shuffle(lines)
        assert ldcache.write(lines) == data
    assert set(ldcache.read(data)) == set(lines)
    assert [one.hwcaps for one in ldcache.read(data)][:3] == ["x86-64-v3", "x86-64-v2", ""]


def test_other_byte_order() -> None:
    lines = [line(name, flags=0x403) for name in NAMES]
    data = ldcache.write(lines, little=False)
    assert set(ldcache.read(data, little=False)) == set(lines)


def test_names_are_ordered_as_ldconfig_orders_them() -> None:
    assert sorted(["liba.so.10", "liba.so.9", "liba.so", "liba.so.9a", "liba.so.x"], key=ldcache.order_key) == [
        "liba.so",
        "liba.so.x",
        "liba.so.9",
        "liba.so.9a",
        "liba.so.10",
    ]


def test_cache_of_this_machine() -> None:
    place = Path(ldcache.PATH)
    if LDCONFIG is None or not place.exists():
        pytest.skip("no ldconfig or no ld.so.cache here")
    shown = subprocess.run([LDCONFIG, "-p"], capture_output=True, text=True, check=True).stdout
    pairs = re.findall(r"^\t(\S+) \(.*\) => (\S+)$", shown, re.M)
    lines = ldcache.read(place.read_bytes())
    assert [(one.name, one.path) for one in lines] == pairs
    assert [one.name for one in lines] == sorted((one.name for one in lines), key=ldcache.order_key, reverse=True)


def test_ldconfig_accepts_ours(tmp_path: Path) -> None:
    if LDCONFIG is None:
        pytest.skip("no ldconfig here")
    (tmp_path / "cache").write_bytes(
        ldcache.write([line(name) for name in NAMES] + [line("libz.so.1", hwcaps="x86-64-v3")])
    )
    shown = subprocess.run([LDCONFIG, "-p", "-C", str(tmp_path / "cache")], capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    assert shown.stdout.startswith(f"{len(NAMES) + 1} libs found")
    assert 'libz.so.1 (libc6,x86-64, hwcap: "x86-64-v3") => /opt/x86-64-v3/libz.so.1' in shown.stdout


def test_what_ldconfig_makes_of_folders(bench: Bench) -> None:
    """Names and SONAMEs, the highest version, the first folder; links are followed, other names and machines left out."""
    if LDCONFIG is None:
        pytest.skip("no ldconfig here")
    for path, soname in (
        ("one/libreal-9.so", "libq.so.1"),
        ("one/libreal-10.so", "libq.so.1"),
        ("one/libplain.so.2", "libplain.so.2"),
        ("one/libother.so.3.1", "libother.so.3"),
        ("one/ext.so", "libext.so"),
        ("two/libplain.so.2.5", "libplain.so.2"),
        ("two/libtwo.so", ""),
        ("two/libreal-11.so", "libq.so.1"),
    ):
        bench.lib(path, soname=soname)
    (bench / "one/libother.so.3").symlink_to("libother.so.3.1")
    (bench / "two/libgone.so").symlink_to("nowhere.so")
    (bench / "two/libtext.so").write_text("INPUT(libtwo.so)")
    arm = bytearray((bench / "two/libtwo.so").read_bytes())
    arm[18:20] = b"\xb7\x00"
    (bench / "two/libarm.so").write_bytes(arm)
    (bench / "etc").mkdir()
    (bench / "etc/ld.so.conf").write_text("/one\n/two\n")
    ours = as_ldconfig(HostTree(str(bench.work)), ("/one", "/two"), (64, True, 62), Facts())
    subprocess.run([LDCONFIG, "-r", str(bench.work)], check=True, capture_output=True)
    lines = [one for one in ldcache.read((bench / "etc/ld.so.cache").read_bytes()) if one.flags == 0x303]
    assert {one.name: os.path.realpath(f"{bench.work}{one.path}") for one in reversed(lines)}.items() <= {
        name: os.path.realpath(f"{bench.work}{path}") for name, path in ours.items()
    }.items()
    assert {one.name for one in lines} >= {"libq.so.1", "libplain.so.2", "libother.so.3", "libtwo.so"}


def test_loader_accepts_ours(bench: Bench, chroot: Callable[[dict[str, Path]], Chroot]) -> None:
    """A program whose libraries only the cache finds, in a root of its own; any x86-64-v2 machine takes the variant."""
    text = "#include <stdio.h>\n__attribute__((constructor)) static void say(void) {{ puts({}); }}\n"
    here, variant = (bench.object(word, text.format(f'"{word}"')) for word in ("here", "variant"))
    names = ["libone.so.1", "libone.so.10", "libone.so.9", "libtwo.so", "lib2.so"]
    for name in names:
        bench.lib(f"odd/{name}", soname=name, source=here)
    bench.lib("odd/v2/libtwo.so", soname="libtwo.so", source=variant)
    exe = bench.exe("exe", names)
    root = chroot({"/exe": exe, **{f"/odd/{name}": bench / f"odd/{name}" for name in (*names, "v2/libtwo.so")}})
    assert "libone.so.1: cannot open shared object file" in root.run("/exe")
    lines = [line(name, f"/odd/{name}") for name in names]
    root.write(ldcache.PATH, ldcache.write(lines))
    assert root.run("/exe") == "here\n" * len(names)
    if not Path("/proc/cpuinfo").exists() or "sse4_2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("cannot be had here: not an x86-64-v2 machine: nothing takes the variant")
    root.write(ldcache.PATH, ldcache.write([*lines, line("libtwo.so", "/odd/v2/libtwo.so", hwcaps="x86-64-v2")]))
    assert sorted(root.run("/exe").split()) == ["here"] * (len(names) - 1) + ["variant"]


def test_cache_of_a_program_that_takes_no_default(bench: Bench, chroot: Callable[[dict[str, Path]], Chroot]) -> None:
    """-z nodefaultlib: what the cache has below a default folder is nothing to it, what it has elsewhere is."""
    bench.lib("libodd.so", soname="libodd.so")
    bench.lib("libusual.so", soname="libusual.so")
    exe = bench.bare("exe", [bench / "libodd.so", bench / "libusual.so"], options=["-Wl,-z,nodefaultlib"])
    plain = bench.bare("plain", [bench / "libodd.so", bench / "libusual.so"])
    there = {"/odd/libodd.so": bench / "libodd.so", "/lib/x86_64-linux-gnu/sub/libusual.so": bench / "libusual.so"}
    root = chroot({"/exe": exe, "/plain": plain, **there})
    root.write(ldcache.PATH, ldcache.write([line(path.rpartition("/")[2], path) for path in there]))
    for name, absent in (("/plain", set()), ("/exe", {"libusual.so"})):
        said = root.run("/lib64/ld-linux-x86-64.so.2", "--list", name)
        assert ("libusual.so: cannot open" in said) is bool(absent), said
        ours = Ours(HostTree(str(root.root)), (), "x86_64").trace(name)
        assert ours.missing == absent
        assert "/odd/libodd.so" in ours.loaded


def test_cache_that_leads_to_nothing(bench: Bench, chroot: Callable[[dict[str, Path]], Chroot]) -> None:
    """A line whose file is gone is passed over: the default folders come next."""
    for name in ("libgone.so", "libmoved.so"):
        bench.lib(name, soname=name)
    exe = bench.exe("exe", ["libgone.so", "libmoved.so"])
    root = chroot({"/exe": exe, "/usr/lib/libmoved.so": bench / "libmoved.so"})
    root.write(ldcache.PATH, ldcache.write([line("libgone.so"), line("libmoved.so")]))
    said = root.run("/exe")
    assert "libgone.so: cannot open" in said
    assert "libmoved.so" not in said
    ours = Ours(HostTree(str(root.root)), (), "x86_64").trace("/exe")
    assert (ours.missing, "/usr/lib/libmoved.so" in ours.loaded) == ({"libgone.so"}, True)


CONF = {
    "etc/ld.so.conf": "# first\n/one\ninclude ld.so.conf.d/*.conf\ninclude /etc/more.conf nowhere.conf\nhwcap 1 x\n/last/\n/one\n",
    "etc/ld.so.conf.d/b.conf": "/b # of b\n  /two  \n",
    "etc/ld.so.conf.d/a.conf": "include deeper/*.conf\n/a\n",
    "etc/ld.so.conf.d/deeper/z.conf": "/z\n",
    "etc/ld.so.conf.d/.hidden.conf": "/hidden\n",
    "etc/ld.so.conf.d/other": "/other\n",
    "etc/more.conf": "/more\nrelative\n",
}


def test_folders_of_ld_so_conf_as_ldconfig_reads_them(tmp_path: Path) -> None:
    if LDCONFIG is None:
        pytest.skip("no ldconfig here")
    for name, text in CONF.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("one", "two", "last", "b", "a", "z", "more", "other", "hidden"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [LDCONFIG, "-r", str(tmp_path), "-v", "-N", "-X"], capture_output=True, text=True, check=False
    )
    shown = re.findall(r"^(/\w+): \(from", done.stdout, re.M)
    assert list(ldconf.folders(HostTree(str(tmp_path)))) == [path for path in shown if path not in ("/lib", "/usr")]
    assert len(shown) >= 7


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_are_no_cache(data: st.DataObject) -> None:
    good = ldcache.write([line(name, hwcaps=level) for name in NAMES for level in ("", "x86-64-v2")])
    raw = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(ldcache.read(bytes(raw[: data.draw(st.integers(0, len(raw)))])), tuple)


def test_old_prefix_and_what_is_none() -> None:
    data = ldcache.write([line("libz.so.1")])
    assert ldcache.read(b"ld.so-1.7.0\0" + bytes(4) + data) == (line("libz.so.1"),)
    assert ldcache.read(b"ld.so-1.7.0\0" + bytes(64)) == ()
    assert ldcache.read(b"") == ()


def test_regenerate_keeps_what_opens() -> None:
    kept, gone, new = line("libkept.so"), line("libgone.so"), line("libnew.so")
    tree = Tree(
        {
            kept.path: link("real"),
            "/opt/plain/real": file(b"x"),
            new.path: file(b"y"),
            ldcache.PATH: file(ldcache.write([kept, gone])),
        }
    )
    assert ldcache.regenerate(tree, [new]) == ldcache.write([kept, new])
    assert ldcache.regenerate(tree.without([ldcache.PATH]), [gone]) is None
    assert ldcache.regenerate(Tree(), []) is None
