"""Sizes and durations as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

_SIZES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
LONGEST = 7 * 24 * 3600.0  # sockets take no more than 24 days
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)")


def parse_size(text: str) -> int:
    """`80MB` → 80 000 000 bytes, `64MiB` → 64 × 2²⁰; raises ValueError."""
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2] not in _SIZES:
        message = f"'{text}' is not a size: a number and one of B, kB, MB, GB, KiB, MiB, GiB, as in 80MB"
        raise ValueError(message)
    return int(Decimal(match[1]) * _SIZES[match[2]])


def parse_duration(text: str) -> float:
    """`60s`, `2m`, `1h`, `500ms` → seconds, at most a week; raises ValueError."""
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2] not in _SECONDS or Decimal(match[1]) == 0:
        message = f"'{text}' is not a duration: a number above 0 and one of ms, s, m, h, as in 60s"
        raise ValueError(message)
    seconds = float(Decimal(match[1]) * _SECONDS[match[2]])
    if seconds > LONGEST:
        message = f"'{text}' is longer than a week, 168h"
        raise ValueError(message)
    return seconds
