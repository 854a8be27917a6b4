"""The traps under musl, whose loader has other rules (ELF.md 1.6), against the real one."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_bench import HostTree, Traced
from test_elf_traps import EXPECTED, TRAPS

from slimrun.elf.facts import Facts
from slimrun.elf.folders import Hit
from slimrun.elf.process import Process
from slimrun.elf.search import Loader
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from elf_bench import Bench

LD_MUSL = "/lib/ld-musl-x86_64.so.1"


@pytest.fixture(scope="module")
def musl() -> str:
    if not Path(LD_MUSL).exists():
        pytest.skip(f"{LD_MUSL} is not here: Debian's package musl has it")
    return LD_MUSL


def real(musl: str, file: str, library_path: str = "") -> Traced:
    env = {"LD_LIBRARY_PATH": library_path} if library_path else {}
    done = subprocess.run([musl, "--list", file], env=env, cwd="/", capture_output=True, text=True, check=False)
    paths = re.findall(r"^\t\S+ => (\S+) \(0x", done.stdout, re.M)
    missing = re.findall(r"^Error loading shared library ([^:]+): .*\(needed by", done.stderr, re.M)
    # It also counts the interpreter that the program names, as something loaded already.
    others = {os.path.realpath(path) for path in paths if "/ld-linux" not in path} - {os.path.realpath(musl)}
    return Traced(frozenset(others), frozenset(missing))


def ours(musl: str, file: str, library_path: str = "") -> Traced:
    tree, facts = HostTree(), Facts()
    found = resolve(tree, file)
    assert found is not None
    info = facts.facts(found.path, found.entry)
    assert info is not None
    info = replace(info, interp=musl)
    loader = Loader.of(tree, info, facts, library_path=tuple(library_path.split(":")) if library_path else (), cwd="/")
    process = Process(loader, Hit(file, found.path, found.entry, info, found.links, "root"), notes=False)
    process.start()
    own = os.path.realpath(musl)
    missing = frozenset(one.name for one in process.asked if one.found is None)
    return Traced(frozenset(one.real for one in process.loaded[1:]) - {own}, missing)


# musl maps what glibc refuses or skips, whatever its machine; there we are the stricter.
MAPPED = {name for name, expected in EXPECTED.items() if expected == "fatal"}
MAPPED |= {"other_class_is_skipped", "other_machine_is_skipped"}


@pytest.mark.parametrize("name", sorted(TRAPS.keys() - MAPPED))
def test_trap(name: str, bench: Bench, musl: str) -> None:
    file = os.path.realpath(TRAPS[name](bench))
    said, there = ours(musl, file), real(musl, file)
    assert (said.loaded, said.missing) == (there.loaded, there.missing)


@pytest.mark.parametrize("text", ["{w}/p", "{w}/q:{w}/p", "$ORIGIN/p", "", ":", "/no"])
def test_library_path_comes_first(text: str, bench: Bench, musl: str) -> None:
    for folder in ("p", "q", "d"):
        bench.lib(f"{folder}/liba.so")
    file = str(bench.exe("exe", ["liba.so"], rpath="$ORIGIN/d"))
    path = text.format(w=bench.work)
    said, there = ours(musl, file, path), real(musl, file, path)
    assert (said.loaded, said.missing) == (there.loaded, there.missing)
    assert len(said.loaded) == 1
