"""An interpreter of this machine in the place of an image's, for byte code: one whose byte code begins with the same number."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from slimrun.backend.sandbox_process import capture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ASK = "import importlib.util as u, platform; print(int.from_bytes(u.MAGIC_NUMBER[:2], 'little'), platform.python_version())"
_PATIENCE = 10.0
TIMEOUT = 300.0


class HostPython(NamedTuple):
    """Where it is, and which version."""

    path: str
    version: str


def find_python(magic: int, series: str, version: str, environ: Mapping[str, str]) -> HostPython | None:
    """The first with this magic number: of exactly `version` where there is one, since later ones fix the compiler."""
    names = (sys.executable, f"python{series}", "python3", "python")
    paths = [path for name in names if name and (path := shutil.which(name, path=environ.get("PATH")))]
    found = [each for path in dict.fromkeys(paths) if (each := _asked(path, magic)) is not None]
    return next((each for each in found if each.version == version), next(iter(found), None))


def run_python(
    python: HostPython, argv: Sequence[str], env: Mapping[str, str], *, keep: int
) -> tuple[int | None, str, str]:
    """Exit status, stdout (its last `keep` bytes) and stderr."""
    return capture([python.path, *argv], env, TIMEOUT, keep=keep)


def _asked(path: str, magic: int) -> HostPython | None:
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _ASK], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number, _, version = done.stdout.strip().partition(" ")
    return HostPython(path, version) if number == str(magic) else None
