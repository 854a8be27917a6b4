"""What a run keeps in memory between stages, for all images of it and all threads."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slimrun.elf.facts import Facts

# A large image's results are some 10 MB each; a stage reads at most five, and images of one base share two of them.
RECENT = 12


class Memo:
    """Facts of ELF files, and the results that were last used; whoever finds none reads the cache again."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def facts(self) -> Facts:
        """What is known of ELF files, each content read once."""
        from slimrun.elf.facts import Facts

        return Facts()

    def keep(self, key: str, value: object) -> None:
        """Remember a stage's result; the one that was not used for longest goes."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > RECENT:
                self._values.popitem(last=False)

    def recall(self, key: str) -> Any:
        """A stage's result, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)
