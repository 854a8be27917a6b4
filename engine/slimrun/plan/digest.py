"""What identifies a value: the sha256 of canonical JSON, the same on every machine and under every hash seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from slimrun import __version__
from slimrun.tree.tree import Tree


def digest_of(value: object) -> str:
    """The sha256 hex of a value made of dataclasses, tuples, mappings, sets, trees and scalars.

    What dataclasses do not compare is no part of it.
    """
    text = json.dumps(_plain(value, {}), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def stage_key(name: str, revision: int, steps: object, inputs: object) -> str:
    """The cache key of a stage's result; `revision` is raised in the code when the stage's meaning changes."""
    return digest_of((__version__, name, revision, steps, inputs))


def _plain(value: object, memo: dict[int, str]) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case bytes():
            return ["bytes", hashlib.sha256(value).hexdigest()]
        case PurePath():
            return str(value)
        case Tree():
            return ["tree", value.digest()]
        case Mapping():
            return [[_plain(key, memo), _plain(value[key], memo)] for key in sorted(value)]
        case Set():
            return sorted(_plain(item, memo) for item in value)
        case tuple() | list():
            return [_plain(item, memo) for item in value]
    if not is_dataclass(value) or isinstance(value, type):
        msg = f"no canonical form for {type(value).__name__}"
        raise TypeError(msg)
    if id(value) not in memo:  # reasons share their tails: each step is digested once
        parts = [_plain(getattr(value, field.name), memo) for field in fields(value) if field.compare]
        text = json.dumps([type(value).__name__, *parts], separators=(",", ":"))
        memo[id(value)] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return memo[id(value)]
