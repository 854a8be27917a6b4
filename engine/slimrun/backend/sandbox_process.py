"""One process, its two outputs, and a limit in time."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event as Flag

KEEP = 1 << 20
_CHUNK = 1 << 16
# Within it the outputs of what was killed must close, which says that its last process is gone.
_GRACE = 10.0
# How long another thread may have to wait until its wish to stop is seen.
_LOOK = 0.2


def capture(
    argv: Sequence[str],
    env: Mapping[str, str],
    timeout: float,
    stopped: Flag | None = None,
    *,
    keep: int = KEEP,
) -> tuple[int | None, str, str]:
    """Exit status (128 and the signal's number where one ended it, None where time ran out), stdout and stderr.

    Of each output the last `keep` bytes. Whatever happens, Ctrl-C too, the process is killed and waited for. Time has also run
    out once `stopped` is set.
    """
    until = time.monotonic() + timeout
    process = subprocess.Popen(
        argv,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    kept = {cast("IO[bytes]", stream): bytearray() for stream in (process.stdout, process.stderr)}
    status: int | None = None
    try:
        if _drain(kept, until, keep, stopped):
            status = process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        status = None
    finally:
        process.kill()
        process.wait()
        if status is None:
            _drain(kept, time.monotonic() + _GRACE, keep)
        for stream in kept:
            stream.close()
    out, err = (bytes(data[-keep:]).decode("utf-8", "replace") for data in kept.values())
    return (128 - status if status is not None and status < 0 else status), out, err


def _drain(kept: dict[IO[bytes], bytearray], until: float, keep: int, stopped: Flag | None = None) -> bool:
    """Read all outputs until they are closed (True) or time is out."""
    with selectors.DefaultSelector() as waiting:
        for stream in kept:
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            left = until - time.monotonic()
            if left <= 0 or (stopped is not None and stopped.is_set()):
                return False
            for key, _ in waiting.select(left if stopped is None else min(left, _LOOK)):
                stream = cast("IO[bytes]", key.fileobj)
                data = os.read(stream.fileno(), _CHUNK)
                if not data:
                    waiting.unregister(stream)
                kept[stream] += data
                if len(kept[stream]) > 2 * keep:
                    del kept[stream][:-keep]
    return True
