"""Whether a wheel's tags fit a target, and in a person's words why not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from packaging.tags import Tag

    from slimrun.fetch.target import Target

_LEGACY = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
_MANYLINUX = re.compile(r"(?:manylinux_(\d+)_(\d+)|(manylinux1|manylinux2010|manylinux2014))_(.+)")
_CPYTHON = re.compile(r"cp(\d)(\d+)")


def fits(tags: Iterable[Tag], target: Target) -> bool:
    """Whether the target accepts one of these tags."""
    return not target.accepts.isdisjoint(tags)


def mismatch(tags: Collection[Tag], target: Target) -> str:
    """What the first thing wrong is: the Python, then the system or architecture, then glibc; empty where they fit."""
    if fits(tags, target):
        return ""
    wanted = {(tag.interpreter, tag.abi) for tag in target.tags}
    right = [tag for tag in tags if (tag.interpreter, tag.abi) in wanted]
    if not right:
        return f"for {pythons(tags)}, not for CPython {target.series}{'' if plain_abi(target) else f' ({target.abi})'}"
    needs = [minor for minor in (_glibc(tag.platform, target.arch) for tag in right) if minor is not None]
    if needs:
        return f"for glibc {_dotted(min(needs))} or newer, not for glibc {_dotted(target.glibc)}"
    return f"for {systems(right)}, not for Linux with glibc on {target.arch}"


def plain_abi(target: Target) -> bool:
    """Whether this is the ABI that everyone has: neither a debug nor a free-threaded build."""
    return target.abi.rstrip("m") == f"cp{target.version[0]}{target.version[1]}"


def pythons(tags: Iterable[Tag]) -> str:
    """`CPython 3.7, 3.8, PyPy 3.9`: the interpreters of these tags, in order."""
    stable, exact, others = set(), set(), set()
    for tag in tags:
        match = _CPYTHON.fullmatch(tag.interpreter)
        if match is None:
            others.add(_other(tag.interpreter))
        elif tag.abi == "abi3":
            stable.add((int(match[1]), int(match[2])))
        else:
            flag = tag.abi.removeprefix(tag.interpreter) if tag.abi.startswith("cp") else ""
            exact.add((int(match[1]), int(match[2]), flag.replace("m", "").replace("u", "")))
    words = _ranges(exact)
    words += [f"{major}.{minor} and newer" for major, minor in sorted(stable)[:1]]
    return ", ".join(([f"CPython {', '.join(words)}"] if words else []) + sorted(others))


def systems(tags: Iterable[Tag]) -> str:
    """`Linux aarch64, Linux with musl x86_64, macOS, Windows`: the systems of these tags, sorted."""
    return ", ".join(sorted({_system(tag.platform) for tag in tags}))


def _ranges(found: Collection[tuple[int, int, str]]) -> list[str]:
    """`3.7 to 3.12`, `3.14`, `3.13t`: three or more neighbours as one."""
    words: list[str] = []
    for flag in sorted({flag for _, _, flag in found}):
        run: list[tuple[int, int]] = []
        for version in [*sorted((major, minor) for major, minor, other in found if other == flag), (0, 0)]:
            if run and version != (run[-1][0], run[-1][1] + 1):
                names = [f"{_dotted(one)}{flag}" for one in run]
                words += [f"{names[0]} to {names[-1]}"] if len(names) > 2 else names
                run = []
            run.append(version)
    return words


def _system(platform: str) -> str:
    if platform == "any":
        return "any system"
    if match := _MANYLINUX.fullmatch(platform):
        return f"Linux {match[4]}"
    if match := re.fullmatch(r"musllinux_\d+_\d+_(.+)", platform):
        return f"Linux with musl {match[1]}"
    if platform.startswith("linux_"):
        return f"Linux {platform.removeprefix('linux_')}"
    others = {"macosx": "macOS", "win": "Windows", "ios": "iOS", "android": "Android"}
    return next((word for start, word in others.items() if platform.startswith(start)), platform)


def _glibc(platform: str, arch: str) -> tuple[int, int] | None:
    match = _MANYLINUX.fullmatch(platform)
    if match is None or match[4] != arch:
        return None
    return (2, _LEGACY[match[3]]) if match[3] else (int(match[1]), int(match[2]))


def _other(interpreter: str) -> str:
    match = re.fullmatch(r"(py|pp|graalpy)(\d)(\d*)", interpreter)
    if match is None:
        return interpreter
    word = {"py": "Python", "pp": "PyPy", "graalpy": "GraalPy"}[match[1]]
    return f"{word} {match[2]}{'.' + match[3] if match[3] else ''}"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
