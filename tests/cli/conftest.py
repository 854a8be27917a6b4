"""What tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.shop import Shop

from slimrun.cli import many

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    (tmp_path / "repo/.git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)
    made = Shop(tmp_path, capsys)
    monkeypatch.setattr(many, "open_context", made.open)
    return made
