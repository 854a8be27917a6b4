"""What wheels must fit, of a base build's interpreter and the glibc that will run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.errors import WheelNotFound
from slimrun.fetch.target import Target

if TYPE_CHECKING:
    from slimrun.python.interpreter import Interpreter


def target_of(interpreter: Interpreter, glibc: tuple[int, int] | None) -> Target:
    """What wheels must fit; raises WheelNotFound where there is no glibc to fit (musl, or no C library)."""
    if glibc is None:
        msg = f"{interpreter.path} stands in a tree without glibc, which wheels for Linux are built against"
        raise WheelNotFound(msg, hint="use an image based on glibc: python:3.11-slim rather than python:3.11-alpine")
    return Target(version=interpreter.version, abi=interpreter.abi, arch=interpreter.arch, glibc=glibc)
