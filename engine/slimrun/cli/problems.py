"""Problems in the forms that people and machines read them: text, GitHub's annotations, JSON, SARIF."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slimrun import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slimrun.errors import Problem

# A problem, and whether it only warns.
Graded = tuple["Problem", bool]


def to_text(found: Sequence[Graded]) -> str:
    """As errors are told on a screen, each with its line and a caret."""
    return "\n".join(
        problem.render().replace(": error: ", ": warning: ", 1) if warns else problem.render()
        for problem, warns in found
    )


def to_github(found: Sequence[Graded]) -> str:
    """`::error file=…,line=…::text`, which GitHub shows beside the line of a change."""
    return "\n".join(_annotation(problem, warns) for problem, warns in found)


def to_json(found: Sequence[Graded]) -> str:
    """A list of objects, one a problem."""
    return json.dumps([_row(problem, warns) for problem, warns in found], indent=2, ensure_ascii=False)


def to_sarif(found: Sequence[Graded]) -> str:
    """SARIF 2.1.0, which code scanners exchange."""
    rules = sorted({problem.rule for problem, _ in found})
    run = {
        "tool": {"driver": {"name": "slimrun", "version": __version__, "rules": [{"id": rule} for rule in rules]}},
        "results": [_result(problem, warns) for problem, warns in found],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"version": "2.1.0", "$schema": schema, "runs": [run]}, indent=2, ensure_ascii=False)


def _annotation(problem: Problem, warns: bool) -> str:
    where = problem.where
    facts = {"file": where.file, "line": where.line, "col": where.column, "title": problem.rule}
    said = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in facts.items() if value)
    text = f"{problem.text} ({problem.hint})" if problem.hint else problem.text
    return f"::{'warning' if warns else 'error'} {said}::{_escaped(text, '')}"


def _escaped(text: str, more: str) -> str:
    """GitHub's escapes: what ends a line or a property, as %XX."""
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in text)


def _row(problem: Problem, warns: bool) -> dict[str, Any]:
    where = problem.where
    return {
        "file": where.file,
        "line": where.line,
        "column": where.column,
        "level": "warning" if warns else "error",
        "rule": problem.rule,
        "text": problem.text,
        "hint": problem.hint,
    }


def _result(problem: Problem, warns: bool) -> dict[str, Any]:
    where = problem.where
    place: dict[str, Any] = {"artifactLocation": {"uri": where.file}}
    if where.line:
        place["region"] = {"startLine": where.line, **({"startColumn": where.column} if where.column else {})}
    return {
        "ruleId": problem.rule,
        "level": "warning" if warns else "error",
        "message": {"text": f"{problem.text}. {problem.hint}" if problem.hint else problem.text},
        "locations": [{"physicalLocation": place}],
    }


FORMATS: dict[str, Callable[[Sequence[Graded]], str]] = {
    "text": to_text,
    "github": to_github,
    "json": to_json,
    "sarif": to_sarif,
}
