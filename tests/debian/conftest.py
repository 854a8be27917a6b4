"""The server is that of tests/fetch."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fetch"))
sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debmaker import DebianArchive
    from worlds import World

    from slimrun.cache.store import Cache

NOW = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    from slimrun.cache.store import Cache

    return Cache(tmp_path / "cache")


@pytest.fixture
def archive() -> Iterator[DebianArchive]:
    """An empty signed archive with a mirror's address."""
    from debmaker import DebianArchive
    from loopback import Site

    with Site() as site:
        yield DebianArchive(site)


@pytest.fixture
def world(archive: DebianArchive, cache: Cache) -> World:
    """Resolving and opening against that archive."""
    from worlds import World

    return World(archive, cache, NOW)
