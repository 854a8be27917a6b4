"""The lexical layer of requirements files (pip's format): comments, continuations, hashes."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 << 20
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_HASH = re.compile(r"\s--hash[=\s]\s*([a-z0-9_]+):([0-9a-fA-F]+)")
_OPTION = re.compile(r"\s--(?:config-settings?|global-option|hash)\b.*$")


def read_given(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file that a person names; raises OSError, and UnicodeDecodeError. Nothing else is ever waited for."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is no regular file")
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MiB")
    return path.read_text(encoding=encoding)


def logical_lines(text: str) -> list[tuple[str, int]]:
    r"""Lines without comments, each with the number of its first physical line; a `\` at the end joins the next one."""
    found: list[tuple[str, int]] = []
    open_line, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if open_line else number
        # As pip does: a comment inside a continued line ends that physical line, and does not continue.
        body = _COMMENT.sub("", line)
        if body.endswith("\\"):
            open_line += body[:-1].rstrip() + " "
            continue
        found.append(((open_line + body.strip()).strip(), start))
        open_line = ""
    found.append((open_line.strip(), start))
    return [(line, number) for line, number in found if line]


def split_hashes(text: str) -> tuple[str, tuple[str, ...]]:
    """The requirement without its options, and the sha256 of its `--hash` options (others are passed over)."""
    hashes = tuple(value.lower() for kind, value in _HASH.findall(text) if kind == "sha256")
    return _OPTION.sub("", text).strip(), hashes
