"""Every ELF file of a Debian 11, 12 and 13 against its own loader: libraries, missing names and symbol versions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from elf_trees import different, distro
from elftools.elf.elffile import ELFFile

from slimrun.elf import ldcache
from slimrun.elf.family import is_member
from slimrun.elf.info import DlopenNote
from slimrun.elf.notes import NT_FDO_DLOPEN

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks/closure.py"
SUITES = ("bullseye", "bookworm", "trixie")


@pytest.mark.parametrize("suite", SUITES)
def test_each_file_under_its_own_loader(suite: str) -> None:
    there = distro(suite)
    files = there.files()
    real = there.real(files)
    assert len(real) == len(files) > 1000
    assert different(real, there.mine(files)) == []


@pytest.mark.parametrize(("suite", "other"), [("bullseye", "trixie"), ("bookworm", "trixie"), ("trixie", "bullseye")])
def test_files_of_another_suite_under_a_loader(suite: str, other: str) -> None:
    """Where nothing fits: names that are not there, and versions that are not offered."""
    there = distro(suite).with_({"/mnt": distro(other).root})
    files = [file for file in there.files("/mnt") if "/gconv/" not in file][::2]
    real = there.real(files)
    assert different(real, there.mine(files)) == []
    assert sum(bool(said.missing) for said in real.values()) > 20
    assert sum(bool(said.versions) for said in real.values()) > 5


@pytest.mark.parametrize("suite", SUITES)
def test_our_cache_in_the_place_of_ldconfigs(suite: str, tmp_path: Path) -> None:
    """The same lines, written by us: the loader finds the same, in each file."""
    there = distro(suite)
    lines = ldcache.read((there.root / "etc/ld.so.cache").read_bytes())
    (tmp_path / "cache").write_bytes(ldcache.write(lines))
    replaced = there.with_({ldcache.PATH: tmp_path / "cache"})
    files = there.files()[::5]
    assert replaced.real(files) == there.real(files)
    shown = [line for line in there.sh("ldconfig -p").splitlines() if "=>" in line]
    assert [line for line in replaced.sh("ldconfig -p").splitlines() if "=>" in line] == shown
    assert len(shown) == len(lines) > 50


@pytest.mark.parametrize("suite", SUITES)
def test_members_of_glibc_are_the_files_of_its_package(suite: str) -> None:
    """`dpkg -L libc6` (ELF.md 2.3), but for gconv and audit, which are folders of the family."""
    root = distro(f"{suite}-slim").root
    paths = (root / "var/lib/dpkg/info/libc6:amd64.list").read_text(encoding="utf-8").splitlines()
    names = {
        path.rpartition("/")[2]
        for path in paths
        if ".so" in path and not {"gconv", "audit", "etc"} & {*path.split("/")}
    }
    assert len(names) >= 20
    assert [name for name in sorted(names) if not is_member(name)] == []
    others = {path.name for path in (root / "usr/lib/x86_64-linux-gnu").iterdir()} - names
    assert [name for name in sorted(others) if is_member(name)] == []


def test_notes_of_what_is_opened_at_run_time() -> None:
    """By their type, wherever they stand, against pyelftools and the section's name; Debian 13's systemd has them."""
    there = distro("trixie")
    facts = there.ours().facts
    found = {}
    for path in there.files("/usr/lib/x86_64-linux-gnu"):
        if not path.endswith(".0") and "systemd" not in path and "udev" not in path:
            continue  # pyelftools is slow
        entry = there.tree.stat(path)
        assert entry is not None
        info = facts.facts(path, entry)
        assert info is not None
        with there.tree.open(path) as stream:
            section = ELFFile(stream).get_section_by_name(".note.dlopen")
            notes = (
                [] if section is None else [note for note in section.iter_notes() if note["n_type"] == NT_FDO_DLOPEN]
            )
        rows = [row for note in notes for row in json.loads(note["n_desc"].rstrip(b"\0"))]
        expected = {
            DlopenNote(row["feature"], row["description"], row["priority"], tuple(row["soname"])) for row in rows
        }
        assert set(info.dlopen) == expected, path
        found |= {path.rpartition("/")[2].partition(".so")[0]: info.dlopen} if info.dlopen else {}
    assert {"libudev", "libsystemd"} <= set(found)
    assert "liblzma.so.5" in {name for note in found["libsystemd"] for name in note.sonames}


def test_closures_take_no_longer_than_the_loader() -> None:
    """benchmarks/closure.py, by CPU time: what else the machine does is no matter. It ends with 1 where the two disagree."""
    argv = [sys.executable, str(BENCHMARK), str(distro("trixie-slim").root)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stdout + done.stderr
    ratio = re.search(r"\((\d+\.\d+) of its CPU time\)", done.stdout)
    assert ratio is not None, done.stdout
    assert float(ratio[1]) <= 1.5
