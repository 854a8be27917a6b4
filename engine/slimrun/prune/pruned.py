"""What prune gives: values, so that assemble, verify and the report read them without working again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimrun.elf.model import Closure, Extra, Finding, Missing, Root
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.tree import Tree
    from slimrun.why import Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A path that a supply or a selection has and the image does not; `size` in bytes."""

    path: str
    size: int
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The layers' content by name, the reasons for all of it and for what went, and the closure they rest on.

    `roots` begin with the interpreter; `unresolved` is what level none keeps though nothing can load it; `features` are the names
    of those that the image has. It knows no passwd, no ld.so.cache and no digests of layers: those are assemble's.
    """

    layers: tuple[tuple[str, Tree], ...]
    whys: tuple[tuple[str, Why], ...]
    removed: tuple[Removed, ...]
    roots: tuple[Root, ...]
    closure: Closure
    interpreter: Interpreter
    also: tuple[Extra, ...] = ()
    hidden: tuple[str, ...] = ()
    unresolved: tuple[Missing, ...] = ()
    features: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
