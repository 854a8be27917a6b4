"""An image whose layers are in the cache, read as the Docker backend reads one through an engine: equal trees, entry for entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.backend.base import ENGINE_FILES, Layered, is_static
from slimrun.backend.naming import leads, own_names, real_path
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slimrun.oci.config import Config


class LocalImage:
    """An image by its config; `read` fetches and reads its layers, and is called when a file is first asked for."""

    def __init__(self, config: Config, read: Callable[[], Layered]) -> None:
        self._config, self._read = config, read
        self._layered: Layered | None = None

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """The environment of the image's config."""
        return self._config.env

    def target(self, path: str) -> str | None:
        """The path, or where a link leads in the end, as an engine reports it; None where nothing is there."""
        return leads(self.layered().tree, path)

    def tree(self, folders: Sequence[str], *, libraries: Sequence[str] = ()) -> Tree:
        """Each folder by itself: a file whose other names lie elsewhere has one name."""
        tree = self.layered().tree
        lean = tree.only(lambda path, _: not is_static(path)) if libraries else tree
        found = (*(_folder(lean, path) for path in libraries), *(_folder(tree, path) for path in folders))
        return Tree().merge(*found).without(ENGINE_FILES)

    def layered(self) -> Layered:
        """All layers and the tree that they make."""
        if self._layered is None:
            self._layered = self._read()
        return self._layered


def _folder(tree: Tree, path: str) -> Tree:
    """What is at and below a path, under the name that was asked for, also where a folder above it is a link."""
    real = real_path(tree, path)
    if real is None:
        return Tree()
    found = tree.under(real)
    if real != path:
        found = Tree({path + name.removeprefix(real): entry for name, entry in found.items()})
    return own_names(found)
