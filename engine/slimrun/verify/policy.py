"""The repository's policy held against a finished image, read from its tree; nothing is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.tree.entry import Kind
from slimrun.verify.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.backend.assembled import Assembled
    from slimrun.recipe.policy import Rule
    from slimrun.tree.entry import Entry

# Programs that take a command line from a person or a string; busybox is one under any of its names.
SHELLS = frozenset(
    {"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "toybox", "zsh"}
)
_CAPABILITY = "security.capability"
_SHOWN = 5


def policy_checks(assembled: Assembled, rules: Sequence[Rule]) -> tuple[Check, ...]:
    """One check for each rule; what fails says what was found, and where the rule stands."""
    return tuple(_check(assembled, rule) for rule in rules)


def _check(assembled: Assembled, rule: Rule) -> Check:
    match rule.name:
        case "max_size":
            detail = f"{assembled.size / 1e6:.1f} MB of at most {rule.limit / 1e6:.1f} MB"
            return Check(name="policy.max_size", ok=assembled.size <= rule.limit, detail=detail, where=rule.where)
        case "forbid_root":
            found = [f"the image's user {assembled.config.user or 'root'} is root"] if _is_root(assembled) else []
        case "forbid_setuid":
            found = [f"{path} {_grants(entry)}" for path, entry in assembled.tree.items() if _grants(entry)]
        case "forbid_shell":
            found = [f"{path} is a shell" for path in _shells(assembled)]
    return Check(name=f"policy.{rule.name}", ok=not found, detail=_few(found), where=rule.where)


def _few(found: Sequence[str]) -> str:
    more = len(found) - _SHOWN
    return "; ".join(found[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _is_root(assembled: Assembled) -> bool:
    """Whether the user is uid 0 by number, by default, or by name in the image's own passwd."""
    user = assembled.config.user.partition(":")[0]
    if not user or user.isdigit():
        return not user or int(user) == 0
    found = assembled.tree.resolve("/etc/passwd")
    if found is None or found.entry.kind is not Kind.FILE:
        return user == "root"
    rows = (line.split(":") for line in assembled.tree.read(found.path).decode("utf-8", "replace").splitlines())
    return any(len(row) > 2 and row[0] == user and row[2].strip("0") == "" for row in rows)


def _grants(entry: Entry) -> str:
    """What more than its caller's rights a file gives to who runs it; "" for none."""
    if entry.kind is not Kind.FILE:
        return ""
    if entry.mode & 0o4000:
        return "is set-user-ID"
    if entry.mode & 0o2000:
        return "is set-group-ID"
    return "has file capabilities" if _CAPABILITY in dict(entry.xattrs) else ""


def _shells(assembled: Assembled) -> Iterator[str]:
    """Executables, and links to them, that have a shell's name in any folder."""
    for path, entry in assembled.tree.items():
        if path.rpartition("/")[2] in SHELLS and entry.kind in (Kind.FILE, Kind.LINK):
            found = assembled.tree.resolve(path)
            if found is not None and found.entry.kind is Kind.FILE and found.entry.mode & 0o111:
                yield path
