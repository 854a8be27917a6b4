"""Which files were right before, so that jsonschema need not be loaded to say so again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from slimrun.cache.store import Cache
from slimrun.errors import SlimrunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KIND = "right"


class Right:
    """The keys that `recipe.problems.check` asks for; new ones are written by `keep`, when something is made of them.

    `root` names the cache, or raises where there is none; what cannot be read or written is looked at again, and no harm done.
    """

    def __init__(self, root: Callable[[], Path]) -> None:
        self._root, self._new = root, set[str]()

    def has(self, key: str) -> bool:
        """Whether this one was right."""
        return key in self._new or self._is_kept(key)

    def note(self, key: str) -> None:
        """This one is."""
        self._new.add(key)

    def keep(self) -> None:
        """Write down what is new."""
        with suppress(OSError, SlimrunError):
            for key in sorted(key for key in self._new if not self._is_kept(key)):
                Cache(self._root()).save(_KIND, key, True)

    def _is_kept(self, key: str) -> bool:
        with suppress(OSError, SlimrunError):
            return Cache(self._root()).has(_KIND, key)
        return False
