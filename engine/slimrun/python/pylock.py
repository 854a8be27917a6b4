"""A given pylock.toml (PEP 751): its wheels for the target, taken as they stand and not resolved again."""

from __future__ import annotations

import os.path
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from slimrun.errors import Problem, RecipeInvalid, RequirementNotMet, Where
from slimrun.plan.pins import SourcePin, WheelPin
from slimrun.python.reqfile import read_given
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from slimrun.fetch.target import Target

_NAME = re.compile(r"pylock\.(?:[^.]+\.)?toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A wheel, or sources to build one of, that a lock file settles."""

    pin: WheelPin | SourcePin
    why: Why


def is_pylock(name: str) -> bool:
    """Whether a file of this name is a lock: pylock.toml or pylock.NAME.toml."""
    return _NAME.fullmatch(name) is not None


def read_pylock(
    path: Path, target: Target, where: Where, why: Why, from_source: Collection[str] = ()
) -> tuple[Locked, ...]:
    """The wheels whose markers and tags fit the target; raises RecipeInvalid with the place in the lock.

    Of what `from_source` names it is the sdist. `where` is the line that names the file, for what is wrong with all of it.
    """
    try:
        from packaging.pylock import Pylock, PylockSelectError, PylockValidationError
    except ImportError as error:
        msg = "reading a pylock.toml needs packaging 26.1 or newer"
        raise RequirementNotMet(msg, hint="pip install -U packaging", where=where) from error
    try:
        text = read_given(path)
        lock = Pylock.from_dict(tomllib.loads(text))
        chosen = list(lock.select(environment=target.environment, tags=target.tags))
    except OSError as error:
        raise _invalid(where, f"cannot read {path}: {(error.strerror or 'error').lower()}", "check the path") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, PylockValidationError) as error:
        hint = "make it again, for instance with uv pip compile"
        raise _invalid(Where(str(path)), f"not a lock file: {error}", hint) from error
    except PylockSelectError as error:
        hint = f"lock it for {target}"
        raise _invalid(Where(str(path)), str(error), hint) from error
    found: list[Locked] = []
    problems: list[Problem] = []
    for package, source in chosen:
        place = _place(path, text, package.name)
        version, named = str(package.version or ""), canonicalize_name(package.name) in from_source
        read = _source_pin if named else _pin
        pin = read(package.name, version, package.sdist if named else source, path.parent)
        if isinstance(pin, str):
            hint = "lock it with its sources, or take it out of pip.from_source" if named else f"lock it for {target}"
            problems.append(Problem(where=place, text=f"{package.name}: {pin}", rule="pylock", hint=hint))
        else:
            reason = Why(rule="lock", text=f"{package.name} {pin.version}", where=place, because=why)
            found.append(Locked(pin=pin, why=reason))
    if problems:
        raise RecipeInvalid(tuple(problems))
    return tuple(found)


def _source_pin(name: str, version: str, source: Any, base: Path) -> SourcePin | str:
    """A PackageSdist as a pin; a text where there is none."""
    if source is None:
        return "pip.from_source names it, and the lock has no sdist of it"
    address, filename = _address(source, base)
    if "sha256" not in (source.hashes or {}) or not address:
        return "its sdist has no sha256"
    return SourcePin(
        name=name,
        version=version,
        filename=filename,
        url=address,
        sha256=source.hashes["sha256"].lower(),
        size=source.size or 0,
    )


def _address(source: Any, base: Path) -> tuple[str, str]:
    """Where a PackageWheel, PackageSdist or PackageArchive is, and its file's name."""
    address = source.url or (os.path.normpath(base / source.path) if getattr(source, "path", None) else "")
    return address, getattr(source, "filename", None) or unquote(urlsplit(address).path).rpartition("/")[2]


def _pin(name: str, version: str, source: Any, base: Path) -> WheelPin | str:
    """A PackageWheel, or a PackageArchive that is a wheel, as a pin; a text where it is none."""
    address, filename = _address(source, base)
    if not filename.endswith(".whl") or not address:
        return "no wheel of it fits; pip.from_source names what is built from its sdist"
    if "sha256" not in (source.hashes or {}):
        return "its wheel has no sha256"
    parts = filename.split("-")
    return WheelPin(
        name=name,
        version=version or parts[1],
        filename=filename,
        url=address,
        sha256=source.hashes["sha256"].lower(),
        size=source.size or 0,
    )


def _place(path: Path, text: str, name: str) -> Where:
    line = re.compile(rf"""^\s*name\s*=\s*["']{re.escape(name)}["']""")
    number = next((count for count, one in enumerate(text.splitlines(), 1) if line.match(one)), 0)
    return Where(str(path), number)


def _invalid(where: Where, text: str, hint: str) -> RecipeInvalid:
    return RecipeInvalid((Problem(where=where, text=text, rule="pylock", hint=hint),))
