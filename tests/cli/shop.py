"""A repository with a catalog, and a backend in memory, for tests of commands that make several images."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.images import OFFICIAL, RUNTIME
from tests.recording import Held, Recording
from tests.treetext import tree

from slimrun.cache.store import Cache
from slimrun.cli import run as command
from slimrun.given import Context

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from slimrun.events import Emit
    from slimrun.settings import Settings

CATALOG = """
catalog: team
images:
  - recipe: app.yaml
    name: app-${v}
    groups: [web]
    matrix: {v: [b, a]}
  - recipe: app.yaml
    name: gone
    groups: [web, odd]
    set: {python: {image: "python:gone"}}
  - recipe: app.yaml
    name: last
    groups: [nightly]
"""


class Shop:
    """A repository with a catalog, and a backend in memory; each run's settings and what was printed."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        Path("app.yaml").write_text('python: {image: "python:3.11"}\n')
        Path("all.yaml").write_text(CATALOG)
        held = {"python:3.11": Held(tree=tree(OFFICIAL)), "busybox:glibc": Held(tree=tree(RUNTIME))}
        self.backend = Recording(cache=Cache(root / "home/slimrun"), images=held)
        self.settings: list[Settings] = []

    @contextmanager
    def open(self, settings: Settings, emit: Emit) -> Iterator[Context]:
        self.settings.append(settings)
        yield Context(settings=settings, cache=self.backend.cache, backend=self.backend, emit=emit, environ=())

    def __call__(self, *words: str) -> tuple[int, str]:
        self.backend.calls.clear()
        code = command.main(words)
        return code, self._capsys.readouterr().out
