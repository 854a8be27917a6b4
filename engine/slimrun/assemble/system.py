"""The files that an image needs as a whole: its users, how names are looked up, the loader's cache, a place for temporary files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.assemble import ldconfig, nsswitch
from slimrun.elf import ldcache
from slimrun.errors import ImageFailed
from slimrun.tree.entry import file, folder
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.elf.model import Closure
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.entry import Entry

USER_NAME = "nonroot"
NEWLINE = "\n"
_ROOT_PASSWD = "root:x:0:0:root:/root:/sbin/nologin\n"
_ROOT_GROUP = "root:x:0:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The reasons that those of system files lead on to: `image.user`, the runtime, and those of the files chosen so far."""

    user: Why
    runtime: Why
    files: Mapping[str, Why]


def system_files(
    tree: Tree,
    closure: Closure,
    user: str,
    lines: Lines,
    *,
    interpreter: Interpreter | None = None,
    features: tuple[str, ...] = (),
) -> tuple[Tree, dict[str, Why]]:
    """What the finished tree lacks: entries for `user` (`65532:65532`), name service, /tmp, an ld.so.cache where needed.

    For the feature `find_library`, which needs `interpreter`, also what answers `ldconfig -p`.
    """
    found: dict[str, tuple[Entry, Why]] = {}
    for path, content in _users(tree, user).items():
        data = content.encode("utf-8", "surrogateescape")
        found[path] = file(data), _why(f"names the image's user {user}", lines.user)
    names = nsswitch.adjusted(tree)
    if names is not None:
        why = _why("names are looked up by what is there, which the runtime does not say", lines.runtime)
        found[nsswitch.PATH] = file(names), why
    if tree.resolve("/tmp") is None:
        why = _why("tempfile needs a folder to write in, which the runtime has not", lines.runtime)
        found["/tmp"] = folder(0o1777), why
    cached = closure.cached
    if "find_library" in features and interpreter is not None:
        script = ldconfig.stand_in(tree, interpreter, cached)
        if script is not None:
            text = "feature find_library: ctypes.util.find_library asks it for libraries"
            because = lines.files.get(interpreter.path, lines.runtime)
            found[script[0]] = script[1], Why(rule="feature", text=text, because=because)
        elif tree.resolve(ldconfig.PATH) is not None:
            cached = ldconfig.libraries(tree, interpreter, cached)
    stale = [item for item in ldcache.of_tree(tree) or () if not ldcache.opens(tree, item)]
    if cached or stale:
        cache = ldcache.regenerate(tree, cached)
        if cache is not None:
            found[ldcache.PATH] = file(cache), _cache_why(closure, lines)
    return Tree({path: entry for path, (entry, _) in found.items()}), {path: why for path, (_, why) in found.items()}


def _cache_why(closure: Closure, lines: Lines) -> Why:
    """It leads on from the first library that needs it."""
    paths = sorted({item.path for item in closure.cached})
    if not paths:
        return _why("lists the libraries that are there", lines.runtime)
    because = next((lines.files[path] for path in paths if path in lines.files), lines.runtime)
    return _why(f"the loader finds {', '.join(paths)} through it alone", because)


def _why(text: str, because: Why) -> Why:
    return Why(rule="system", text=text, because=because)


def _users(tree: Tree, user: str) -> dict[str, str]:
    """passwd and group with a line for what numbers `user` names and they lack; "" is root, as for engines.

    Raises ImageFailed for a name that they lack: an engine would refuse to start the image.
    """
    name, _, group_name = (user or "0").partition(":")
    passwd, group = _text(tree, "/etc/passwd", _ROOT_PASSWD), _text(tree, "/etc/group", _ROOT_GROUP)
    found: dict[str, str] = {}
    row = _row(passwd, name)
    if row is None:
        gid = group_name if _is_number(group_name) else name
        known = _row(group, group_name)
        gid = known[2] if known else gid
        found["/etc/passwd"] = _with(passwd, name, f"x:{name}:{gid}:{USER_NAME}:/tmp:/sbin/nologin", "passwd")
    group_name = group_name or (row[3] if row and len(row) > 3 else name)
    if _row(group, group_name) is None:
        found["/etc/group"] = _with(group, group_name, f"x:{group_name}:", "group")
    return found


def _with(text: str, name: str, rest: str, file_name: str) -> str:
    """The file with one more line, under a name that no line has yet."""
    if not _is_number(name):
        msg = f"image.user names {name}, which is not in the image's /etc/{file_name}"
        raise ImageFailed(msg, hint="give numbers, such as 65532:65532, or bring the file with `files`")
    own = USER_NAME if _row(text, USER_NAME) is None else f"{USER_NAME}{name}"
    return f"{text}{'' if text.endswith(NEWLINE) or not text else NEWLINE}{own}:{rest}{NEWLINE}"


def _row(text: str, name: str) -> list[str] | None:
    """The line of a name or number."""
    rows = (line.split(":") for line in text.split(NEWLINE))
    return next((row for row in rows if len(row) > 2 and name in (row[0], row[2])), None)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _text(tree: Tree, path: str, default: str) -> str:
    found = tree.resolve(path)
    return default if found is None else found.entry.read().decode("utf-8", "surrogateescape")
