"""The lines of `wheels:` as values: what is asked for, by which line of which file."""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from slimrun.errors import Problem, RecipeInvalid, Where
from slimrun.python.pylock import Locked, is_pylock, read_pylock
from slimrun.python.reqfile import logical_lines, read_given, split_hashes
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from slimrun.fetch.target import Target

RULE = "wheels"
_FROM_SOURCE = "write name and version instead, and name it in pip.from_source, so that a wheel is built of it"
# What a requirements file may say to pip, and where slimrun is told the same.
_OPTIONS = {
    "-i": "pip.index",
    "--index-url": "pip.index",
    "--extra-index-url": "pip.extra_index",
    "--no-index": "pip.index",
    "-f": "pip.index",
    "--find-links": "pip.index",
    "--no-binary": "pip.from_source",
    "--trusted-host": "build.ca_certificates in slim.yaml",
}
_IGNORED = frozenset(("--only-binary", "--prefer-binary", "--require-hashes"))


class Line(Protocol):
    """One line of `wheels`, as recipe.Wheel is; relative paths in it start from `base`."""

    @property
    def text(self) -> str: ...

    @property
    def where(self) -> Where: ...

    @property
    def base(self) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A distribution by name (or by the address of its wheel); `hashes` are sha256 hex, () where any will do."""

    requirement: Requirement
    why: Why
    hashes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Normalised (PEP 503)."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWheel:
    """A wheel file of this machine; name and version are its file name's."""

    path: Path
    name: str
    version: str
    extras: frozenset[str]
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A folder of which a wheel has to be built; `text` is what the line calls it."""

    path: Path
    text: str
    extras: frozenset[str]
    why: Why


@dataclass(slots=True)
class Requirements:
    """All that the lines ask for, in their order, without what its markers exclude for the target."""

    named: list[Named] = field(default_factory=list)
    local: list[LocalWheel] = field(default_factory=list)
    sources: list[Sources] = field(default_factory=list)
    locked: list[Locked] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)


def read_requirements(
    lines: Iterable[Line], target: Target, *, constraints: Line | None = None, from_source: Collection[str] = ()
) -> Requirements:
    """Read the lines and the files that they name; raises RecipeInvalid with everything that is wrong, in order.

    Of what `from_source` names (normalised) a lock gives the sources.
    """
    reader = _Reader(target, from_source)
    for line in lines:
        reason = Why(rule="recipe", text=line.text, where=line.where)
        reader.line(line.text, line.where, line.base, reason, ())
    if constraints is not None:
        reader.constraints(constraints.text, constraints.where, constraints.base, ())
    if reader.problems:
        raise RecipeInvalid(tuple(reader.problems))
    return reader.found


class _Reader:
    """Collects; nothing is raised before the last line was read."""

    def __init__(self, target: Target, from_source: Collection[str]) -> None:
        self.found = Requirements()
        self.problems: list[Problem] = []
        self._target, self._from_source = target, from_source

    def line(self, text: str, where: Where, base: Path, why: Why, inside: tuple[str, ...]) -> None:
        """One line of a recipe or, with `inside` the files that lead to it, of a requirements file."""
        word, _, rest = text.replace("=", " ", 1).partition(" ") if text.startswith("--") else _short(text)
        if word in ("-r", "--requirement"):
            self._file(rest.strip(), where, base, why, inside)
        elif word in ("-c", "--constraint"):
            if inside:
                self.constraints(rest.strip(), where, base, inside)
            else:
                self._wrong(where, "-c asks for nothing", f"give it as pip.constraints: {rest.strip()}")
        elif word in ("-e", "--editable"):
            self._wrong(where, "nothing is editable in an image", f"write the folder itself: {rest.strip()}")
        elif word in _IGNORED and inside:
            return
        elif text.startswith("-"):
            hint = f"remove the line and set {_OPTIONS[word]}" if word in _OPTIONS else "remove the line"
            self._wrong(where, f"{word} is not read from here", hint)
        elif text.startswith((".", "/", "~")) or (text.partition("[")[0].endswith(".whl") and "@" not in text):
            self._path(text, where, base, why)
        else:
            self._requirement(text, where, base, why)

    def constraints(self, name: str, where: Where, base: Path, inside: tuple[str, ...]) -> None:
        """A constraints file: versions for what is needed anyway."""
        path = Path(os.path.normpath(base / name))
        for text, line in self._lines(path, where, name, inside):
            word, rest = _short(text)[::2]
            if word in ("-c", "-r"):
                self.constraints(rest.strip(), line, path.parent, (*inside, str(path)))
            elif not text.startswith("-"):
                body, _ = split_hashes(text)
                if self._parse(body, line) is not None:
                    self.found.constraints.append(body)

    def _file(self, name: str, where: Where, base: Path, why: Why, inside: tuple[str, ...]) -> None:
        path = Path(os.path.normpath(base / name))
        if not name:
            self._wrong(where, "-r needs a file", "write -r requirements.txt")
        elif is_pylock(path.name):
            try:
                self.found.locked += read_pylock(path, self._target, where, why, self._from_source)
            except RecipeInvalid as error:
                self.problems += error.problems
        else:
            for text, line in self._lines(path, where, name, inside):
                reason = Why(rule="requirements", text=text, where=line, because=why)
                self.line(text, line, path.parent, reason, (*inside, str(path)))

    def _lines(self, path: Path, where: Where, name: str, inside: tuple[str, ...]) -> list[tuple[str, Where]]:
        if str(path) in inside:
            self._wrong(where, f"{name} includes itself", "remove one of the -r lines")
            return []
        try:
            text = read_given(path, "utf-8-sig")
        except OSError as error:
            there = path.exists() or not path.parent.is_dir()
            near = [] if there else sorted(one.name for one in path.parent.glob("*.txt"))
            hint = f"there is {', '.join(near)}" if near else f"paths start from {path.parent.resolve()}"
            reason = error.strerror or "error"
            self._wrong(where, f"cannot read {path}: {reason[:1].lower()}{reason[1:]}", hint)
            return []
        except UnicodeDecodeError:
            self._wrong(where, f"{path} is not UTF-8", "save it as UTF-8")
            return []
        return [(line, Where(str(path), number)) for line, number in logical_lines(text)]

    def _requirement(self, text: str, where: Where, base: Path, why: Why) -> None:
        body, hashes = split_hashes(text)
        requirement = self._parse(body, where)
        if requirement is None:
            return
        if requirement.marker and not requirement.marker.evaluate({**self._target.environment, "extra": ""}):  # type: ignore[dict-item]
            return
        if requirement.url:
            parts = urlsplit(requirement.url)
            if not parts.path.endswith(".whl") or parts.scheme not in ("http", "https", "file"):
                self._wrong(where, f"{requirement.url} is not the address of a wheel", _FROM_SOURCE)
            elif parts.scheme == "file":
                extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
                self._path(unquote(parts.path) + extras, where, base, why)
                return
        self.found.named.append(Named(requirement=requirement, why=why, hashes=hashes))

    def _path(self, text: str, where: Where, base: Path, why: Why) -> None:
        name, _, extras = text.partition("[")
        path = Path(os.path.normpath(base / Path(name.strip()).expanduser()))
        if path.is_dir():
            if (path / "pyproject.toml").is_file() or (path / "setup.py").is_file():
                self.found.sources.append(Sources(path=path, text=name.strip(), extras=_extras(extras), why=why))
            else:
                self._wrong(where, f"{path} has no pyproject.toml", "name a folder that a wheel can be built of")
        elif not path.name.endswith(".whl"):
            self._wrong(where, f"{path.name} is not a wheel", "-r reads a requirements file")
        elif not path.is_file():
            near = sorted(one.name for one in path.parent.glob("*.whl")) if path.parent.is_dir() else []
            near = [name for name in near if name != path.name]
            text = f"{path} is no file" if path.exists() else f"there is no {path}"
            self._wrong(where, text, f"there is {', '.join(near)}" if near else "build it first")
        else:
            try:
                called, version, _, _ = parse_wheel_filename(path.name)
            except InvalidWheelFilename as error:
                self._wrong(where, str(error), "wheels keep the name that they were built with (PEP 427)")
                return
            wheel = LocalWheel(path=path, name=called, version=str(version), extras=_extras(extras), why=why)
            self.found.local.append(wheel)

    def _parse(self, text: str, where: Where) -> Requirement | None:
        try:
            return Requirement(text)
        except InvalidRequirement as error:
            fixed = text.replace("=", "==", 1) if "=" in text and "==" not in text else ""
            hint = f"did you mean {fixed}?" if fixed else "write name, name==1.0 or name>=1.0,<2 (PEP 508)"
            self._wrong(where, f"not a requirement: {text}: {str(error).splitlines()[0].strip()}", hint)
            return None

    def _wrong(self, where: Where, text: str, hint: str) -> None:
        self.problems.append(Problem(where=where, text=text, rule=RULE, hint=hint))


def _extras(text: str) -> frozenset[str]:
    """What stands behind the `[`."""
    return frozenset(extra.strip() for extra in text.rstrip("] ").split(",") if extra.strip())


def _short(text: str) -> tuple[str, str, str]:
    """`-rfile` and `-r file` alike."""
    return (text[:2], "", text[2:]) if text[:1] == "-" and text[1:2] != "-" else text.partition(" ")
