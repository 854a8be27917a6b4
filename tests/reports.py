"""The report of an image's last good run, read out of a cache's folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def report_of(cache: Path, name: str) -> dict[str, Any]:
    """The report's JSON; `cache` is the folder that slimrun calls its own."""
    last = json.loads((cache / f"records/last/{name}.json").read_text())
    value: dict[str, Any] = json.loads((cache / f"records/report/{last['digest']}.json").read_text())
    return value
