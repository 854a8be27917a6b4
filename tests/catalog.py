"""Several small images of one recipe, over a backend in memory: what a catalog comes to once it is read."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slimrun.cache.store import Cache
from slimrun.events import Event, TaskEnded
from slimrun.given import Context
from slimrun.plan.compile import compile_plan
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim
from slimrun.schedule import Outcome, run_plans
from slimrun.settings import Settings
from tests.images import OFFICIAL, PY, RUNTIME
from tests.recording import Held, Recording
from tests.treetext import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slimrun.events import Emit
    from slimrun.plan.compile import Plan

RECIPE = """
python: {image: "python:3.11"}
runtime: busybox:glibc
files: [{from: src, to: /app}]
verify: {imports: [ssl], run: [{cmd: [-V]}]}
"""


def images() -> dict[str, Held]:
    """Two Pythons and a runtime."""
    other = OFFICIAL | {f"{PY}/os.py": b"import os, sys"}
    return {
        "python:3.11": Held(tree=tree(OFFICIAL)),
        "python:3.11-other": Held(tree=tree(other)),
        "busybox:glibc": Held(tree=tree(RUNTIME), env=(("B", "1"),)),
    }


def open_recording(_settings: Settings, cache: Cache, _emit: Emit, _environ: Mapping[str, str]) -> Recording:
    """A backend of one job's own, as a worker process opens it."""
    return Recording(cache=cache, images=images())


@dataclass
class Catalog:
    """A repository with one recipe, a cache and a backend; `run` carries out plans of it."""

    root: Path
    backend: Recording = field(init=False)
    cache: Cache = field(init=False)
    events: list[Event] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        (self.root / "repo/.git").mkdir(parents=True)
        (self.root / "repo/src").mkdir()
        (self.root / "repo/src/main.py").write_text("print()")
        self.write(RECIPE)
        self.fresh("cache")

    def write(self, text: str) -> None:
        (self.root / "repo/app.yaml").write_text(text)

    def fresh(self, name: str) -> None:
        """From now on a cache and an engine that know nothing."""
        self.cache = Cache(self.root / name)
        self.backend = Recording(cache=self.cache, images=images())

    def plan(self, name: str, *sets: str) -> Plan:
        recipe = load_recipe(self.root / "repo/app.yaml", sets=(f"name={name}", *sets), slim=Slim())
        return compile_plan(recipe)

    def plans(self) -> tuple[Plan, ...]:
        """Six: two Pythons with two environments each, and each once on scratch."""
        bases = (("a", "python:3.11"), ("b", "python:3.11-other"))
        rows = [(f"{base}{number}", f"python={{image: '{image}'}}", f"image={{env: {{N: '{number}'}}}}")
                for base, image in bases for number in (1, 2)]  # fmt: skip
        scratch = [(f"s{number}", *rows[2 * number - 2][1:], "runtime=scratch") for number in (1, 2)]
        return tuple(self.plan(name, *sets) for name, *sets in (*rows, *scratch))

    def context(self, **settings: Any) -> Context:
        return Context(
            settings=Settings(cache_dir=self.cache.root, **settings),
            cache=self.cache,
            backend=self.backend,
            emit=self._hear,
            environ=(),
        )

    def run(self, plans: Sequence[Plan], settings: dict[str, Any] | None = None, **words: Any) -> tuple[Outcome, ...]:
        self.events.clear()
        self.backend.calls.clear()
        return run_plans(plans, self.context(**settings or {}), **words)

    def ended(self, stage: str) -> dict[str, str]:
        """How a stage ended, by image."""
        return {
            event.image: event.status for event in self.events if isinstance(event, TaskEnded) and event.stage == stage
        }

    def _hear(self, event: Event, /) -> None:
        self.threads.add(threading.current_thread().name)
        self.events.append(event)


def digests(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The digest of each image, or its error."""
    return {item.image: item.finished.config.digest() if item.finished else repr(item.error) for item in outcomes}
