"""All that is wrong with a file's shape, as Problems in file order: jsonschema finds it, we say it in words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from slimrun import __version__
from slimrun.errors import Problem
from slimrun.recipe.nodes import Mapping, at, plain
from slimrun.recipe.schema import Schema, choices, key_paths, types_of
from slimrun.recipe.words import names, near_miss, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jsonschema.exceptions import ValidationError

    from slimrun.errors import Where
    from slimrun.recipe.document import Document
    from slimrun.recipe.formats import Format
    from slimrun.recipe.model import Key

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a map",
    "string": "text",
}


# Raised when a format finds fault with what was right.
REVISION = 1


class Memory(Protocol):
    """What remembers from run to run which trees were right."""

    def has(self, key: str) -> bool:
        """Whether this one was."""
        ...

    def note(self, key: str) -> None:
        """This one is."""
        ...


def check(root: Mapping, schema: Schema, *, formats: bool, memory: Memory | None = None) -> tuple[Problem, ...]:
    """All problems of a tree's shape, in file order; `formats` only where nothing is left to interpolate.

    A tree that was right before has none: jsonschema would take a quarter of a run in which all else is cached.
    """
    if memory is None:
        return _found(root, schema, formats=formats)
    asked = json.dumps((__version__, REVISION, formats, schema, plain(root)))
    key = hashlib.sha256(asked.encode()).hexdigest()
    problems = () if memory.has(key) else _found(root, schema, formats=formats)
    if not problems:
        memory.note(key)
    return problems


def _found(root: Mapping, schema: Schema, *, formats: bool) -> tuple[Problem, ...]:
    import jsonschema

    from slimrun.recipe.formats import FORMATS

    checker = jsonschema.FormatChecker(formats=())
    if formats:
        for name, complaint in FORMATS.items():
            checker.checks(name, raises=ValueError)(_raising(complaint))
    validator = jsonschema.Draft7Validator(schema, format_checker=checker)
    problems = [problem for error in validator.iter_errors(plain(root)) for problem in _translate(error, root, schema)]
    return tuple(sorted(set(problems), key=lambda problem: (problem.where, problem.rule, problem.text)))


def _raising(complaint: Format) -> Callable[[object], bool]:
    def checked(value: object) -> bool:
        text = complaint(value) if isinstance(value, str) else None
        if text is not None:
            raise ValueError(text)
        return True

    return checked


def _translate(error: ValidationError, root: Mapping, schema: Schema) -> Iterator[Problem]:
    key: Key = tuple(error.absolute_path)
    node = at(root, key)
    where = node.where if node is not None else root.where
    if "propertyNames" in error.absolute_schema_path and isinstance(node, Mapping):
        entry = node.find(str(error.instance))
        text = f"{quoted(str(error.instance))} is not a name that {path_text(key)} may have"
        hint = "letters, digits and '_', not beginning with a digit"
        yield Problem(where=entry.where if entry else where, text=text, rule="bad-name", hint=hint)
    elif error.validator == "additionalProperties" and isinstance(node, Mapping):
        yield from _unknown_keys(key, node, error.schema, schema)
    else:
        text, rule, hint = _sentence(error, path_text(key))
        yield Problem(where=where, text=text, rule=rule, hint=hint)


def _unknown_keys(key: Key, node: Mapping, here: Any, schema: Schema) -> Iterator[Problem]:
    known = here["properties"]
    for entry in node.entries:
        if entry.key in known:
            continue
        owner = f"a key of {path_text(key)}" if key else "a key here"
        close = near_miss(entry.key, known)
        elsewhere = sorted(
            (path for path in key_paths(schema) if path.split(".")[-1] == entry.key),
            key=lambda path: (path.count("."), path),
        )
        if elsewhere:
            hint = f"it belongs elsewhere: {quoted(elsewhere[0])}"
        elif close:
            hint = f"did you mean {quoted(close)}?"
        else:
            hint = f"known keys: {names(known)}"
        yield Problem(where=entry.where, text=f"{quoted(entry.key)} is not {owner}", rule="unknown-key", hint=hint)


def _sentence(error: ValidationError, path: str) -> tuple[str, str, str]:
    """(text, rule, hint) for one of jsonschema's errors; a test proves that every keyword of the schemas is here."""
    schema: Any = error.schema
    value: Any = error.instance
    limit: Any = error.validator_value
    examples = schema.get("examples", []) if isinstance(schema, dict) else []
    such_as = f"such as {json.dumps(examples[0], ensure_ascii=False)}" if examples else ""
    match error.validator:
        case "type":
            wanted = _TYPES[types_of(schema)[0]]
            return f"{path} wants {wanted}, not {_kind(value)}", "wrong-type", such_as
        case "required":
            missing = next(name for name in limit if name not in value)
            example = schema["properties"][missing].get("examples", [""])[0]
            hint = f"such as '{missing}: {json.dumps(example, ensure_ascii=False)}'"
            owner = f" in {path}" if error.absolute_path else ""
            return f"the key '{missing}' is missing{owner}", "missing-key", hint
        case "minProperties" | "maxProperties":
            found = f"{len(value)} of them" if value else "none"
            return f"{path} wants exactly one of {names(schema['properties'])}, not {found}", "exactly-one", ""
        case "pattern" if choices(schema):
            words = choices(schema)
            close = near_miss(value, words)
            hint = f"did you mean {quoted(close)}?" if close else ""
            return f"{path} is one of {names(words)}, not {quoted(value)}", "choice", hint
        case "pattern":
            return f"{path} cannot be {quoted(value)}", "bad-value", such_as
        case "format":
            return str(error.cause), str(limit), such_as if value == "" else ""
        case "minimum" | "maximum":
            bound = "at least" if error.validator == "minimum" else "at most"
            return f"{path} is {bound} {limit}, not {value}", "range", ""
        case "minItems" | "minLength":
            return f"{path} may not be empty", "empty", such_as
        case _:
            return f"{path} is not valid", "bad-value", such_as


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case list():
            return "a list"
        case _:
            return "a map"


def path_text(key: Key) -> str:
    """`'verify.run[0].cmd'` for messages; items count from 0, as in --set's errors."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return quoted(text)


def in_order(problems: Iterable[Problem], documents: Iterable[Document]) -> tuple[Problem, ...]:
    """The problems in file order, each once, with the text of the line that it stands on."""
    known = tuple(documents)
    placed = {
        replace(problem, source=problem.source or line_at(problem.where, known)): None
        for problem in sorted(problems, key=lambda problem: (problem.where, problem.rule, problem.text))
    }
    return tuple(placed)


def line_at(where: Where, documents: Iterable[Document]) -> str:
    """The text of the line at a place in one of the documents; empty for a place elsewhere."""
    return next((line for document in documents if (line := document.line(where))), "")
