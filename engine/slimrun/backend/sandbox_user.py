"""Whom an image's `USER` means: names are looked up in the image's own passwd and group, as runc does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from slimrun.errors import ImageFailed
from slimrun.tree.entry import Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from slimrun.tree.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Numbers and home of a user; `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def find_user(text: str, tree: Tree) -> User:
    """`""`, `USER` or `USER:GROUP`, each a name or a number; raises ImageFailed for a name that the image does not know."""
    name, _, group = text.partition(":")
    name = name or "0"
    users, groups = _table(tree, "/etc/passwd", 6), _table(tree, "/etc/group", 3)
    found = next((row for row in users if name in (row[0], row[2])), None)
    if found is None and not name.isdecimal():
        _unknown(f"user '{name}'", "/etc/passwd")
    uid, gid = (int(found[2]), int(found[3])) if found else (int(name), 0)
    if group:
        row = next((row for row in groups if group in (row[0], row[2])), None)
        if row is None and not group.isdecimal():
            _unknown(f"group '{group}'", "/etc/group")
        return User(uid=uid, gid=int(row[2] if row else group), home=_home(found))
    members = ((row[2], row[3].split(",")) for row in groups if len(row) > 3)
    more = tuple(int(number) for number, names in members if found and found[0] in names)
    return User(uid=uid, gid=gid, groups=more, home=_home(found))


def _home(row: list[str] | None) -> str:
    return (row[5] if row else "") or "/"


def _unknown(whom: str, file: str) -> NoReturn:
    msg = f"the image is to run as {whom}, whom its {file} does not have"
    raise ImageFailed(msg, hint="write the number instead, or add the name with image.users")


def _table(tree: Tree, path: str, width: int) -> list[list[str]]:
    """The rows of a colon-separated file whose third field is a number; none where there is no such file."""
    found = resolve(tree, path)
    if found is None or found.entry.kind is not Kind.FILE:
        return []
    rows = [line.split(":") for line in found.entry.read().decode("utf-8", "replace").splitlines()]
    return [row for row in rows if len(row) >= width and row[2].isdecimal() and (width < 6 or row[3].isdecimal())]
