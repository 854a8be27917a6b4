"""Patterns over absolute paths: `*` and `?` stay inside a folder, `**` crosses folders, `[…]` and `{a,b}` as in a shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKENS = re.compile(
    r"(?P<start>\A(?:\*\*/)+)|(?P<end>(?:/\*\*)+\Z)|(?P<middle>/(?:\*\*/)+)|(?P<across>\*\*)|(?P<some>\*)|(?P<one>\?)"
    r"|(?P<set>\[!?\]?[^\]]*\])|(?P<words>\{[^{}]*\})|(?P<text>.)",
    re.DOTALL,
)
_FIXED = {"start": "(?:.*/)?", "middle": "/(?:.*/)?", "end": "(?:/.*)?", "across": ".*", "some": "[^/]*", "one": "[^/]"}
_MAGIC = re.compile(r"[*?\[{]")
_NOTHING, _ANY = "(?!)", "[^/]"


def translate(pattern: str) -> re.Pattern[str]:
    """The regular expression that fully matches the paths which `pattern` names; every text is a pattern."""
    return re.compile(_translated(pattern), re.DOTALL)


class Matcher:
    """Several patterns; a path matches where a pattern names it or a folder above it."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple((pattern, translate(pattern.rstrip("/"))) for pattern in patterns)
        self._numbers: dict[str, int] = {"": len(self._patterns)}

    def match(self, path: str) -> str | None:
        """The first pattern that names this path or a folder above it."""
        todo = []
        while path not in self._numbers:
            todo.append(path)
            path = path.rpartition("/")[0]
        number = self._numbers[path]
        for path in reversed(todo):  # a folder's answer is remembered for all that lies below it
            own = (index for index, (_, rule) in enumerate(self._patterns[:number]) if rule.fullmatch(path))
            number = self._numbers[path] = next(own, number)
        return self._patterns[number][0] if number < len(self._patterns) else None


def literal_folder(pattern: str) -> str:
    """The deepest folder that all matches of a pattern lie in: `/usr/share/zoneinfo` for `/usr/share/zoneinfo/*`."""
    magic = _MAGIC.search(pattern)
    literal = pattern if magic is None else pattern[: magic.start()]
    return literal.rpartition("/")[0] or "/"


def is_glob(pattern: str) -> bool:
    """Whether a pattern may name more than one path."""
    return _MAGIC.search(pattern) is not None


def _translated(pattern: str) -> str:
    return "".join(_token(found.lastgroup or "", found[0]) for found in _TOKENS.finditer(pattern))


def _token(kind: str, text: str) -> str:
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "set" and text not in ("[]", "[!]"):
        return _set(text[1:-1])
    if kind == "words" and text != "{}":
        return f"(?:{'|'.join(_translated(word) for word in text[1:-1].split(','))})"
    return re.escape(text)


def _set(inside: str) -> str:
    """Characters and ranges; a range that runs backwards holds nothing, as in a shell."""
    negated, inside = inside.startswith("!"), inside.removeprefix("!")
    parts = ""
    while inside:
        width = 3 if len(inside) > 2 and inside[1] == "-" else 1
        first, last = inside[0], inside[width - 1]
        parts += f"{re.escape(first)}-{re.escape(last)}" if first < last else re.escape(first) if first == last else ""
        inside = inside[width:]
    if not parts:
        return _ANY if negated else _NOTHING
    return f"(?!/)[{'^' if negated else ''}{parts}]"
