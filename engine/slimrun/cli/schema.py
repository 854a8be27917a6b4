"""`slimrun schema KIND`: print a JSON Schema, for editors and other tools."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from slimrun.cli.options import Parser
from slimrun.resources import schema_kinds, schema_text

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "print the JSON Schema of a kind of file"


def main(argv: Sequence[str]) -> int:
    """Print one schema."""
    words = Parser(prog="slimrun schema", description=SUMMARY)
    words.add_argument("kind", choices=schema_kinds())
    sys.stdout.write(schema_text(words.parse_args(argv).kind))
    return 0
