"""What a run keeps in memory between stages, for all images of it and all threads."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.elf.facts import Facts, Shelf

# A large image's results are some 10 MB each; a stage reads at most five, and images of one base share two of them.
RECENT = 12


class Memo:
    """Facts of ELF files, and the results that were last used; whoever finds none reads the cache again."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()
        self._facts: Facts | None = None

    def facts(self, shelf: Shelf) -> Facts:
        """What is known of ELF files, each content read once; the shelf keeps what is costly to read."""
        from slimrun.elf.facts import Facts

        with self._lock:
            if self._facts is None:
                self._facts = Facts(shelf)
            return self._facts

    def keep(self, key: str, value: object) -> None:
        """Remember a value; the one that was not used for longest goes."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > RECENT:
                self._values.popitem(last=False)

    def once(self, key: str, make: Callable[[], object]) -> Any:
        """What is remembered under a key, or what `make` gives; two threads may both make it, and it is the same then."""
        value = self.recall(key)
        if value is None:
            value = make()
            self.keep(key, value)
        return value

    def recall(self, key: str) -> Any:
        """A value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)
