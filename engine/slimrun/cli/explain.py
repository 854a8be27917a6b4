"""`slimrun explain NAME [PATH…]`: why the files of the last image of that name are there, or are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slimrun.cache.store import Cache
from slimrun.cli.last import recall
from slimrun.cli.options import Parser, default_cache, nearest_slim
from slimrun.cli.output import bytes_text
from slimrun.errors import BadCommandLine
from slimrun.prune.globs import Matcher
from slimrun.recipe.load import load_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "why each file of an image is there, or is not"


def main(argv: Sequence[str]) -> int:
    """Print the chain of reasons for each path that the patterns name, the largest first where none is given."""
    words = Parser(prog="slimrun explain", description=SUMMARY)
    words.add_argument("name", help="an image's name, or its recipe")
    words.add_argument("paths", nargs="*", metavar="PATH", help="absolute paths of the image, or globs")
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use")
    given = words.parse_args(argv)
    slim, name = nearest_slim(Path.cwd(), given.config), given.name
    if name.endswith((".yaml", ".yml")):
        slim = nearest_slim(Path(name).parent, given.config)
        name = load_recipe(Path(name), slim=slim).name
    cache = Cache(slim.cache.dir or default_cache())
    last = recall(cache, name)
    report = cache.load("report", last.digest) if last and last.digest else None
    if report is None:
        msg = f"there is no report of '{name}'"
        raise BadCommandLine(msg, hint="run its recipe first; the name is the recipe's `name`, else its file's")
    rows = [*report["files"], *({**row, "removed": True} for row in report["removed"])]
    found = [row for row in rows if Matcher(given.paths).match(row["path"])] if given.paths else _largest(rows)
    if not found:
        msg = f"neither {name} nor what it was made from has {' or '.join(given.paths)}"
        raise BadCommandLine(msg, hint="paths are absolute, as inside the image")
    for row in found:
        print(_text(row))
    return 0


def _largest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [row for row in rows if "removed" not in row and row["layer"] != "base"]
    return sorted(kept, key=lambda row: (-row["size"], row["path"]))[:20]


def _text(row: dict[str, Any]) -> str:
    state = "removed" if "removed" in row else f"in layer {row['layer']}"
    steps = [f"  because {step['text']}" + (f" ({step['where']})" if step["where"] else "") for step in row["why"]]
    return "\n".join([f"{row['path']} ({bytes_text(row['size'])}, {state})", *steps])
