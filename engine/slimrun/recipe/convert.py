"""PyYAML's nodes → our nodes: what YAML allows and a recipe does not (tags, merge keys, double keys) ends here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from slimrun.errors import Problem, Where
from slimrun.recipe.nodes import Entry, Mapping, Node, Scalar, Sequence
from slimrun.recipe.words import quoted

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH = 32
MAX_NODES = 20_000
TAG = "tag:yaml.org,2002:"
WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})$")
TRUE_FALSE = re.compile(r"(?:true|false)$")
NULL = re.compile(r"(?:~|null|)$")

_UNUSABLE = re.compile("[\0\ud800-\udfff]")


class TooMuch(Exception):
    """A cap was reached at a mark; the text says which."""

    def __init__(self, text: str, mark: yaml.Mark) -> None:
        super().__init__(text)
        self.text = text
        self.mark = mark


class Converter:
    """Converts one file's nodes and collects what is wrong with them; raises TooMuch at MAX_DEPTH and MAX_NODES.

    Aliases share nodes, so a small file can stand for a billion values: every visit counts, not every node.
    """

    def __init__(self, file: str, base: Path | None) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._base = base
        self._visits = 0

    def convert(self, node: yaml.Node, depth: int = 1) -> Node:
        """The node as ours; what is wrong with it goes to `problems`."""
        self._visits += 1
        if self._visits > MAX_NODES:
            text = f"more than {MAX_NODES} values once aliases are written out"
            raise TooMuch(text, node.start_mark)
        if depth > MAX_DEPTH:
            text = f"more than {MAX_DEPTH} levels deep"
            raise TooMuch(text, node.start_mark)
        match node:
            case yaml.ScalarNode():
                return self._scalar(node)
            case yaml.SequenceNode():
                self._check_tag(node, "seq")
                items = tuple(self.convert(item, depth + 1) for item in node.value)
                return Sequence(items=items, where=self._where(node))
            case _:
                self._check_tag(node, "map")
                return self._mapping(node, depth)

    def _mapping(self, node: yaml.Node, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            where = self._where(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(where, "a key is text, not a list or a map", "bad-key")
                continue
            key = self._scalar(key_node)
            value = self.convert(value_node, depth + 1)
            if key.text == "<<" and key.plain:
                hint = "take over another recipe with 'extends: FILE'; anchors and aliases work for single values"
                self._complain(where, "'<<' (merge key) is not known here", "merge-key", hint)
            elif key.text in entries:
                first = entries[key.text].where
                text = f"the key {quoted(key.text)} occurs twice; the first is at {first}"
                self._complain(where, text, "duplicate-key", "keep one of them")
            else:
                entries[key.text] = Entry(key=key.text, where=where, value=value)
        return Mapping(entries=tuple(entries.values()), where=self._where(node))

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        where = self._where(node)
        text = str(node.value)
        if _UNUSABLE.search(text):
            self._complain(where, "a value holds NUL or half a pair of surrogates", "character")
        value: str | int | bool | None = text
        if node.tag == f"{TAG}int" and WHOLE_NUMBER.match(text):
            value = int(text)
        elif node.tag == f"{TAG}bool" and TRUE_FALSE.match(text):
            value = text == "true"
        elif node.tag == f"{TAG}null" and NULL.match(text):
            value = None
        else:
            self._check_tag(node, "str")
        return Scalar(
            value=value, text=text, plain=node.style is None, where=where, inset=_inset(node), base=self._base
        )

    def _check_tag(self, node: yaml.Node, wanted: str) -> None:
        if node.tag != f"{TAG}{wanted}":
            tag = node.tag.replace(TAG, "!!")
            hint = "write the value without a tag; quotes make it text"
            self._complain(self._where(node), f"the tag {quoted(tag)} is not known here", "tag", hint)

    def _where(self, node: yaml.Node) -> Where:
        return Where(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _complain(self, where: Where, text: str, rule: str, hint: str = "") -> None:
        self.problems.append(Problem(where=where, text=text, rule=rule, hint=hint))


def _inset(node: yaml.ScalarNode) -> int | None:
    quotes = 0 if node.style is None else 1
    start, end = node.start_mark, node.end_mark
    as_written = start.line == end.line and end.column - start.column == len(node.value) + 2 * quotes
    return quotes if as_written else None
