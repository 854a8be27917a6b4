"""Whether this process may read an image's layers where an engine of this machine keeps them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

from slimrun.backend.overlay import Overlay

if TYPE_CHECKING:
    from slimrun.backend.host import Host

# A layer's folder is named by 64 digits, random or a digest's: nobody but this engine has made one of that name here.
_LAYER = re.compile(r"/.+/overlay2/[0-9a-z]{64}/diff")
# CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN: to read every file, and to be told of attributes named trusted.* at all (xattr(7)).
_NEEDED = 1 << 2 | 1 << 21


def open_overlay(facts: dict[str, Any], host: Host) -> Overlay | None:
    """The layers of the image of which an engine says these facts, where this process may read them; else None.

    It must be the machine's root, and the engine be reached by a Unix socket: what an engine elsewhere says of its folders
    says nothing of ours. Nor is one read that maps users: its files have other owners than the image's.
    """
    driver = facts.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    if driver.get("Name") != "overlay2" or not host.url.startswith("unix://") or not _may_read_all():
        return None
    layers = [data.get("UpperDir") or "", *filter(None, (data.get("LowerDir") or "").split(":"))]
    digests = (facts.get("RootFS") or {}).get("Layers") or []  # the lowest first
    if len(layers) != len(digests) or not all(map(_is_layer, layers)):
        return None
    return Overlay(layers, dict(zip(layers, reversed(digests), strict=True)))


def _may_read_all() -> bool:
    """Whether this process is root of the machine with all that this takes, not of a user namespace (user_namespaces(7))."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        everybody = Path("/proc/self/uid_map").read_text(encoding="ascii").split() == ["0", "0", str(2**32 - 1)]
    except OSError:
        return False
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return everybody and found is not None and int(found[1], 16) & _NEEDED == _NEEDED


def _is_layer(path: str) -> bool:
    if not _LAYER.fullmatch(path):
        return False
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    return S_ISDIR(facts.st_mode) and (facts.st_uid, facts.st_gid) == (0, 0)
