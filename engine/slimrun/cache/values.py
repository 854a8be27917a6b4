"""Values of slimrun's own types as bytes, for the cache.

Pickle, because stage results are plain values and the cache is the user's own; the reader builds nothing but slimrun's types and
a few of the standard library's, so that a damaged or planted file can at worst be a wrong value, never run code.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

_STANDARD = frozenset(
    {
        ("builtins", "frozenset"),
        ("builtins", "set"),
        ("pathlib", "Path"),
        ("pathlib", "PosixPath"),
        ("pathlib", "PurePosixPath"),
        ("copyreg", "_reconstructor"),
        ("builtins", "object"),
    }
)


def dumps(value: object) -> bytes:
    """The bytes of a value."""
    return pickle.dumps(value, protocol=5)


def loads(data: bytes) -> Any:
    """The value of these bytes; raises ValueError for anything that `dumps` does not write."""
    try:
        return _Reader(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, KeyError) as error:
        msg = f"not a value of slimrun: {error}"
        raise ValueError(msg) from error


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = None
        if (module.startswith("slimrun.") and "." not in name) or (module, name) in _STANDARD:
            found = super().find_class(module, name)
        if not isinstance(found, type) and (module, name) != ("copyreg", "_reconstructor"):
            msg = f"{module}.{name} is not a type of slimrun"
            raise pickle.UnpicklingError(msg)
        return found
