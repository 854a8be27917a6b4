"""`slimrun clean`: trim the cache, and remove what runs that were killed have left behind."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.options import Parser, default_cache, nearest_slim
from slimrun.cli.output import bytes_text
from slimrun.events import Event, Note
from slimrun.recipe.units import parse_size
from slimrun.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.cache.trim import Trimmed

SUMMARY = "trim the cache to its size; remove what killed runs left"
# An engine that hangs is not waited for as long as a build would.
_PATIENCE = 30.0


def main(argv: Sequence[str]) -> int:
    """Clean cache and engine, the cache first: it needs no engine. Prints a line for each thing removed."""
    from slimrun.cache.trim import trim
    from slimrun.cli.engine import local_backend, open_context

    words = Parser(prog="slimrun clean", description=SUMMARY)
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use")
    words.add_argument(
        "--max-size", type=_size, metavar="SIZE", help="trim to this instead of cache.max_size; 0B empties"
    )
    given = words.parse_args(argv)
    slim = nearest_slim(Path.cwd(), given.config)
    docker = replace(slim.docker, timeout=min(slim.docker.timeout, _PATIENCE))
    settings = Settings(cache_dir=slim.cache.dir or default_cache(), docker=docker, backend=slim.backend)
    done = trim(settings.cache_dir, slim.cache.max_size if given.max_size is None else given.max_size)
    if done.count:
        print(_trimmed(done, settings.cache_dir))
    with open_context(settings, _say) as context:
        removed = context.backend.clean()
        if context.backend.name != "local":
            removed += local_backend(settings, context.cache, _say).clean()
    lines = [f"removed {item}" for item in removed]
    if lines or not done.count:
        print("\n".join(lines) or "nothing to remove")
    return 0


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _trimmed(done: Trimmed, folder: Path) -> str:
    held = f", {bytes_text(done.held)} of it for runs that are at work" if done.held else ""
    left = f"{bytes_text(done.size)} left{held}"
    return f"removed {bytes_text(done.freed)} from the cache in {folder} ({done.count} entries); {left}"


def _say(event: Event, /) -> None:
    if isinstance(event, Note) and event.level == 0:
        print(event.text)
