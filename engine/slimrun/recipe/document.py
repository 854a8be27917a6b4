"""YAML as people mean it: `3.10`, `no` and `0644` stay text, keys occur once, and every value knows its place.

PyYAML reads YAML 1.1, where `3.10` is 3.1, `no` is false and `012` is ten. Here a plain scalar is true, false, null or
a whole number, else text. Files are small and flat: size, depth and the number of values (aliases expanded) are capped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml
from yaml.reader import ReaderError

from slimrun.errors import Invalid, Problem, RecipeInvalid, Where
from slimrun.recipe.convert import MAX_DEPTH, NULL, TAG, TRUE_FALSE, WHOLE_NUMBER, Converter, TooMuch
from slimrun.recipe.nodes import Mapping, Node, Plain, Scalar, Sequence, plain, walk
from slimrun.recipe.words import printable

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.recipe.model import Key

MAX_BYTES = 256 * 1024

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # PyYAML's, so that its line numbers are ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file: its values with their places, and its lines."""

    file: str
    root: Mapping
    lines: tuple[str, ...]

    @property
    def value(self) -> Plain:
        """The values as dict, list and scalars."""
        return plain(self.root)

    def places(self) -> dict[Key, tuple[Where, Where]]:
        """For every key the place of the key (a list's item: of the item) and of its value."""
        return {key: (where, node.where) for key, where, node in walk(self.root)}

    def line(self, where: Where) -> str:
        """The text of the line at `where`; empty for a place in another file."""
        return _line(self.lines, where) if where.file == self.file else ""


class _Loader(yaml.SafeLoader):
    """SafeLoader that knows three kinds of plain scalar and stops at MAX_DEPTH, before Python's own stack does."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            text = f"more than {MAX_DEPTH} levels deep"
            raise TooMuch(text, self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(f"{TAG}int", WHOLE_NUMBER, list("-0123456789"))
_Loader.add_implicit_resolver(f"{TAG}bool", TRUE_FALSE, list("tf"))
_Loader.add_implicit_resolver(f"{TAG}null", NULL, ["~", "n", ""])


def read_document(path: Path) -> Document:
    """The document in a file; raises Invalid when it cannot be read, RecipeInvalid with all problems of its YAML."""
    if path.exists() and not path.is_file():
        message = "this is not a file" if not path.is_dir() else "this is a folder, where a file is wanted"
        raise Invalid(message, where=Where(str(path)), hint="name a YAML file")
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"the file cannot be read: {reason}"
        raise Invalid(message, where=Where(str(path))) from error
    return parse_document(data, file=str(path), base=path.parent)


def parse_document(data: bytes | str, *, file: str, base: Path | None = None) -> Document:
    """The document in `data`, which must be one mapping; raises RecipeInvalid with all problems of its YAML."""
    root, lines = _parse(data, file, base)
    if isinstance(root, Mapping):
        return Document(file=file, root=root, lines=lines)
    empty = isinstance(root, Scalar) and root.value is None
    kind = "a list" if isinstance(root, Sequence) else "a single value"
    text = "the file is empty" if empty else f"a map of keys is wanted, not {kind}"
    hint = "write 'key: value' lines, such as 'name: hello'"
    problem = Problem(where=root.where, text=text, rule="not-a-map", hint=hint)
    raise RecipeInvalid(_with_source((problem,), lines))


def parse_value(text: str, *, file: str, base: Path | None = None) -> Node:
    """The value of `--set path=value`, read as the right side of a key; raises RecipeInvalid."""
    return _parse(text, file, base)[0]


def _parse(data: bytes | str, file: str, base: Path | None) -> tuple[Node, tuple[str, ...]]:
    text = _decode(data, file)
    lines = tuple(_LINE_BREAK.split(text))
    converter = Converter(file, base)
    try:
        node = _compose(text)
        root = Scalar(value=None, text="", plain=True, where=Where(file)) if node is None else converter.convert(node)
        problems = sorted(converter.problems, key=lambda problem: problem.where)
    except TooMuch as error:
        problems = [Problem(where=_where(error.mark, file), text=error.text, rule="too-much")]
    except ReaderError as error:
        where = _where_after(text[: error.position], file)
        message = f"the character U+{ord(text[error.position]):04X} may not stand in a file"
        problems = [Problem(where=where, text=message, rule="character", hint="delete it")]
    except yaml.MarkedYAMLError as error:
        problems = [_syntax_problem(error, file)]
    if problems:
        raise RecipeInvalid(_with_source(problems, lines))
    return root, lines


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError) as error:  # "\UFFFFFFFF", "%YAML 1.<5000 digits>"
        raise yaml.MarkedYAMLError(problem="a number is too large", problem_mark=loader.get_mark()) from error
    finally:
        loader.dispose()


def _decode(data: bytes | str, file: str) -> str:
    if len(data) > MAX_BYTES:
        problem = Problem(where=Where(file), text=f"the file is larger than {MAX_BYTES // 1024} KiB", rule="too-much")
        raise RecipeInvalid((problem,))
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = _where_after(data[: error.start].decode("utf-8-sig"), file)
        text = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        problem = Problem(where=where, text=text, rule="not-utf-8", hint="save the file as UTF-8")
        raise RecipeInvalid((problem,)) from error


def _where(mark: Any, file: str) -> Where:
    return Where(file, mark.line + 1, mark.column + 1)


def _where_after(text: str, file: str) -> Where:
    lines = _LINE_BREAK.split(text)
    return Where(file, len(lines), len(lines[-1]) + 1)


def _line(lines: tuple[str, ...], where: Where) -> str:
    return printable(lines[where.line - 1]) if 1 <= where.line <= len(lines) else ""


def _with_source(problems: list[Problem] | tuple[Problem, ...], lines: tuple[str, ...]) -> tuple[Problem, ...]:
    return tuple(replace(problem, source=_line(lines, problem.where)) for problem in problems)


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = _where(mark, file) if mark else Where(file)
    text = ", ".join(part for part in (error.problem, error.context) if part)
    rule, hint = "yaml-syntax", ""
    if "'\\t'" in text:
        text, rule, hint = "a tab may not indent", "tab", "indent with spaces"
    elif "but found another document" in text:
        text, rule, hint = "a second document begins here", "documents", "one file holds one map: split it at '---'"
    elif "mapping values are not allowed" in text:
        hint = "put quotes around a value that holds ': '; keys of one map begin in one column"
    elif "cannot start any token" in text:
        hint = "put quotes around a value that begins with this character"
    elif "expected <block end>" in text:
        hint = "keys of one map begin in one column"
    return Problem(where=where, text=text, rule=rule, hint=hint)
