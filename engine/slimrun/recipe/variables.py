"""`${name}`, `${name:-default}` and `$$` in strings; values from `vars` and `-e`, each taken as it was written.

One pass: the value of a variable is not looked into again, so nothing can recur, and the result is capped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.errors import BadCommandLine, Problem, Where
from slimrun.recipe.document import MAX_BYTES, read_document
from slimrun.recipe.nodes import Entry, Mapping, Node, Scalar, Sequence, at
from slimrun.recipe.words import names, near_miss, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingOf

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_USE = re.compile(rf"\$\$|\$\{{(?:(?P<name>{_NAME})(?P<default>:-[^}}]*)?\}})?")
_VERBATIM_KEYS = ("$schema", "extends", "vars")


def parse_extra_vars(words: tuple[str, ...]) -> dict[str, str]:
    """The values of `-e k=v` and `-e @FILE` (a YAML map), later ones first in rank.

    Raises BadCommandLine for another form, RecipeInvalid or Invalid for a bad file.
    """
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("@"):
            values |= _vars_of_file(Path(word[1:]))
        elif equals and re.fullmatch(_NAME, name):
            values[name] = value
        else:
            message = f"-e {word}: neither NAME=VALUE nor @FILE"
            raise BadCommandLine(message, hint="write -e version=3.11, with letters, digits and '_' in the name")
    return values


def _vars_of_file(path: Path) -> dict[str, str]:
    values = {}
    for entry in read_document(path).root.entries:
        if not isinstance(entry.value, Scalar) or not re.fullmatch(_NAME, entry.key):
            message = f"-e @{path}: {quoted(entry.key)} is not a name with a single value"
            raise BadCommandLine(message, hint="write 'name: value' lines", where=entry.where)
        values[entry.key] = entry.value.text
    return values


def extra_vars_layer(values: MappingOf[str, str]) -> Mapping:
    """`-e`'s values as the layer of the cascade that they are: a tree that holds `vars` alone."""
    where = Where("-e")
    entries = tuple(
        Entry(key=name, where=Where(f"-e {name}"), value=_literal(value, Where(f"-e {name}")))
        for name, value in sorted(values.items())
    )
    inner = Mapping(entries=entries, where=where)
    return Mapping(entries=(Entry(key="vars", where=where, value=inner),) if entries else (), where=where)


def _literal(value: str, where: Where) -> Scalar:
    return Scalar(value=value, text=value, plain=False, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated:
    """The tree with values put in; what was wrong, at its place; and which scalars are not final because of it."""

    root: Mapping
    problems: tuple[Problem, ...]
    unfinished: frozenset[Where]


def interpolate(root: Mapping) -> Interpolated:
    """The tree with the values of its own `vars` put in."""
    nested = {entry.key: _nested(entry.key, value) for entry, value in _variables(root) if _is_nested(value)}
    work = _Interpolation({entry.key: value.text for entry, value in _variables(root)}, frozenset(nested))

    def change(entry: Entry) -> Node:
        return entry.value if entry.key in _VERBATIM_KEYS else work.node(entry.value)

    changed = root.map_values(change)
    problems = (*nested.values(), *work.problems)
    return Interpolated(root=changed, problems=problems, unfinished=frozenset(work.unfinished))


def _variables(root: Mapping) -> Iterator[tuple[Entry, Scalar]]:
    holder = at(root, ("vars",))
    for entry in holder.entries if isinstance(holder, Mapping) else ():
        if isinstance(entry.value, Scalar):
            yield entry, entry.value


def _is_nested(value: Scalar) -> bool:
    return "${" in value.text and value.where.line > 0  # what stands after -e is taken as it is


def _nested(name: str, value: Scalar) -> Problem:
    text = f"the value of {quoted(name)} holds '${{', and variables do not use each other"
    hint = "use both variables where the value is wanted"
    return Problem(where=value.where, text=text, rule="nested-variable", hint=hint)


class _Interpolation:
    def __init__(self, values: dict[str, str], nested: frozenset[str]) -> None:
        self.problems: list[Problem] = []
        self.unfinished: set[Where] = set()
        self._values = values
        self._nested = nested
        self._left = MAX_BYTES

    def node(self, node: Node) -> Node:
        match node:
            case Mapping():
                return node.map_values(lambda entry: self.node(entry.value))
            case Sequence():
                return replace(node, items=tuple(self.node(item) for item in node.items))
            case Scalar(value=str(text)) if "$" in text:
                return self._scalar(node, text)
            case _:
                return node

    def _scalar(self, node: Scalar, text: str) -> Scalar:
        parts, end = [], 0
        for use in _USE.finditer(text):
            parts += [text[end : use.start()], self._value(node, use)]
            end = use.end()
            self._left -= len(parts[-1])
            if self._left < 0:
                self._complain(node, use, f"values of variables are longer than {MAX_BYTES} characters", "too-much")
                break
        result = "".join(parts) + text[end:]
        return replace(node, value=result, text=result, inset=None)

    def _value(self, node: Scalar, use: re.Match[str]) -> str:
        if use[0] == "$$":
            return "$"
        if self._left < 0:
            return ""
        name = use["name"]
        if name is None:
            hint = "write '${name}' or '${name:-default}', or '$${' for the characters themselves"
            self._complain(node, use, "'${' begins a variable that has no name or no end", "bad-variable", hint)
        elif name in self._values:
            if name in self._nested:
                self.unfinished.add(node.where)
            return self._values[name]
        elif use["default"] is not None:
            return use["default"].removeprefix(":-")
        else:
            self._complain(node, use, f"the variable {quoted(name)} is not defined", "undefined", self._hint(name))
        return use[0]

    def _hint(self, name: str) -> str:
        close = near_miss(name, self._values)
        if close:
            return f"did you mean {quoted(close)}?"
        known = f"; known here: {names(self._values)}" if self._values else ""
        return f"define it under 'vars' or with -e {name}=VALUE{known}"

    def _complain(self, node: Scalar, use: re.Match[str], text: str, rule: str, hint: str = "") -> None:
        shift = 0 if node.inset is None else node.inset + use.start()
        where = replace(node.where, column=node.where.column + shift if node.where.column else 0)
        self.unfinished.add(node.where)
        self.problems.append(Problem(where=where, text=text, rule=rule, hint=hint))
