"""What a run would find: the same stages that a run then makes, and nothing is written or asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.test_schedule import RECIPE, Bench

from slimrun.given import Context
from slimrun.plan.compile import compile_plan
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim
from slimrun.settings import Settings
from slimrun.work.look import Looked, look

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def seen(bench: Bench, *, ask: bool = True, **settings: Any) -> Looked:
    bench.backend.calls.clear()
    context = Context(
        settings=Settings(cache_dir=bench.cache.root, **settings),
        cache=bench.cache,
        backend=bench.backend,
        emit=bench.events.append,
        environ=(),
    )
    before = sorted(path for path in bench.root.rglob("*") if path.is_file())
    found = look(compile_plan(load_recipe(bench.root / "repo/app.yaml", slim=Slim())), context, ask=ask)
    assert sorted(path for path in bench.root.rglob("*") if path.is_file()) == before
    assert set(bench.backend.calls) <= {"has"}
    return found


def statuses(found: Looked) -> dict[str, str]:
    return {item.stage: item.status for item in found.stages if item.status != "skipping"}


def test_an_empty_cache(bench: Bench) -> None:
    found = seen(bench)
    assert statuses(found) == {
        "resolve": "changed", "python": "unknown", "files": "changed", "prune": "unknown", "assemble": "unknown",
        "verify": "unknown", "report": "unknown",
    }  # fmt: skip
    assert found.change is not None
    assert (found.change.stage, found.finished) == ("resolve", None)


def test_all_is_there(bench: Bench) -> None:
    outcome = bench.run()
    found = seen(bench)
    assert set(statuses(found).values()) == {"ok"}
    assert (found.change, found.finished) == (None, outcome.finished)
    assert bench.backend.calls == ["has"]
    seen(bench, ask=False)
    assert bench.backend.calls == []


@pytest.mark.parametrize(
    ("text", "stage", "why"),
    [
        (RECIPE + "prune: {level: safe}", "prune", "prune.level changed"),
        (RECIPE.replace("[ssl]", "[ssl, json]"), "verify", "verify.imports changed"),
        (RECIPE.replace("A test", "Another"), "assemble", "WriteImage.description changed"),
        (RECIPE.replace("to: /app", "to: /srv"), "files", "files changed"),
    ],
)
def test_the_first_that_changed_is_what_a_run_makes_first(text: str, stage: str, why: str, bench: Bench) -> None:
    bench.run()
    bench.recipe(text)
    found = seen(bench)
    assert found.change is not None
    assert found.change.stage == stage
    assert why.split()[-1] in found.change.why
    later = [name for name, status in statuses(found).items() if status == "unknown"]
    bench.run()
    assert bench.changed()[0] == stage
    assert set(bench.changed()[1:]) == set(later)


def test_what_is_forced(bench: Bench) -> None:
    bench.run()
    found = seen(bench, refresh=True)
    assert found.change is not None
    assert (found.change.stage, found.change.why) == ("resolve", "--refresh")
    assert {item.why for item in seen(bench, no_cache=True).stages if item.status == "changed"} == {"--no-cache"}


def test_what_was_lost(bench: Bench) -> None:
    bench.run()
    bench.backend.tags.clear()
    found = seen(bench)
    assert found.change is not None
    assert (found.change.stage, found.change.why) == ("verify", "recording no longer has the image")
    assert seen(bench, ask=False).change is None
    for path in (bench.cache.root / "records/report").iterdir():
        path.unlink()
    found = seen(bench, ask=False)
    assert found.change is not None
    assert found.change.stage == "report"
