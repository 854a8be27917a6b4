"""A loopback site and a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fetch.loopback import Site

from slimrun.cache.store import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")
