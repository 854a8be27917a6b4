"""How messages name things: quoted values, lists of names, near misses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 60
_LONGEST_LINE = 240


def quoted(text: str) -> str:
    """`'text'` on one line: control characters as escapes, cut after 60 characters."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "'" + "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut) + "'"


def names(values: Iterable[str]) -> str:
    """`'a', 'b'` sorted, so that messages are stable."""
    return ", ".join(quoted(value) for value in sorted(values))


def near_miss(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word that was probably meant, or None."""
    import difflib  # for a person who mistyped something

    by_lower = {name.lower().replace("-", "_"): name for name in sorted(known)}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def printable(line: str) -> str:
    """A line of a file as it may be shown on a terminal; nothing of one too long to show."""
    if len(line) > _LONGEST_LINE:
        return ""
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line)
