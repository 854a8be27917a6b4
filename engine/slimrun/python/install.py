"""Wheels into a tree: what pip would have written, without pip, disk or byte code."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import installer
from installer.exceptions import InstallerError

from slimrun.errors import FileConflict
from slimrun.python.destination import INSTALLER, Destination, Source
from slimrun.python.inflate import bad_wheel
from slimrun.python.wheelfile import open_wheel
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from slimrun.cache.writers import Pack
    from slimrun.fetch.target import Target
    from slimrun.plan.pins import WheelPin
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.entry import Entry

_SKIPPED = re.compile(r".*\.(?:dist-info|data|libs)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One installed distribution.

    `name` is normalised (PEP 503); `top_level` are importable names (packages, modules, extension modules) at the top
    of site-packages; `extensions` are dotted names of its extension modules (`psycopg2._psycopg`); all sorted.
    """

    name: str
    version: str
    files: tuple[str, ...]
    top_level: tuple[str, ...]
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What wheels put into an image: the files, why each is there, and what they are as distributions, by name.

    `flags` are sentences about what a person should know of: `.pth` files, files outside site-packages.
    """

    tree: Tree
    whys: Mapping[str, Why]
    distributions: tuple[Distribution, ...]
    flags: tuple[str, ...] = ()


def install_wheels(
    wheels: Sequence[tuple[WheelPin, Path, Why]],
    interpreter: Interpreter,
    pack: Pack,
    *,
    target: Target | None = None,
) -> Installed:
    """Install wheels for `interpreter`; the bytes of their files go to `pack`, always in the same order.

    With `target`, tags and Requires-Python are checked too. Raises BadWheel for a wheel that does not keep to its
    format, WheelNotFound for one made for something else, FileConflict where two distributions write one path, be the
    bytes equal or not.
    """
    entries: dict[str, Entry] = {}
    whys: dict[str, Why] = {}
    owners: dict[str, str] = {}
    distributions: list[Distribution] = []
    flags: list[str] = []
    for pin, path, because in sorted(wheels, key=lambda wheel: wheel[0]):
        done = _install(pin, path, interpreter, pack, target)
        label = f"{pin.name} {pin.version}"
        _no_conflict(done.entries, owners, label)
        entries |= done.entries
        owners |= dict.fromkeys(done.entries, label)
        whys |= dict.fromkeys(done.entries, wheel_why(pin, because))
        flags += done.flags()
        distributions.append(_distribution(pin, done.entries, interpreter))
    _no_file_is_folder(owners)
    return Installed(
        tree=Tree(entries),
        whys=MappingProxyType({path: whys[path] for path in sorted(whys)}),
        distributions=tuple(distributions),
        flags=tuple(sorted(flags)),
    )


def wheel_why(pin: WheelPin, because: Why) -> Why:
    """The step of a reason that every file of a wheel carries."""
    return Why(rule="wheel", text=f"{pin.name} {pin.version}: {pin.filename}", because=because)


def _install(pin: WheelPin, path: Path, interpreter: Interpreter, pack: Pack, target: Target | None) -> Destination:
    with open_wheel(pin, path, target) as wheel:
        done = Destination(wheel, interpreter, pack)
        try:
            installer.install(Source(wheel), done, {"INSTALLER": INSTALLER})
        except (InstallerError, configparser.Error, AssertionError, KeyError) as error:
            # installer asserts the syntax of entry points, and reads WHEEL without asking whether it is there.
            text = error.args[-1] if isinstance(error, InstallerError) and error.args else error
            said = str(text).strip() or "its entry_points.txt is not valid"
            raise bad_wheel(pin.filename, said) from error
    return done


def _no_conflict(new: Iterable[str], owners: Mapping[str, str], label: str) -> None:
    both = sorted(path for path in new if path in owners)
    if both:
        more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
        msg = f"{owners[both[0]]} and {label} both write {both[0]}{more}"
        raise FileConflict(msg, hint="remove one of the two from `wheels`, or from what pulls it in")


def _no_file_is_folder(owners: Mapping[str, str]) -> None:
    for path in sorted(owners):
        above = path.rpartition("/")[0]
        while above:
            if above in owners:
                msg = f"{owners[above]} writes the file {above}, and {owners[path]} a folder of that name"
                raise FileConflict(msg, hint="remove one of the two from `wheels`, or from what pulls it in")
            above = above.rpartition("/")[0]


def _distribution(pin: WheelPin, files: Iterable[str], interpreter: Interpreter) -> Distribution:
    start = f"{interpreter.site_packages}/"
    modules, extensions = set(), set()
    for path in files:
        relative = path.removeprefix(start)
        if relative == path or _SKIPPED.fullmatch(relative.partition("/")[0]):
            continue
        suffix = next((end for end in (".py", ".pyc", *interpreter.ext_suffixes) if relative.endswith(end)), None)
        if suffix is None:
            continue
        parts = relative.removesuffix(suffix).split("/")
        # A plain lib*.so beside modules is a library that an extension needs, not a module.
        if not all(part.isidentifier() for part in parts) or (suffix == ".so" and parts[-1].startswith("lib")):
            continue
        modules.add(parts[0])
        if suffix in interpreter.ext_suffixes:
            extensions.add(".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts))
    return Distribution(
        name=pin.name,
        version=pin.version,
        files=tuple(sorted(files)),
        top_level=tuple(sorted(modules)),
        extensions=tuple(sorted(extensions)),
    )
