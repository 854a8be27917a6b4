"""What a run needs of the world, opened for its length; loaded only when something runs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slimrun.cache.store import Cache
from slimrun.cache.trim import running
from slimrun.errors import EngineUnreachable
from slimrun.events import Note
from slimrun.pipeline import Context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.backend.base import Backend
    from slimrun.events import Emit
    from slimrun.settings import Settings

# An engine that is there answers at once; one that hangs is not worth more.
_PATIENCE = 5.0


@contextmanager
def open_context(settings: Settings, emit: Emit) -> Iterator[Context]:
    """Cache and backend for one run, closed afterwards."""
    cache = Cache(settings.cache_dir)
    with running(cache.root):
        backend = _choose(settings, cache, emit)
        try:
            yield Context(
                settings=settings,
                cache=cache,
                backend=backend,
                emit=emit,
                environ=tuple(sorted(os.environ.items())),
            )
        finally:
            backend.close()


def local_backend(settings: Settings, cache: Cache, emit: Emit) -> Backend:
    """The backend that needs no daemon."""
    from slimrun.backend.local import LocalBackend

    return LocalBackend(settings, cache, emit, os.environ)


def _choose(settings: Settings, cache: Cache, emit: Emit) -> Backend:
    """What the settings name; `auto` is Docker where an engine answers, else local, which is said."""
    why = _no_engine(settings, cache) if settings.backend == "auto" else ""
    if settings.backend == "local" or why:
        if why:
            emit(Note(text=f"{why}; going on without one (--backend docker insists)", level=0))
        return local_backend(settings, cache, emit)
    from slimrun.backend.daemon import DockerBackend

    return DockerBackend(settings, cache, emit, os.environ)


def _no_engine(settings: Settings, cache: Cache) -> str:
    """Which engine does not answer, who chose it, and why; "" where it does."""
    from slimrun.backend.host import choose_host, engine_key, refusal

    try:
        host = choose_host(settings.docker, os.environ)
    except EngineUnreachable as error:
        return error.message
    known = cache.load("engine", engine_key(host)) is not None
    reason = refusal(host, timeout=min(_PATIENCE, settings.docker.timeout), known=known)
    return f"no Docker Engine answers at {host.url} ({host.chosen_by}): {reason}" if reason else ""
