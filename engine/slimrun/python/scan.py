"""What Python sources say of libraries that they open at run time, and of modules that they import: read as trees, never run.

Scope is followed as far as it is cheap and sure: names bound once in the file, loops over literal names, both sides of `or` and
`if`. All else is dynamic, and is said to be.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# By what they are called as, aliases resolved; cffi's is a method, known by its name alone.
_OPENERS = frozenset(
    f"ctypes.{name}" for name in ("CDLL", "PyDLL", "cdll.LoadLibrary", "pydll.LoadLibrary", "cdll", "pydll")
) | {"_ctypes.dlopen"}
_FINDER = "ctypes.util.find_library"
_OPENS = re.compile(rb"[Cc]DLL|cdll|Py[Dd]LL|pydll|LoadLibrary|find_library|dlopen")
# What makes a path start from the package's own folder: such a file is part of the distribution, and there.
_BESIDE = frozenset({"__file__", "__path__", "files", "resource_filename", "get_data"})


class Scanned(NamedTuple):
    """Both of what is looked for in one source."""

    opened: tuple[Opened, ...]
    imported: dict[str, int]


class Opened(NamedTuple):
    """One place that opens libraries: `names` for dlopen, `stems` for find_library (`ssl`), both constant.

    `dynamic`: a name is computed as well, or alone.
    """

    line: int
    names: tuple[str, ...]
    stems: tuple[str, ...]
    dynamic: bool


def scan(source: bytes, modules: frozenset[str]) -> Scanned:
    """What a source opens, and which of these top-level modules it imports."""
    return Scanned(opened(source), imported(source, modules))


def opened(source: bytes) -> tuple[Opened, ...]:
    """The places of a source file that open libraries, in order; line 0 and dynamic where it cannot be parsed."""
    if not _OPENS.search(source):
        return ()
    tree = _parsed(source)
    return (Opened(0, (), (), True),) if tree is None else tuple(_Reader(tree).places())


def imported(source: bytes, modules: frozenset[str]) -> dict[str, int]:
    """Which of these top-level modules a source file imports by their absolute names, with the line of the first import."""
    if not any(module.encode() in source for module in modules):
        return {}
    tree, found = _parsed(source), dict[str, int]()
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.Import(names=names):
                tops = {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                tops = {module.partition(".")[0]}
            case _:
                continue
        for top in tops & modules:
            found[top] = min(node.lineno, found.get(top, node.lineno))
    return found


def _parsed(source: bytes) -> ast.Module | None:
    """Newer syntax than ours, and templates that only end in .py, are no modules that we can read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self._nodes = list(ast.walk(tree))
        self._aliases: dict[str, str] = {}
        self._bound: dict[str, list[ast.expr | None]] = {}
        for node in self._nodes:
            self._note(node)

    def places(self) -> Iterator[Opened]:
        calls = [node for node in self._nodes if isinstance(node, ast.Call | ast.Subscript)]
        for node in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            argument = self._argument(node)
            if argument is None:
                continue
            found = _Value()
            if self._called(node) == _FINDER:
                self._value(argument, found, 0)
                found.stems, found.names = found.names, []
            else:
                self._value(argument, found, 0)
            yield Opened(node.lineno, _once(found.names), _once(found.stems), found.dynamic)

    def _note(self, node: ast.AST) -> None:
        """Imports, and what names are bound to."""
        match node:
            case ast.Import(names=names):
                for alias in names:
                    self._aliases[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    self._aliases[alias.asname or alias.name] = f"{module}.{alias.name}"
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
                self._bind(target, value)
            case ast.For(target=target, iter=ast.Tuple(elts=items) | ast.List(elts=items)):
                for item in items:
                    self._bind(target, item)
            case ast.For(target=target) | ast.AugAssign(target=target) | ast.comprehension(target=target):
                self._bind(target, None)
            case ast.arg(arg=name):
                self._bound.setdefault(name, []).append(None)

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self._bound.setdefault(node.id, []).append(value if node is target else None)

    def _argument(self, node: ast.Call | ast.Subscript) -> ast.expr | None:
        """The name that a call opens, None where it opens nothing."""
        name = self._called(node)
        if isinstance(node, ast.Subscript):
            return node.slice if name in ("ctypes.cdll", "ctypes.pydll") else None
        cffi = isinstance(node.func, ast.Attribute) and node.func.attr == "dlopen" and name != "ctypes.dlopen"
        if name not in _OPENERS and name != _FINDER and not cffi:
            return None
        if node.args:
            return None if isinstance(node.args[0], ast.Starred) else node.args[0]
        return next((word.value for word in node.keywords if word.arg == "name"), None)

    def _called(self, node: ast.Call | ast.Subscript) -> str:
        return self._dotted(node.func if isinstance(node, ast.Call) else node.value)

    def _dotted(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self._aliases.get(name, "")
            case ast.Attribute(value=inner, attr=name):
                before = self._dotted(inner)
                return f"{before}.{name}" if before else ""
        return ""

    def _value(self, node: ast.expr, found: _Value, depth: int) -> None:
        """Gather what an expression can be."""
        match node:
            case ast.Constant(value=str(text)):
                found.names.append(text)
            case ast.Constant():
                pass  # None is the program itself
            case ast.BoolOp(values=parts):
                for part in parts:
                    self._value(part, found, depth)
            case ast.IfExp(body=one, orelse=other):
                self._value(one, found, depth)
                self._value(other, found, depth)
            case ast.Call() if self._called(node) == _FINDER and node.args:
                inner = _Value()
                self._value(node.args[0], inner, depth)
                found.stems += inner.names
                found.dynamic = found.dynamic or inner.dynamic
            case ast.Name(id=name) if depth < 4 and self._bound.get(name) and None not in self._bound[name]:
                for value in self._bound[name]:
                    if value is not None:
                        self._value(value, found, depth + 1)
            case _:
                found.dynamic = found.dynamic or not self._beside(node, depth)

    def _beside(self, node: ast.expr, depth: int) -> bool:
        """Whether a path is put together from where the source file lies."""
        for inner in ast.walk(node):
            word = inner.id if isinstance(inner, ast.Name) else inner.attr if isinstance(inner, ast.Attribute) else ""
            if word in _BESIDE:
                return True
            values = self._bound.get(word, []) if isinstance(inner, ast.Name) and depth < 4 else []
            if any(value is not None and self._beside(value, depth + 1) for value in values):
                return True
        return False


class _Value:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.stems: list[str] = []
        self.dynamic = False


def _once(items: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
