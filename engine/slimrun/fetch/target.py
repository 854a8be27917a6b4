"""What wheels are looked for: a CPython on an architecture with a glibc, which need not be this machine's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.tags import Tag, compatible_tags, cpython_tags

from slimrun.errors import WheelNotFound

if TYPE_CHECKING:
    from packaging.markers import Environment

# `uv pip compile --python-platform` of uv 0.13; a test asks the uv at hand for each of them.
UV_ARCHES = ("aarch64", "x86_64")
UV_GLIBC_MINORS = (17, 28, *range(31, 41))
# PEP 513, 571, 599: names from before PEP 600, by the minor of glibc that they mean.
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_OLDEST = {"x86_64": 5, "i686": 5}


@dataclass(frozen=True, kw_only=True)
class Target:
    """`version` is (major, minor, micro or None), `abi` as in wheel names (cp311, cp37m), `arch` the kernel's word."""

    version: tuple[int, int, int | None]
    abi: str
    arch: str
    glibc: tuple[int, int]

    def __str__(self) -> str:
        return f"CPython {self.series} on {self.arch} with glibc {self.glibc[0]}.{self.glibc[1]}"

    @property
    def series(self) -> str:
        """`3.11`."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def full_version(self) -> str:
        """`3.11.2`; `3.11` where micro is not known."""
        return self.series if self.version[2] is None else f"{self.series}.{self.version[2]}"

    @property
    def uv_platform(self) -> str:
        """uv's word for the newest platform that still runs here; raises WheelNotFound where uv has none."""
        if self.arch not in UV_ARCHES:
            msg = f"wheels for {self.arch} cannot be resolved: uv knows {' and '.join(UV_ARCHES)}"
            raise WheelNotFound(msg, hint="give a finished lock for it instead: -r pylock.toml")
        major, minor = self.glibc
        fits = [known for known in UV_GLIBC_MINORS if (2, known) <= (major, minor)]
        if not fits:
            msg = f"wheels for glibc {major}.{minor} cannot be resolved: uv knows 2.{UV_GLIBC_MINORS[0]} and newer"
            raise WheelNotFound(msg, hint="use a base build on Debian 8, CentOS 7 or newer")
        return f"{self.arch}-manylinux_2_{max(fits)}"

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """Every tag that a wheel for this target may have, the best first (PEP 425, PEP 600)."""
        python = self.version[:2]
        platforms = self.platforms
        return (
            *cpython_tags(python, [self.abi], platforms),
            *compatible_tags(python, f"cp{python[0]}{python[1]}", platforms),
        )

    @cached_property
    def accepts(self) -> frozenset[Tag]:
        """The tags without their order."""
        return frozenset(self.tags)

    @property
    def platforms(self) -> tuple[str, ...]:
        """manylinux from this glibc down, each with its old name, then the plain one of wheels built locally."""
        major, minor = self.glibc
        found: list[str] = []
        for older in range(minor if major == 2 else -1, _OLDEST.get(self.arch, 17) - 1, -1):
            found.append(f"manylinux_2_{older}_{self.arch}")
            if older in _LEGACY:
                found.append(f"{_LEGACY[older]}_{self.arch}")
        return (*found, f"linux_{self.arch}")

    @property
    def environment(self) -> Environment:
        """Values for environment markers (PEP 508), as uv fills them in; an unknown micro counts as 0."""
        full = self.full_version if self.version[2] is not None else f"{self.series}.0"
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.arch,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.series,
            "sys_platform": "linux",
        }
