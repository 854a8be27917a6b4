"""What a run needs of the world, opened for its length; loaded only when something runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from slimrun.work import opening

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from slimrun.backend.base import Backend
    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.given import Context
    from slimrun.settings import Settings


def open_context(settings: Settings, emit: Emit) -> AbstractContextManager[Context]:
    """Cache and backend for one run, closed afterwards."""
    return opening.opened(settings, emit, os.environ)


def local_backend(settings: Settings, cache: Cache, emit: Emit) -> Backend:
    """The backend that needs no daemon."""
    return opening.local_backend(settings, cache, emit, os.environ)
