"""What a stage puts into an image: paths, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.why import Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Wheels, files or packages as a tree; `whys` is sorted by path."""

    tree: Tree = field(default_factory=Tree)
    whys: tuple[tuple[str, Why], ...] = ()
