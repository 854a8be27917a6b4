"""`slimrun show FILE [KEY…]`: a recipe as it counts, after parents, catalog, slim.yaml, variables and command line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from slimrun.cli.choose import add_choosing, choose
from slimrun.cli.options import Parser
from slimrun.errors import BadCommandLine
from slimrun.recipe.schema import load_schema
from slimrun.recipe.words import near_miss, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.recipe.model import Key, Origin, Recipe

SUMMARY = "a recipe as it counts, and where each value comes from"
# What needs no quotes in YAML, for us and for anybody else.
_PLAIN = re.compile(r'"([A-Za-z_/][A-Za-z0-9_./-]*)"')
# What has done its work by then: to show it would be to say it twice.
_DONE = ("$schema", "extends")
_DOLLAR = re.compile(r"\$(?=[${])")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def main(argv: Sequence[str]) -> int:
    """Print every image's recipe as YAML, with --origin each value's place beside it."""
    words = Parser(prog="slimrun show", usage="slimrun show FILE... [options]", description=SUMMARY)
    add_choosing(words)
    words.add_argument("--origin", action="store_true", help="say where each value comes from")
    words.add_argument(
        "-k", "--key", action="append", default=[], metavar="KEY", help="only this key, such as image.env"
    )
    given = words.parse_intermixed_args(argv)
    chosen = choose(given)
    _check_keys(given.key, [item.recipe for item in chosen])
    blocks = []
    for item in chosen:
        lines = list(_lines(_wanted(item.recipe, given.key)))
        width = max((len(text) for text, _ in lines), default=0)
        rows = (f"{text.ljust(width)}  # {place}" if given.origin and place else text for text, place in lines)
        blocks.append("\n".join([f"# {item.recipe.name}: {item.recipe.source}", *(row.rstrip() for row in rows)]))
    print("\n---\n".join(blocks))
    return 0


def _check_keys(keys: Sequence[str], recipes: Sequence[Recipe]) -> None:
    """Raise BadCommandLine for a key that no recipe has a value for."""
    known = {_dotted(origin.key) for recipe in recipes for origin in recipe.origins}
    for key in keys:
        if key not in known:
            close = near_miss(key, known)
            hint = f"did you mean {quoted(close)}?" if close else "`slimrun show FILE` prints all that have a value"
            msg = f"--key {key}: no value is there"
            raise BadCommandLine(msg, hint=hint)


def _wanted(recipe: Recipe, keys: Sequence[str]) -> list[Origin]:
    """The origins below the keys, all without one, and the maps and lists above them; in the schema's order."""
    order = list(load_schema("recipe")["properties"])
    counting = (origin for origin in recipe.origins if origin.key[0] not in _DONE)
    origins = sorted(counting, key=lambda origin: order.index(str(origin.key[0])))
    wanted = [origin.key for origin in origins if _dotted(origin.key) in keys]
    return [origin for origin in origins if not keys or any(_related(origin.key, key) for key in wanted)]


def _dotted(key: Key) -> str:
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def _related(one: Key, other: Key) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _lines(origins: Sequence[Origin]) -> Iterator[tuple[str, str]]:
    """YAML line by line, each with the place of its value; maps and lists that hold something have none of their own."""
    dash = ""
    for origin in origins:
        *above, last = origin.key
        depth = len(above)
        head = dash or "  " * depth
        dash = ""
        if isinstance(last, int):
            if not origin.value:
                dash = f"{head}- "
                continue
            text = f"{head}- {_escaped(origin)}"
        else:
            text = f"{head}{_value(_json(last))}:" + (f" {_escaped(origin)}" if origin.value else "")
        yield text, str(origin.where) if origin.value else ""


def _escaped(origin: Origin) -> str:
    """The value as it would be written again: what is left of '$' in it would else begin a variable."""
    verbatim = origin.key[0] == "vars"
    return _value(origin.value if verbatim else _DOLLAR.sub("$$", origin.value))


def _json(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _value(text: str) -> str:
    plain = _PLAIN.fullmatch(text)
    return plain[1] if plain and plain[1].lower() not in _WORDS else text
