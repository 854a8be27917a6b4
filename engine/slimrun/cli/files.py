"""Files that a person asked for: complete or not there, and never in the place of a device."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from slimrun.errors import BadCommandLine, DiskFull, RequirementNotMet

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def check_target(path: Path, flag: str) -> None:
    """Raise BadCommandLine for a place where no file can come to be, before any work is done for it."""
    real = path.resolve()
    if not real.parent.is_dir():
        msg = f"{flag} {path}: there is no folder {path.parent}"
        raise BadCommandLine(msg, hint=f"mkdir -p {path.parent}")
    if real.exists() and not real.is_file():
        msg = f"{flag} {path} is {'a folder' if real.is_dir() else 'a device'}, not a file"
        raise BadCommandLine(msg, hint="name a file, which is written when all is done")


def write_file(path: Path, chunks: Iterable[bytes], flag: str) -> None:
    """Write a file under a staging name and rename it; a link is followed. Raises DiskFull, RequirementNotMet."""
    real = path.resolve()
    staging = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        with staging.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        staging.rename(real)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else RequirementNotMet
        raise kind(msg, hint=f"name a place that you can write with {flag}") from error
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)
