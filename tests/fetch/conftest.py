"""A loopback site, a cache, and a network that does not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loopback import Site

from slimrun.cache.store import Cache
from slimrun.fetch.network import Network

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


@pytest.fixture
def network() -> Network:
    return Network(retries=2, backoff=0.01, connect_timeout=2.0, read_timeout=5.0)
