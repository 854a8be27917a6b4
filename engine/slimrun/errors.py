"""Every deliberate failure: one class a cause, with its exit code and the next step for the person who reads it.

Exit codes: 1 slimrun's own fault, 2 an image failed, 3 recipe, config, lock or policy invalid, 4 engine or registry unreachable,
5 bad command line, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a text file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if self.line == 0:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


BUILT_IN = Where("built-in")
"""The place of a value that nobody wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a file that a person wrote; `source` is the text of the line it stands on."""

    where: Where
    text: str
    rule: str
    hint: str = ""
    source: str = ""

    def render(self) -> str:
        """`file:line:col: error: text [rule]`, the source line with a caret, and the hint."""
        lines = [f"{self.where}: error: {self.text} [{self.rule}]"]
        if self.source and self.where.column:
            margin = "".join("\t" if char == "\t" else " " for char in self.source[: self.where.column - 1])
            lines += [f"    {self.source}", f"    {margin}^"]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)


class SlimrunError(Exception):
    """A failure that slimrun foresaw: what is wrong, what to do next, and where."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __reduce__(self) -> tuple[Callable[..., SlimrunError], tuple[object, ...]]:
        return _restore, (type(self), dict(self.__dict__))

    def render(self) -> str:
        """The text for a person, one statement a line."""
        head = f"{self.where}: error: {self.message}" if self.where else f"error: {self.message}"
        return f"{head}\n    hint: {self.hint}" if self.hint else head


def _restore(kind: type[SlimrunError], state: dict[str, object]) -> SlimrunError:
    error = kind.__new__(kind, state["message"])
    error.args = (state["message"],)
    error.__dict__.update(state)
    return error


# 2: an image failed ---------------------------------------------------------------------------------------------------


class ImageFailed(SlimrunError):
    """The recipe is valid, but this image could not be made or did not pass."""

    exit_code = 2


class ImageNotFound(ImageFailed):
    """No engine, registry or archive has the image that a recipe names."""


class WheelNotFound(ImageFailed):
    """No wheel satisfies a requirement for the target's Python, architecture and glibc."""


class BadWheel(ImageFailed):
    """A wheel does not keep to its format, or does not match its hash."""


class BadSource(ImageFailed):
    """Sources of which no wheel can be built: they are no project, or what they say of their build is invalid."""


class BadSignature(ImageFailed):
    """What Debian publishes is not signed by a key of its archive, or not for this suite, or no longer valid."""


class PackageNotFound(ImageFailed):
    """No Debian package satisfies what a recipe names, or what another package depends on."""


class FileConflict(ImageFailed):
    """Two distributions, or two entries of `files`, write one path."""


class BadArchive(ImageFailed):
    """A tar, an image archive or a layer is not what its format says."""


class BadElf(ImageFailed):
    """A file that begins as ELF but that no loader would accept."""


class MissingLibrary(ImageFailed):
    """A kept executable or extension needs a library, or a version of it, that no supply has."""


class PythonNotFound(ImageFailed):
    """The base build has no python3 on its PATH."""


class RepositoryNotFound(ImageFailed):
    """No git repository is where a recipe says."""


class RefNotFound(ImageFailed):
    """A git repository has no branch, tag or commit of that name."""


class BuildFailed(ImageFailed):
    """A command in a build container failed; `step` is its step's name, `log` the file that holds all it printed."""

    def __init__(
        self, message: str, *, step: str, log: str, status: int, lines: tuple[str, ...], hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.step, self.log, self.status = step, log, status
        self.lines = lines


class VerifyFailed(ImageFailed):
    """The finished image did not do what its recipe says it does."""


class OutOfTime(ImageFailed):
    """An image took longer than its repository allows."""


class DiskFull(ImageFailed):
    """No space is left where slimrun writes."""


class BytesGone(ImageFailed):
    """A file that an earlier result points into is gone, or not whole: of the cache, or of an engine's layers."""


class DownloadFailed(ImageFailed):
    """A file could be reached but is not what was promised: not found, or another size or digest."""


class RequirementNotMet(ImageFailed):
    """Something that the work needs on this machine is not there."""


# 3: what a person wrote is invalid; nothing was run ----------------------------------------------------------------------


class Invalid(SlimrunError):
    """A recipe, configuration, lock or policy is invalid."""

    exit_code = 3


class RecipeInvalid(Invalid):
    """All problems of the files that make up a recipe or a configuration, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}", where=problems[0].where)
        self.problems = problems

    def render(self) -> str:
        return "\n".join(problem.render() for problem in self.problems)


class NotCached(Invalid):
    """An earlier stage's result was asked for and is not in the cache."""


# 4: the world does not answer --------------------------------------------------------------------------------------------


class Unreachable(SlimrunError):
    """Nothing answers where an engine, a registry or an index should be."""

    exit_code = 4


class EngineUnreachable(Unreachable):
    """The Docker Engine does not answer on the socket that was chosen."""


class EngineNeeded(Unreachable):
    """What a recipe asks for is done in containers, and this run has no engine."""


class RegistryUnreachable(Unreachable):
    """A registry does not answer, or refuses these credentials."""


class GitUnreachable(Unreachable):
    """A git repository does not answer, or refuses access."""


class ArchiveUnreachable(Unreachable):
    """Debian's archive does not answer from inside a builder."""


class IndexUnreachable(Unreachable):
    """The package index does not answer."""


# 5: the command line -----------------------------------------------------------------------------------------------------


class BadCommandLine(SlimrunError):
    """The words on the command line do not make a command."""

    exit_code = 5


# Signals -----------------------------------------------------------------------------------------------------------------


class Interrupted(SlimrunError):
    """Ctrl-C: everything that was begun has been cleared away."""

    exit_code = 130


class Terminated(SlimrunError):
    """SIGTERM: everything that was begun has been cleared away."""

    exit_code = 143
