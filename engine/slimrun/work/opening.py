"""Cache and backend, opened for the length of a run, or of one job of a run elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from slimrun.cache.store import Cache
from slimrun.cache.trim import running
from slimrun.errors import EngineUnreachable
from slimrun.events import Note
from slimrun.given import Context
from slimrun.work.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from slimrun.backend.base import Backend
    from slimrun.events import Emit
    from slimrun.settings import Settings

    OpenBackend = Callable[[Settings, Cache, Emit, Mapping[str, str]], Backend]

# An engine that is there answers at once; one that hangs is not worth more.
_PATIENCE = 5.0
_ANSWERED = "answered"


def open_backend(settings: Settings, cache: Cache, emit: Emit, environ: Mapping[str, str]) -> Backend:
    """What the settings name; `auto` is Docker where an engine answers, else local, which is said."""
    why = _no_engine(settings, cache, environ) if settings.backend == "auto" else ""
    if settings.backend == "local" or why:
        if why:
            emit(Note(text=f"{why}; going on without one (--backend docker insists)", level=0))
        return local_backend(settings, cache, emit, environ)
    from slimrun.backend.daemon import DockerBackend

    return DockerBackend(settings, cache, emit, environ)


def local_backend(settings: Settings, cache: Cache, emit: Emit, environ: Mapping[str, str]) -> Backend:
    """The backend that needs no daemon."""
    from slimrun.backend.local import LocalBackend

    return LocalBackend(settings, cache, emit, environ)


@contextmanager
def opened(
    settings: Settings, emit: Emit, environ: Mapping[str, str], open_backend: OpenBackend = open_backend
) -> Iterator[Context]:
    """A context whose backend is closed afterwards; all that happens in it is emitted through one Relay."""
    cache, relay = Cache(settings.cache_dir), Relay(emit)
    with running(cache.root):
        backend = open_backend(settings, cache, relay, environ)
        try:
            yield Context(
                settings=settings, cache=cache, backend=backend, emit=relay, environ=tuple(sorted(environ.items()))
            )
        finally:
            backend.close()


def _no_engine(settings: Settings, cache: Cache, environ: Mapping[str, str]) -> str:
    """Which engine does not answer, who chose it, and why; "" where it does."""
    from slimrun.backend.host import choose_host, engine_key, refusal

    try:
        host = choose_host(settings.docker, environ)
    except EngineUnreachable as error:
        return error.message
    key = engine_key(host)
    known = any(cache.load(kind, key) is not None for kind in ("engine", _ANSWERED))
    reason = refusal(host, timeout=min(_PATIENCE, settings.docker.timeout), known=known)
    if not known and not reason:  # a run in which all is cached learns no more of it, and need not ask twice
        cache.save(_ANSWERED, key, {"url": host.url})
    return f"no Docker Engine answers at {host.url} ({host.chosen_by}): {reason}" if reason else ""
