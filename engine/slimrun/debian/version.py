"""Debian's version order (deb-version(7)), as keys that compare."""

from __future__ import annotations

import re

# Epoch, upstream version, revision; the pairs are (what is not digits, digits).
Pairs = tuple[tuple[tuple[int, ...], int], ...]
Key = tuple[int, Pairs, Pairs]
_PAIR = re.compile(r"([^0-9]*)([0-9]*)")
_VERSION = re.compile(r"(?:([0-9]+):)?([A-Za-z0-9][A-Za-z0-9.+~:-]*?)(?:-([A-Za-z0-9.+~]+))?")
_END = ((0,), 0)
MAX_LENGTH = 1000


def version_key(text: str) -> Key:
    """A key in whose order versions are: `~` before the end, letters before other signs, digits as numbers.

    Raises ValueError for what is not a version.
    """
    match = _VERSION.fullmatch(text)
    if match is None or len(text) > MAX_LENGTH or (match[1] is None and ":" in match[2]):
        msg = f"{text[:80]!r} is not the version of a Debian package"
        raise ValueError(msg)
    return int(match[1] or 0), _parts(match[2]), _parts(match[3] or "")


def _parts(text: str) -> Pairs:
    pairs = [((*map(_order, signs), 0), int(digits or 0)) for signs, digits in _PAIR.findall(text)]
    while pairs and pairs[-1] == _END:
        pairs.pop()  # no revision and revision 0 are equal
    return (*pairs, _END, _END)  # twice: a first pair may look like the end, as that of 0~ does


def _order(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256
