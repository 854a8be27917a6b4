"""CPython out of a tree: which of its paths are the interpreter, its library and its standard library."""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from slimrun.tree.entry import Kind
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseBuild:
    """A CPython and where it came from: `supply` is what libraries come from, and what of it may go into the image has a `why`.

    `owners` has the Debian package of each path, where packages are what it came from.
    """

    interpreter: Interpreter
    supply: Tree
    supply_name: str
    whys: Mapping[str, Why]
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> Why:
        """The recipe's line that all of it comes from."""
        *_, line = self.whys[self.interpreter.path].chain()
        return line


def take(tree: Tree, interpreter: Interpreter, *, name: str, why: Why) -> BaseBuild:
    """The interpreter, its names, libpython, the standard library and what else the prefix has of it.

    `why` is the recipe's line; each path gets a reason that ends there.
    """
    reasons = {
        "interpreter": Why(rule="python", text="the interpreter or one of its names", because=why),
        "libpython": Why(rule="python", text="CPython's own library", because=why),
        "stdlib": Why(rule="stdlib", text="the standard library", because=why),
        "extension": Why(rule="extension", text="an extension module of the standard library", because=why),
        "site": Why(rule="site", text="a distribution of the base build", because=why),
        "prefix": Why(rule="python", text="a part of CPython's prefix", because=why),
    }
    whys = {path: reasons[kind] for path in tree if (kind := _kind(path, tree, interpreter))}
    return BaseBuild(
        interpreter=interpreter,
        supply=tree,
        supply_name=name,
        whys=whys,
    )


def _kind(path: str, tree: Tree, interpreter: Interpreter) -> str:
    """Which part of CPython a path is, or "" for none."""
    prefix, series = interpreter.prefix, f"python{interpreter.series}"
    if path.startswith(f"{interpreter.site_packages}/"):
        return "site"
    if path.startswith(f"{interpreter.dynload}/") and path.endswith(".so"):
        return "extension"
    if path == interpreter.stdlib or path.startswith(f"{interpreter.stdlib}/"):
        return "stdlib"
    folder, name = dirname(path), basename(path)
    if folder == dirname(interpreter.path):
        return _script(path, tree, interpreter)
    if name.startswith("libpython") and folder.startswith(f"{prefix}/lib"):
        return "libpython"
    ours = (
        f"/etc/{series}/",
        f"{prefix}/include/{series}",
        f"{prefix}/share/man/man1/python",
        f"{prefix}/lib/pkgconfig/python",
    )
    return "prefix" if path.startswith(ours) else ""


def _script(path: str, tree: Tree, interpreter: Interpreter) -> str:
    """The interpreter's names, and scripts; at a shared prefix such as /usr only what is named after Python."""
    found, target = tree.resolve(path), tree.stat(interpreter.path)
    if found is not None and target is not None:
        same_file = found.entry.inode != "" and found.entry.inode == target.inode
        if found.path == interpreter.path or same_file:
            return "interpreter"
    if found is None or found.entry.kind is Kind.DIR:
        return ""
    own = basename(path).startswith(("python3", "pydoc", "idle", "2to3", "pip"))
    return "prefix" if own or interpreter.prefix == "/usr/local" else ""
