"""What identifies a value: the sha256 of a canonical text, the same on every machine and under every hash seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from slimrun.errors import Where
from slimrun.tree.entry import Entry
from slimrun.tree.tree import Tree


def digest_of(value: object, *, places: bool = True) -> str:
    """The sha256 hex of a value made of dataclasses, tuples, mappings, sets, trees and scalars.

    What dataclasses do not compare is no part of it.

    Without `places` it says nothing of where in a file things stand.
    """
    return _sha256(_plain(value, {}, {}, places))


def _plain(value: object, memo: dict[int, str], names: dict[type, tuple[str, ...]], places: bool) -> Any:
    kind = type(value)  # most of what there is, which the cases below would find out slowly
    if kind is str or value is None:
        return value
    if kind in names:
        return _record(value, memo, names, places)
    match value:
        case str() | bool() | int() | float() if not isinstance(value, Enum):
            return value
        case tuple() | list():
            return [_plain(item, memo, names, places) for item in value]
        case Enum():
            return value.value
        case bytes():
            return ["bytes", hashlib.sha256(value).hexdigest()]
        case PurePath():
            return str(value)
        case Tree():
            return ["tree", value.digest()]
        case Entry():  # wherever its bytes are
            return _plain(value.facts(), memo, names, places)
        case Where() if not places:
            return None
        case Mapping():
            return [
                [_plain(key, memo, names, places), _plain(value[key], memo, names, places)] for key in sorted(value)
            ]
        case Set():
            return sorted(_plain(item, memo, names, places) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        msg = f"no canonical form for {type(value).__name__}"
        raise TypeError(msg)
    names[type(value)] = tuple(field.name for field in fields(value) if field.compare)
    return _record(value, memo, names, places)


def _record(value: object, memo: dict[int, str], names: dict[type, tuple[str, ...]], places: bool) -> str:
    """A dataclass as its digest; reasons share their tails, and each step is digested once."""
    if id(value) not in memo:
        kind = type(value)
        parts = [_plain(getattr(value, name), memo, names, places) for name in names[kind]]
        memo[id(value)] = _sha256([kind.__name__, *parts])
    return memo[id(value)]


def _sha256(plain: Any) -> str:
    """The digest of lists of scalars as Python writes them, escaped, so that no release of Unicode has a say."""
    return hashlib.sha256(ascii(plain).encode()).hexdigest()
