"""`slimrun clean`: remove what runs that were killed have left in the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.options import Parser, default_cache, nearest_slim
from slimrun.events import Event, Note
from slimrun.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "remove containers and unverified images of runs that were killed"


def main(argv: Sequence[str]) -> int:
    """Clean the engine; prints a line for each thing removed."""
    from slimrun.cli.engine import local_backend, open_context

    words = Parser(prog="slimrun clean", description=SUMMARY)
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use")
    slim = nearest_slim(Path.cwd(), words.parse_args(argv).config)
    settings = Settings(cache_dir=slim.cache.dir or default_cache(), docker=slim.docker, backend=slim.backend)
    with open_context(settings, _say) as context:
        removed = context.backend.clean()
        if context.backend.name != "local":
            removed += local_backend(settings, context.cache, _say).clean()
    print("\n".join(f"removed {item}" for item in removed) or "nothing to remove")
    return 0


def _say(event: Event, /) -> None:
    if isinstance(event, Note) and event.level == 0:
        print(event.text)
