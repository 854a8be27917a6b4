"""Helpers are those of tests/fetch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fetch"))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback import SimpleIndex

    from slimrun.cache.store import Cache
    from slimrun.python.interpreter import Interpreter


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    from slimrun.cache.store import Cache

    return Cache(tmp_path / "cache")


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    from loopback import SimpleIndex, Site

    with Site() as site:
        yield SimpleIndex(site)


@pytest.fixture
def interpreter() -> Callable[..., Interpreter]:
    """`interpreter((3, 7, 17))`: CPython below /usr/local, as an official image has it."""
    from slimrun.python.interpreter import Interpreter

    def build(
        version: tuple[int, int, int | None] = (3, 11, 2), *, abi: str = "", arch: str = "x86_64", debian: bool = False
    ) -> Interpreter:
        series = f"{version[0]}.{version[1]}"
        digits = f"{version[0]}{version[1]}"
        abi = abi or f"cp{digits}{'m' if version[1] < 8 else ''}"
        prefix = "/usr" if debian else "/usr/local"
        return Interpreter(
            path=f"{prefix}/bin/python{series}",
            prefix=prefix,
            version=version,
            stdlib=f"{prefix}/lib/python{series}",
            site_packages=f"/usr/local/lib/python{series}/{'dist' if debian else 'site'}-packages",
            dynload=f"{prefix}/lib/python{series}/lib-dynload",
            scripts="/usr/local/bin",
            ext_suffixes=(f".cpython-{abi[2:]}-{arch}-linux-gnu.so", ".abi3.so", ".so"),
            tag=f"cp{digits}",
            abi=abi,
            debian=debian,
            arch=arch,
        )

    return build
