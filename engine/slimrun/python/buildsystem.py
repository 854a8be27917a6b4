"""What a source tree says of its build: `[build-system]` of pyproject.toml (PEP 518, PEP 517), and metadata that is settled."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from posixpath import normpath
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement

from slimrun.errors import BadSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.errors import Where
    from slimrun.tree.tree import Tree

PYPROJECT, SETUP, PKG_INFO = "/pyproject.toml", "/setup.py", "/PKG-INFO"
MAX_TEXT = 16 << 20
# What pip does for sources from before PEP 518; the backend puts the folder on sys.path, as running setup.py did.
LEGACY = "setuptools.build_meta:__legacy__"
LEGACY_REQUIRES = ("setuptools>=40.8.0",)
_SETTLED = ("requires_dist", "provides_extra")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSystem:
    """`requires` are PEP 508 lines, `backend` is `module[:object]`, `path` folders of the sources that hold it."""

    requires: tuple[str, ...] = LEGACY_REQUIRES
    backend: str = LEGACY
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a distribution needs to run, as its METADATA has it: lines of Requires-Dist, names of extras."""

    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


def build_system(sources: Tree, label: str, where: Where | None) -> BuildSystem:
    """How a wheel is built of these sources; raises BadSource where they are no project, or say it wrongly."""
    text = _text(sources, PYPROJECT)
    if text is None:
        if sources.stat(SETUP) is None:
            msg = f"{label} has neither pyproject.toml nor setup.py: no wheel can be built of it"
            raise BadSource(msg, hint="name a folder or an sdist of a Python project", where=where)
        return BuildSystem()
    try:
        table = tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        _wrong(label, f"is not TOML: {error}", where)
    given = table.get("build-system")
    if given is None:
        return BuildSystem()
    if not isinstance(given, dict) or not _texts(given.get("requires")):
        _wrong(label, "has a [build-system] without the list `requires` (PEP 518)", where)
    return BuildSystem(
        requires=checked_requires(given["requires"], label, where),
        backend=_backend(given, label, where),
        path=_path(given, sources, label, where),
    )


def checked_requires(lines: Sequence[str], label: str, where: Where | None) -> tuple[str, ...]:
    """The lines, if each is a requirement that an index can answer: sources must not lead to files of this machine."""
    for line in lines:
        try:
            url = Requirement(line).url
        except InvalidRequirement as error:
            _wrong(label, f"requires {line!r} for its build, which is no requirement: {error}", where)
        if url and urlsplit(url).scheme != "https":
            _wrong(label, f"requires {line!r} for its build, which is no https address", where)
    return tuple(lines)


def settled_needs(sources: Tree) -> Needs | None:
    """The needs that PKG-INFO promises for every wheel of these sources (PEP 643), None where only a build can tell."""
    text = _text(sources, PKG_INFO)
    if text is None:
        return None
    found, _ = parse_email(text)
    version = tuple(int(part) for part in found.get("metadata_version", "").split(".") if part.isdecimal())
    dynamic = {name.lower().replace("-", "_") for name in found.get("dynamic", ())}
    return None if version < (2, 2) or dynamic & set(_SETTLED) else needs_of(found)


def needs_of(metadata: Any) -> Needs:
    """The needs in parsed metadata; lines that are no requirement are passed over, as for a downloaded wheel."""
    found = []
    for line in metadata.get("requires_dist", ()):
        try:
            found.append(str(Requirement(line)))
        except InvalidRequirement:
            continue
    return Needs(requires=tuple(found), extras=tuple(metadata.get("provides_extra", ())))


def _backend(given: dict[str, Any], label: str, where: Where | None) -> str:
    backend = given.get("build-backend", LEGACY)
    module, _, name = backend.partition(":") if isinstance(backend, str) else ("", "", "")
    if not all(part.isidentifier() for part in (*module.split("."), *(name.split(".") if name else ()))):
        _wrong(label, f"names the build-backend {backend!r}, which is no object of a module", where)
    return str(backend)


def _path(given: dict[str, Any], sources: Tree, label: str, where: Where | None) -> tuple[str, ...]:
    folders = given.get("backend-path", [])
    if not _texts(folders):
        _wrong(label, "has a backend-path that is no list of folders", where)
    found = []
    for folder in folders:
        inside = normpath(f"/{folder}")
        if folder.startswith("/") or ".." in folder.split("/") or (inside != "/" and sources.stat(inside) is None):
            _wrong(label, f"names the backend-path {folder!r}, which is no folder of it", where)
        found.append(inside.lstrip("/"))
    return tuple(found)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _text(sources: Tree, path: str) -> bytes | None:
    found = sources.resolve(path)
    if found is None or found.entry.content is None:
        return None
    with found.entry.open() as stream:
        return stream.read(MAX_TEXT)


def _wrong(label: str, text: str, where: Where | None) -> NoReturn:
    msg = f"pyproject.toml of {label} {text}"
    raise BadSource(msg, hint="it is the project's own file: correct it, or choose another version", where=where)
