"""Every ELF file of the machine: the same libraries and the same missing names as the real loader."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import BadElf
from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elf_bench import HostTree, Ours, Real

FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/bin", "/root/.pyenv/versions/3.11.7/lib")
LIMIT = 400


def _candidates(host: HostTree, ours: Ours) -> Iterator[str]:
    for folder in FOLDERS:
        for place, _, names in os.walk(folder):
            for path in (f"{place}/{name}" for name in names if ".so" in name or folder == "/usr/bin"):
                entry = host.stat(path)
                if entry is None or entry.kind is not Kind.FILE:
                    continue
                try:
                    info = ours.facts.facts(path, entry)
                except BadElf:
                    continue
                if info is not None and info.dynamic and (info.machine, info.bits) == (62, 64):
                    yield path


def test_agrees_with_the_real_loader(host: HostTree, ours: Ours, real_loader: Real) -> None:
    files = sorted(_candidates(host, ours))
    if len(files) < 100:
        pytest.skip(f"only {len(files)} dynamic ELF files here: the folders of Debian's multiarch are not there")
    files = files[:: max(1, len(files) // LIMIT)]
    with ThreadPoolExecutor() as pool:
        traces = list(pool.map(real_loader.trace, files))
    different = {}
    for file, real in zip(files, traces, strict=True):
        said = ours.trace(file)
        if (said.loaded, said.missing) != (real.loaded, real.missing):
            different[file] = (said.loaded ^ real.loaded, said.missing ^ real.missing)
    assert different == {}
