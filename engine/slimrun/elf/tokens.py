"""$ORIGIN, $LIB and $PLATFORM in names and search paths, as elf/dl-load.c substitutes them."""

from __future__ import annotations

import re
from posixpath import dirname
from typing import TYPE_CHECKING

MUSL_TOKEN = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})")
# What ld.so heeds of the environment.
HEEDED = frozenset({"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT"})

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.elf.linker import Linker

# is_dst takes the longest name that there is: `$ORIGINAL` is another token, and unknown ones stay as they are.
TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")


def expand(text: str, origin: str, linker: Linker) -> str:
    """`text` with its tokens replaced; `origin` is the folder of the file that says it."""
    if "$" not in text:
        return text
    values = {"ORIGIN": origin, "LIB": linker.lib, "PLATFORM": linker.platform}
    return TOKEN.sub(lambda match: values[match[1] or match[2]], text)


def library_path(env: Mapping[str, str]) -> tuple[str, ...]:
    """What an image's environment sets as LD_LIBRARY_PATH, tokens as they are; "" means the working folder."""
    text = env.get("LD_LIBRARY_PATH", "")
    return tuple(re.split("[:;]", text)) if text else ()


def preloads(env: Mapping[str, str]) -> tuple[str, ...]:
    """What an image's environment has every program load beside what it needs."""
    found = re.split("[: ]", env.get("LD_PRELOAD", "")) + env.get("LD_AUDIT", "").split(":")
    return tuple(dict.fromkeys(name for name in found if name))


def folders(text: str | None, path: str, linker: Linker, *, separators: str = ":") -> tuple[str, ...]:
    """The folders of an RPATH, RUNPATH or LD_LIBRARY_PATH that the file at `path` says; "" means the working folder.

    A string that is empty as a whole names none; each folder counts once, its slashes at the end cut off.
    """
    if not text:
        return ()
    origin = dirname(path)
    if linker.musl:
        return _musl_folders(text, origin)
    parts = re.split(f"[{separators}]", text)
    expanded = (expand(part, origin, linker) for part in parts)
    return tuple(dict.fromkeys((part.rstrip("/") or "/") if part else "" for part in expanded))


def _musl_folders(text: str, origin: str) -> tuple[str, ...]:
    """As musl's fixup_rpath and path_open: by prefix, any other token voids the whole, and what is empty is nothing."""
    if text.count("$") != len(MUSL_TOKEN.findall(text)):
        return ()
    parts = re.split(r"[:\n]", MUSL_TOKEN.sub(lambda _: origin, text))
    return tuple(dict.fromkeys(part for part in parts if part))
