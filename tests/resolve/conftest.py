"""Helpers are those of tests/fetch and tests/python."""

from __future__ import annotations

import sys
from pathlib import Path

for name in ("fetch", "python"):
    sys.path.insert(0, str(Path(__file__).parents[1] / name))
