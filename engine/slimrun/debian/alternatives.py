"""The links that `update-alternatives --install` of postinst scripts would have made, read from their text.

The scripts never run: a call counts when all its words are literal, as debhelper writes them, whatever `if` stands around it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ADMIN = "/etc/alternatives"
_CALL = re.compile(r"^\s*(?:/usr/s?bin/)?update-alternatives\s(.*)$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9_+.@:-]*[A-Za-z0-9_+@:-][A-Za-z0-9_+.@:-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """`link` is what people call, by way of /etc/alternatives/`name` to `path`; `slaves` are (link, name, path) that follow."""

    link: str
    name: str
    path: str
    priority: int
    slaves: tuple[tuple[str, str, str], ...] = ()


def read_alternatives(script: str) -> tuple[Alternative, ...]:
    """Every alternative that a postinst names literally, in its order."""
    calls = (match[1] for match in _CALL.finditer(script.replace("\\\n", " ")))
    return tuple(found for call in calls if (found := _alternative(call)) is not None)


def links(given: Iterable[tuple[str, Alternative]]) -> Iterator[tuple[str, str, str]]:
    """(package, link, target) of what is best of each name; `given` are (package, alternative).

    The highest priority wins, then the path that sorts first (dpkg: the one that was installed first).
    """
    best: dict[str, tuple[str, Alternative]] = {}
    for package, one in sorted(given, key=lambda item: (-item[1].priority, item[1].path)):
        best.setdefault(one.name, (package, one))
    for package, one in best.values():
        for link, name, path in ((one.link, one.name, one.path), *one.slaves):
            yield package, link, f"{ADMIN}/{name}"
            yield package, f"{ADMIN}/{name}", path


def _alternative(call: str) -> Alternative | None:
    try:
        words = shlex.split(call, comments=True)
    except ValueError:
        return None
    words = [re.split(r"[;&|]", word)[0] for word in words]
    if "--install" not in words or any("$" in word or "`" in word for word in words):
        return None
    at = words.index("--install")
    groups = [words[at + 1 : at + 5]]
    slaves = [tuple(words[index + 1 : index + 4]) for index, word in enumerate(words) if word == "--slave"]
    link, name, path, priority = groups[0] if len(groups[0]) == 4 else ("", "", "", "")
    literal = re.fullmatch(r"-?[0-9]{1,9}", priority) and all(map(_is_sane, [(link, name, path), *slaves]))
    if not literal:
        return None
    complete = tuple((one[0], one[1], one[2]) for one in slaves)
    return Alternative(link=link, name=name, path=path, priority=int(priority), slaves=complete)


def _is_sane(triple: tuple[str, ...]) -> bool:
    """Two absolute, normalised paths and a name without a slash."""
    if len(triple) != 3 or not _NAME.fullmatch(triple[1]):
        return False
    return all(re.fullmatch(r"(?:/[^/\0]+)+", path) and "/../" not in f"{path}/" for path in (triple[0], triple[2]))
