"""What assemble gives and verify checks: a finished image that no engine has yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.backend.base import Finished

if TYPE_CHECKING:
    from slimrun.oci.config import Config
    from slimrun.oci.layer import Layer
    from slimrun.tree.tree import Tree
    from slimrun.why import Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A finished image: its config, its layers (the base's first), the file system they make, and whys of what was added.

    `base_why` is the reason of every path that is the base's own; `python` is CPython's version, as exactly as it is known.
    """

    config: Config
    layers: tuple[Layer, ...]
    tree: Tree
    whys: tuple[tuple[str, Why], ...]
    base_why: Why
    python: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files in all layers: what the base, and what it hides, cost too."""
        return sum(layer.content for layer in self.layers)

    @property
    def digest(self) -> str:
        """The bare sha256 hex of the config."""
        return self.config.digest()

    def finished(self, tags: tuple[str, ...]) -> Finished:
        """The image as a backend takes it."""
        return Finished(config=self.config, tags=tags, size=self.size)
