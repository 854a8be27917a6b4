"""Distributions that uv takes as sources, and what it is told of their needs, so that it never runs a build on this machine.

uv would call a build backend to learn what an sdist requires. Where its configuration says that (`dependency-metadata`), it does
not: every distribution that is to be built has an entry without a version, which is believed until a wheel of it is known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Declared:
    """What a distribution needs: lines of PEP 508, and the names of its extras; `version` "" stands for all others."""

    name: str
    version: str = ""
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


def uv_configuration(declared: Iterable[Declared]) -> str:
    """The uv.toml that tells uv of them: a given configuration file is the only one that it reads."""
    return "\n".join(_entry(item) for item in sorted(declared))


def source_options(declared: Iterable[Declared]) -> tuple[str, ...]:
    """The words of uv's command line: only these names are taken as sources, and no wheel of theirs."""
    return tuple(word for name in sorted({item.name for item in declared}) for word in ("--no-binary", name))


def _entry(item: Declared) -> str:
    lines = ["[[dependency-metadata]]", f"name = {_text(item.name)}"]
    if item.version:
        lines.append(f"version = {_text(item.version)}")
    lines.append(f"requires-dist = [{', '.join(map(_text, item.requires))}]")
    if item.extras:
        lines.append(f"provides-extra = [{', '.join(map(_text, item.extras))}]")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """A basic string of TOML: its escapes are JSON's, but for the ASCII-only form of letters beyond U+FFFF."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
