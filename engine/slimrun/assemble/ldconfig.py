"""What `ldconfig -p` says of an image, and who says it where there is no ldconfig.

ctypes.util.find_library runs `/sbin/ldconfig -p` (since CPython 3.6: no shell, an environment of two variables), then gcc and ld,
which no image has. Debian's own ldconfig is 1 MB. In its place comes a script for the image's interpreter that prints the list
which ldconfig would print, made with the image; asked for anything else it says what it is and fails.
"""

from __future__ import annotations

from posixpath import join
from typing import TYPE_CHECKING

from slimrun.elf import ldcache
from slimrun.elf.facts import Facts
from slimrun.elf.linker import linker_of
from slimrun.elf.view import View, land
from slimrun.tree.entry import Kind, file
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from slimrun.elf.ldcache import Cached
    from slimrun.elf.linker import Linker
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree

PATH = "/sbin/ldconfig"
# As glibc's elf/cache.c prints the flags of a line, and ctypes.util looks for them.
_ABIS = {
    0x0303: "libc6,x86-64",
    0x0403: "libc6,64bit",
    0x0503: "libc6,64bit",
    0x0903: "libc6,hard-float",
    0x0A03: "libc6,AArch64",
    0x1003: "libc6,double-float",
}
_SCRIPT = """\
#!{interpreter} -IS
# Stands in for ldconfig in an image made by slimrun: prints the libraries that the image was made with, as `ldconfig -p` does,
# for ctypes.util.find_library. What was added later is not in the list.
import posix, sys
LIBRARIES = (
{rows})
if sys.argv[1:] not in (["-p"], ["--print-cache"]):
    sys.stderr.write("ldconfig: this is slimrun's stand-in, which knows -p only\\n")
    sys.exit(1)
def there(path):
    try:
        return bool(posix.stat(path))
    except OSError:
        return False
found = [(name, path) for name, path in LIBRARIES if there(path)]
print(len(found), "libs known to slimrun's stand-in for ldconfig")
for name, path in found:
    print("\\t%s ({abi}) => %s" % (name, path))
"""


def stand_in(tree: Tree, interpreter: Interpreter, cached: Iterable[Cached]) -> tuple[str, Entry] | None:
    """The script and where it goes, None for a tree that has an ldconfig, or whose interpreter is not there."""
    listing = libraries(tree, interpreter, cached)
    if resolve(tree, PATH) is not None or not listing:
        return None
    rows = "".join(f"    ({line.name!r}, {line.path!r}),\n" for line in listing)
    abi = _ABIS.get(listing[0].flags, "libc6")
    text = _SCRIPT.format(interpreter=interpreter.path, rows=rows, abi=abi)
    return join(land(View(tree), "/sbin"), "ldconfig"), file(text.encode("utf-8", "backslashreplace"), mode=0o755)


def libraries(tree: Tree, interpreter: Interpreter, cached: Iterable[Cached]) -> tuple[Cached, ...]:
    """What the interpreter's loader finds by name, in the order of `ldconfig -p`; `cached` is what only a cache finds."""
    facts, program = Facts(), tree.resolve(interpreter.path)
    info = facts.facts(program.path, program.entry) if program is not None else None
    if info is None:
        return ()
    linker, flags = linker_of(tree, info, facts), ldcache.flags_of(info)
    lines = {line.name: line for line in cached}
    for line in _in_folders(tree, linker, info.target, flags, facts):
        lines.setdefault(line.name, line)
    return tuple(sorted(lines.values(), key=lambda line: ldcache.order_key(line.name), reverse=True))


def _in_folders(
    tree: Tree, linker: Linker, target: tuple[int, bool, int], flags: int, facts: Facts
) -> Iterator[ldcache.Cached]:
    """A link by its own name, a file by its SONAME, as ldconfig takes them."""
    seen: set[str] = set()
    for folder in linker.dirs:
        real = resolve(tree, folder)
        if real is None or real.path in seen:
            continue
        seen.add(real.path)
        for name in tree.children(real.path):
            found = resolve(tree, join(real.path, name)) if ".so" in name and name.startswith(("lib", "ld-")) else None
            if found is None or found.entry.kind is not Kind.FILE:
                continue
            info = facts.sound(found.path, found.entry)
            if info is not None and info.target == target and not info.refused:
                entry = tree.stat(join(real.path, name))
                known = info.soname if entry is not None and entry.kind is Kind.FILE and info.soname else name
                if resolve(tree, join(real.path, known)) is not None:
                    yield ldcache.Cached(known, join(real.path, known), flags)
