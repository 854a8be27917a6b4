"""Which files were right before, so that jsonschema need not be loaded to say so again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from slimrun.cache.store import Cache
from slimrun.cli.options import default_cache
from slimrun.errors import SlimrunError

if TYPE_CHECKING:
    from pathlib import Path

_KIND = "right"


class Right:
    """What a cache knows of keys that `recipe.problems.check` asks for; what is new is written by `keep`.

    What cannot be read or written is looked at again, and no harm done.
    """

    def __init__(self, root: Path | None) -> None:
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
                Cache(self._root or default_cache()).save(_KIND, key, True)

    def _is_kept(self, key: str) -> bool:
        with suppress(OSError, SlimrunError):
            return Cache(self._root or default_cache()).has(_KIND, key)
        return False


class Memories:
    """Those of a command, by the folder of the cache (None: the default one): each slim.yaml may name its own."""

    def __init__(self) -> None:
        self._known: dict[Path | None, Right] = {}

    def of(self, root: Path | None) -> Right:
        """The one of this cache."""
        return self._known.setdefault(root, Right(root))

    def keep(self) -> None:
        """Write down what is new in each, when something is made of it."""
        for one in self._known.values():
            one.keep()
