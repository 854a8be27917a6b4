"""`run.timeout`: an image whose time is over ends at its next word, and takes no other image with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.recording import imports_all
from tests.test_schedule import ALL, Bench

from slimrun.backend.base import Ran
from slimrun.deadline import Deadline
from slimrun.errors import OutOfTime
from slimrun.events import Progress
from slimrun.given import Context
from slimrun.plan.compile import compile_plan
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim
from slimrun.schedule import run_plans
from slimrun.settings import Settings
from slimrun.work.relay import Gathered, Relay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_deadline() -> None:
    ahead = Deadline(ends=time.monotonic() + 60, limit=60)
    ahead.check()
    assert 59 < ahead.left() <= 60
    over = Deadline(ends=time.monotonic() - 1, limit=90)
    assert over.left() == 0
    with pytest.raises(OutOfTime, match=r"longer than run\.timeout, 90 s") as caught:
        over.check()
    assert caught.value.exit_code == 2


def test_enough_time(bench: Bench) -> None:
    outcome = bench.run(timeout=300.0)
    assert outcome.error is None
    assert [limits.timeout for limits in bench.backend.limits][-1] == 60.0, (
        "a command's own limit counts where it is shorter"
    )
    assert 290 < bench.backend.limits[0].timeout <= 300


def test_between_stages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = bench.backend.open_image

    def slowly(pin: Any) -> Any:
        time.sleep(0.4)
        return opened(pin)

    monkeypatch.setattr(bench.backend, "open_image", slowly)
    outcome = bench.run(timeout=0.3)
    assert isinstance(outcome.error, OutOfTime)
    assert list(bench.statuses().values())[-1] == "failed"
    assert bench.backend.tags == {}
    monkeypatch.setattr(bench.backend, "open_image", opened)
    assert bench.run(timeout=60.0).error is None
    assert bench.changed() == ALL[2:], "what was made in time is kept"


def test_a_command_has_no_longer_than_the_image(bench: Bench) -> None:
    def answer(argv: Sequence[str]) -> Ran:
        if argv == ("-V",):
            time.sleep(bench.backend.limits[-1].timeout)
            return Ran(exit=None, stdout="", stderr="")
        return imports_all(argv)

    bench.run()
    bench.recipe((bench.root / "repo/app.yaml").read_text().replace("[ssl]", "[ssl, json]"))
    bench.backend.answer = answer
    began = time.monotonic()
    outcome = bench.run(timeout=1.0)
    assert isinstance(outcome.error, OutOfTime), "not that the command failed"
    assert time.monotonic() - began < 10
    assert bench.backend.limits[-1].timeout <= 1.0
    assert bench.backend.loaded == {}, "what did not pass is discarded"


def test_progress_ends_a_long_step() -> None:
    heard: list[object] = []
    gathered = Gathered(Relay(heard.append), "app", "python")
    gathered(Progress(what="pull", done=1))
    gathered.deadline = Deadline(ends=time.monotonic() - 1, limit=1)
    with pytest.raises(OutOfTime):
        gathered(Progress(what="pull", done=2))
    assert len(heard) == 1


def test_others_that_need_the_same_have_their_own_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first runs out of time in a stage that both need; the other begins later and makes it."""
    text = (bench.root / "repo/app.yaml").read_text()
    (bench.root / "repo/b.yaml").write_text(text.replace("name: app", "name: b"))
    plans = [compile_plan(load_recipe(bench.root / f"repo/{name}.yaml", slim=Slim())) for name in ("app", "b")]
    bench.run()
    resolved, calls = bench.backend.resolve_image, list[str]()

    def slowly(reference: str) -> Any:
        calls.append(reference)
        if len(calls) == 1:
            time.sleep(3.2)
            raise _over()
        return resolved(reference)

    monkeypatch.setattr(bench.backend, "resolve_image", slowly)
    context = Context(
        settings=Settings(cache_dir=bench.cache.root, timeout=3.0, refresh=True),
        cache=bench.cache,
        backend=bench.backend,
        emit=bench.events.append,
        environ=(),
    )
    outcomes = run_plans(plans, context)
    assert isinstance(outcomes[0].error, OutOfTime)
    assert outcomes[1].error is None


def _over() -> OutOfTime:
    """What a Progress of the first image raises by then."""
    with pytest.raises(OutOfTime) as caught:
        Deadline(ends=0, limit=3).check()
    return caught.value
