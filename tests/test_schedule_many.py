"""Many images in one graph: what is equal is made once, in any number of hands, and the same comes out."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from slimrun import schedule
from slimrun.errors import ImageNotFound, VerifyFailed
from slimrun.events import Event, PlayStarted, Progress, Recap, TaskEnded, TaskStarted, Warned
from slimrun.pipeline import WORKERS, Worker
from slimrun.plan.compile import STAGES
from slimrun.prune import prune as pruning
from slimrun.prune.common import find_common
from slimrun.work import apart
from slimrun.work.apart import Spec, spec_of
from slimrun.work.job import Job
from tests.catalog import RECIPE, Catalog, digests, open_recording
from tests.recording import imports_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from slimrun.backend.base import Ran
    from slimrun.given import Context, Given


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessPoolExecutor]:
    """Two worker processes, each job of which opens a backend of its own from values."""

    def with_recording(context: Context) -> Spec:
        spec = spec_of(context)
        return Spec(settings=spec.settings, environ=spec.environ, open_backend=open_recording)

    monkeypatch.setattr(apart, "spec_of", with_recording)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("forks", [1, 4])
def test_equal_stages_run_once(forks: int, catalog: Catalog) -> None:
    outcomes = catalog.run(catalog.plans(), forks=forks)
    assert [item.error for item in outcomes] == [None] * 6
    counts = {stage: list(catalog.ended(stage).values()).count("changed") for stage in STAGES}
    assert counts == {
        "resolve": 4,  # two Pythons, each with and without a runtime
        "python": 2,  # another runtime is no other Python
        "packages": 0,
        "wheels": 0,
        "files": 1,
        "prune": 4,
        "assemble": 6,
        "verify": 6,
        "report": 6,
        "push": 0,
    }
    told = [stage for stage in STAGES if counts[stage] or forks == 1]
    assert all(set(catalog.ended(stage)) == {"a1", "a2", "b1", "b2", "s1", "s2"} for stage in told)
    assert all(not catalog.ended(stage) for stage in STAGES if stage not in told), "nothing to do is not worth a line"
    assert all(dict(item.counts)["skipping"] == 3 for item in outcomes)
    assert len(catalog.backend.tags) == 6
    if forks == 1:
        assert catalog.backend.calls.count("open busybox:glibc") == 1
        assert catalog.backend.calls.count("open python:3.11") == 3, (
            "once for python, once for features on each runtime"
        )


@pytest.mark.parametrize("forks", [1, 4])
def test_what_images_have_in_common_is_pruned_once(
    forks: int, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(*given: Any) -> Any:
        made.append(threading.current_thread().name)
        return find_common(*given)

    monkeypatch.setattr(pruning, "find_common", counted)
    plans = [catalog.plan(f"a{number}", f"files=[{{to: /{number}}}]") for number in range(4)]
    plans += [catalog.plan("b", "runtime=scratch"), catalog.plan("c", "prune={level: safe}")]
    first = digests(catalog.run(plans, forks=forks))
    assert len(set(first.values())) == 6
    assert len(made) == 3, "once for each base and each set of rules"
    made.clear()
    more = [catalog.plan("d", "files=[{to: /d}]")]
    catalog.run(more)
    assert made == [], "a later run finds it in the cache"
    catalog.run(more, {"no_cache": True})
    assert len(made) == 1


def test_one_digest_for_any_number_of_hands_in_any_order(
    catalog: Catalog, processes: ProcessPoolExecutor, tmp_path: Path
) -> None:
    plans = catalog.plans()
    expected = digests(catalog.run(plans))
    assert len(set(expected.values())) == 6
    assert digests(catalog.run(plans, forks=3)) == expected, "all of it out of the cache"
    for number, (order, words) in enumerate(
        [
            (plans, {"forks": 4}),
            (plans[::-1], {"forks": 2}),
            (plans[::-1], {}),
            (plans[2:] + plans[:2], {"forks": 2, "executor": processes}),
        ]
    ):
        catalog.fresh(f"cache{number}")
        outcomes = catalog.run(order, **words)
        assert [item.image for item in outcomes] == [plan.image for plan in order]
        assert digests(outcomes) == expected
    assert [path for path in tmp_path.glob("cache*/staging/*") if path] == []


def test_layers_are_shared_by_what_differs_above_them(catalog: Catalog) -> None:
    outcomes = catalog.run(catalog.plans(), forks=2)
    layers = {item.image: item.finished.config.diff_ids for item in outcomes if item.finished}
    assert layers["a1"][:2] == layers["a2"][:2]
    assert layers["b1"][:2] == layers["b2"][:2]
    assert layers["a1"][0] == layers["b1"][0], "the runtime"
    assert layers["a1"][1] != layers["b1"][1]
    assert layers["s1"][0] not in (*layers["a1"], *layers["s2"]), "with glibc in it"
    assert layers["s1"][1] == layers["a1"][2], "files"


def groups(events: Sequence[Event]) -> Iterator[list[Event]]:
    """The events of each task, from its beginning to its end."""
    group: list[Event] = []
    for event in events:
        if isinstance(event, (TaskStarted, Warned, TaskEnded)):
            group.append(event)
        if isinstance(event, TaskEnded):
            yield group
            group = []
    assert group == []


def test_events_of_a_task_stand_together(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = WORKERS["assemble"].function

    def assemble(given: Given, context: Context) -> Any:
        for number in range(20):
            context.emit(Warned(text=f"{given.image} {number}"))
            context.emit(Progress(what="writing", done=number))
            time.sleep(0.001)
        return inner(given, context)

    monkeypatch.setitem(WORKERS, "assemble", Worker(assemble))
    catalog.run(catalog.plans(), forks=4, title="platform")
    assert catalog.events[0] == PlayStarted(image="platform")
    assert sum(isinstance(event, PlayStarted) for event in catalog.events) == 1
    found = list(groups(catalog.events))
    assert len(found) == 42
    for first, *warnings, last in found:
        assert isinstance(first, TaskStarted)
        assert isinstance(last, TaskEnded)
        assert (first.image, first.stage) == (last.image, last.stage)
        texts = [f"{last.image} {number}" for number in range(20)] if last.stage == "assemble" else []
        assert [
            item.text for item in warnings if isinstance(item, Warned) and not item.text.endswith("[feature]")
        ] == texts
    told = [event for event in catalog.events if isinstance(event, Progress) and event.what == "writing"]
    assert {(event.image, event.stage) for event in told} == {
        (image, "assemble") for image in ("a1", "a2", "b1", "b2", "s1", "s2")
    }
    assert [event.image for event in catalog.events if isinstance(event, Recap)] != []


def test_a_stage_tells_of_its_own_steps(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = WORKERS["python"].function

    def python(given: Given, context: Context) -> Any:
        for what in ("configure", "make"):
            context.emit(TaskStarted(image=given.image, stage="python", what=what))
            context.emit(Warned(text=what))
            context.emit(TaskEnded(image=given.image, stage="python", status="changed"))
        return inner(given, context)

    monkeypatch.setitem(WORKERS, "python", Worker(python))
    for forks in (1, 2):
        catalog.fresh(f"cache{forks}")
        (outcome,) = catalog.run([catalog.plan("a")], forks=forks)
        assert dict(outcome.counts) == {"changed": 9, "skipping": 3}
        told = [event for event in catalog.events if getattr(event, "stage", "") == "python"]
        told = [event for event in told if not isinstance(event, Progress)]
        steps = [event.what for event in told if isinstance(event, TaskStarted)]
        assert sorted(steps) == ["configure", "make", "take CPython out of python:3.11"]
        assert isinstance(told[-1], TaskEnded)
        assert len(told) == 6


def fails_for_b(backend: Any) -> Any:
    inner = backend.resolve_image

    def resolve(reference: str) -> Any:
        if reference == "python:3.11-other":
            backend.calls.append("refused")
            msg = "there is no such image"
            raise ImageNotFound(msg)
        return inner(reference)

    return resolve


@pytest.mark.parametrize("forks", [1, 4])
def test_one_that_fails_does_not_stop_the_others(forks: int, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog.backend, "resolve_image", fails_for_b(catalog.backend))
    outcomes = catalog.run(catalog.plans(), forks=forks)
    failed = {item.image for item in outcomes if item.error}
    assert failed == {"b1", "b2", "s2"}
    assert catalog.ended("resolve")["b2"] == "failed"
    assert "b2" not in catalog.ended("python")
    assert catalog.backend.calls.count("refused") == 2, (
        "once with the runtime, and once without: equal stages fail once"
    )
    messages = [event.message for event in catalog.events if isinstance(event, TaskEnded) and event.status == "failed"]
    assert len(messages) == 3
    assert all("app.yaml:2:" in message or "python" in message for message in messages)


@pytest.mark.parametrize("forks", [1, 2])
def test_after_an_end_of_all_what_runs_is_finished(
    forks: int, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog.backend, "resolve_image", fails_for_b(catalog.backend))
    a1, a2, b1, b2, s1, s2 = catalog.plans()
    outcomes = catalog.run([a1, b1, a2, s1, s2, b2], forks=forks, ends_all=lambda item: item.error is not None)
    names = [item.image for item in outcomes]
    assert names[:2] == ["a1", "b1"]
    assert outcomes[0].finished is not None
    assert len(names) < 6
    assert all(item.finished or item.image == "b1" for item in outcomes), "none was left half done"


def test_what_the_caller_makes_of_an_outcome(catalog: Catalog) -> None:
    seen: list[tuple[str, str]] = []

    def ended(outcome: schedule.Outcome) -> schedule.Outcome:
        seen.append((outcome.image, threading.current_thread().name))
        return schedule.Outcome(image=f"{outcome.image}!", tags=(), counts=(), seconds=0)

    outcomes = catalog.run(catalog.plans(), forks=3, ended=ended)
    assert sorted(image for image, _ in seen) == ["a1", "a2", "b1", "b2", "s1", "s2"]
    assert {thread for _, thread in seen} == {threading.current_thread().name}
    assert [item.image for item in outcomes] == ["a1!", "a2!", "b1!", "b2!", "s1!", "s2!"]


@pytest.mark.parametrize("bound", [1, 2])
def test_not_more_of_a_kind_at_once_than_may_be(bound: int, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(schedule.AT_ONCE, "Verify", bound)
    running, most, lock = [0], [0], threading.Lock()

    def answer(argv: Sequence[str]) -> Ran:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return imports_all(argv)

    catalog.backend.answer = answer
    outcomes = catalog.run(catalog.plans(), forks=6)
    assert [item.error for item in outcomes] == [None] * 6
    assert most[0] == bound


def test_compiling_has_the_processors_to_itself(catalog: Catalog) -> None:
    git = catalog.plan("git", "python={git: {ref: v3.11.2}}")
    built = catalog.plan("built", "wheels=[x]", "pip={from_source: [x]}")
    plain = catalog.plan("plain", "wheels=[x]")
    rows = [(git, "make", True), (git, "configure", False), (built, "wheels", True), (plain, "wheels", False)]
    for plan, name, compiles in rows:
        stage = plan.stage(name)
        job = Job(image=plan.image, tags=(), stage=stage, key="", inputs=())
        assert (schedule.COMPILES in schedule.kinds(job)) is compiles, (plan.image, name)
        assert {type(step).__name__ for step in stage.steps} <= schedule.kinds(job)
    assert schedule.AT_ONCE[schedule.COMPILES] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_frees_what_waits_and_leaves_nothing(number: signal.Signals, catalog: Catalog, tmp_path: Path) -> None:
    waiting = threading.Semaphore(0)

    def answer(argv: Sequence[str]) -> Ran:
        waiting.release()
        assert catalog.backend.stopped.wait(30), "nobody freed it"
        return imports_all(argv)

    def press() -> None:
        for _ in range(2):
            assert waiting.acquire(timeout=30)
        os.kill(os.getpid(), number)

    def raise_it(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    catalog.backend.answer = answer
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, raise_it),
        signal.SIGTERM: signal.signal(signal.SIGTERM, raise_it),
    }
    presser = threading.Thread(target=press)
    presser.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            catalog.run(catalog.plans(), forks=4)
        assert time.monotonic() - began < 20, "it was freed, not given up"
    finally:
        presser.join()
        for each, handler in before.items():
            signal.signal(each, handler)
    assert "interrupt" in catalog.backend.calls
    assert (catalog.backend.loaded, catalog.backend.tags) == ({}, {})
    assert list((tmp_path / "cache/staging").iterdir()) == []
    assert not any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate())
    catalog.fresh("cache")
    assert [item.error for item in catalog.run(catalog.plans(), forks=2)] == [None] * 6


def test_a_stage_that_tells_of_itself_ends_when_the_run_is_stopped(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def files(_given: Given, context: Context) -> Any:
        begun.set()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            context.emit(Progress(what="for ever", done=0))
            time.sleep(0.01)
        pytest.fail("it went on")

    def ended(_outcome: schedule.Outcome) -> schedule.Outcome:
        assert begun.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setitem(WORKERS, "files", Worker(files))
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        catalog.run([catalog.plan("a"), catalog.plan("b", "files=[]")], forks=2, ended=ended)
    assert time.monotonic() - began < 20


def test_a_fault_of_our_own_stops_all_and_is_seen(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(_given: Given, _context: Context) -> Any:
        return 1 // 0

    monkeypatch.setitem(WORKERS, "files", Worker(files))
    with pytest.raises(ZeroDivisionError):
        catalog.run(catalog.plans(), forks=4)
    assert (catalog.backend.loaded, catalog.backend.stopped.is_set() or not catalog.backend.loaded) == ({}, True)


@pytest.mark.parametrize("forks", [1, 4])
def test_damaged_results_are_made_anew(forks: int, catalog: Catalog, tmp_path: Path) -> None:
    plans = catalog.plans()
    expected = digests(catalog.run(plans))
    for path in (tmp_path / "cache/values/stage").iterdir():
        path.write_bytes(b"damaged")
    for path in (tmp_path / "cache/blobs/sha256").iterdir():
        path.unlink()
    outcomes = catalog.run(plans, forks=forks)
    assert digests(outcomes) == expected
    assert all(dict(item.counts)["skipping"] == 3 and sum(dict(item.counts).values()) == 10 for item in outcomes)
    assert set(catalog.ended("python").values()) == {"ok"}, "nobody hears of it twice"


def test_damaged_results_are_made_anew_elsewhere(
    catalog: Catalog, processes: ProcessPoolExecutor, tmp_path: Path
) -> None:
    plans = catalog.plans()[:2]
    expected = digests(catalog.run(plans))
    for path in (tmp_path / "cache/values/stage").iterdir():
        path.write_bytes(b"damaged")
    for path in (tmp_path / "cache/blobs/sha256").iterdir():
        path.unlink()
    assert digests(catalog.run(plans, forks=2, executor=processes)) == expected


def test_processes_bring_their_events_and_errors(catalog: Catalog, processes: ProcessPoolExecutor) -> None:
    plans = [catalog.plan("good"), catalog.plan("bad", "python={image: nothing}")]
    good, bad = catalog.run(plans, forks=2, executor=processes)
    assert good.error is None
    assert isinstance(bad.error, ImageNotFound)
    assert bad.error.where is not None, "an error keeps its place on its way"
    assert catalog.ended("resolve") == {"good": "changed", "bad": "failed"}
    assert [event.stage for event in catalog.events if isinstance(event, TaskStarted) and event.image == "good"][
        -1
    ] == "report"
    assert catalog.threads == {threading.current_thread().name}
    assert catalog.backend.calls == [], "this process's backend had nothing to do"


@pytest.mark.parametrize("settings", [{"no_cache": True}, {"refresh": True}])
def test_what_is_forced_is_made_once_for_all(settings: dict[str, Any], catalog: Catalog) -> None:
    plans = catalog.plans()
    first = digests(catalog.run(plans))
    outcomes = catalog.run(plans, settings, forks=3)
    assert digests(outcomes) == first
    assert list(catalog.ended("resolve").values()).count("changed") == 4
    assert list(catalog.ended("python").values()).count("changed") == (2 if "no_cache" in settings else 0)
    flag = "--no-cache" if "no_cache" in settings else "--refresh"
    assert f"resolve: {flag}" in outcomes[0].why


def test_other_tags_of_the_same_image(catalog: Catalog) -> None:
    catalog.run([catalog.plan("a")])
    (outcome,) = catalog.run([catalog.plan("a", "image={tags: ['x:1']}")])
    assert outcome.finished is not None
    assert outcome.finished.tags == ("x:1",)
    assert set(catalog.backend.tags) == {"a:latest", "x:1"}
    (again,) = catalog.run([catalog.plan("a", "image={tags: ['x:1']}")])
    assert again.finished is not None
    assert again.finished.tags == ("x:1",)
    assert catalog.backend.calls == ["has"]


WHY = [
    ([], {}, "", "nothing changed"),
    (["prune={level: safe}"], {}, "", "prune: prune.level changed, prune.strip changed"),
    (["image={env: {A: b}}"], {}, "", "assemble: image.env changed"),
    (["runtime=scratch"], {}, "", "resolve: runtime's reference is gone; assemble: runtime changed"),
    ([], {"epoch": 7}, "", "assemble: SOURCE_DATE_EPOCH changed"),
    ([], {}, "file", "files: file /app/main.py changed"),
    ([], {}, "more", "files: file /app/new.py is new"),
    ([], {}, "line", "resolve: lines moved in the recipe"),
    ([], {}, "tag", "verify: recording no longer has the image"),
    ([], {}, "blobs", "assemble: its result is no longer in the cache"),
    ([], {}, "pin", "nothing changed"),
]


@pytest.mark.parametrize(("sets", "settings", "act", "why"), WHY)
def test_each_image_says_why(sets: list[str], settings: dict[str, Any], act: str, why: str, catalog: Catalog) -> None:
    (first,) = catalog.run([catalog.plan("a")])
    assert first.why == "it was not made before"
    source = catalog.root / "repo/src"
    match act:
        case "file":
            (source / "main.py").write_text("print(1)")
        case "more":
            (source / "new.py").write_text("")
        case "line":
            catalog.write("\n" + RECIPE)
        case "tag":
            catalog.backend.tags.clear()
        case "blobs":
            for blob in (catalog.cache.root / "blobs/sha256").iterdir():
                blob.unlink()
        case "pin":
            catalog.backend.images["python:3.11"] = catalog.backend.images["python:3.11-other"]
    (outcome,) = catalog.run([catalog.plan("a", *sets)], settings)
    assert outcome.error is None
    assert outcome.why.startswith(why), outcome.why
    ran = [image for image in catalog.events if isinstance(image, TaskEnded) and image.status == "changed"]
    made = [change for change in outcome.changes if change.made]
    assert [change.stage for change in made] == [event.stage for event in ran]
    assert [event.why for event in ran] == [str(change) for change in made]
    (recap,) = [event for event in catalog.events if isinstance(event, Recap)]
    assert recap.why == outcome.why
    for earlier, later in pairwise(outcome.changes):
        assert later.follows or later.reasons, (earlier, later)


def test_what_another_image_made_is_a_reason_too(catalog: Catalog) -> None:
    for level in ("small", "safe"):
        plans = [
            catalog.plan(f"a{number}", f"image={{env: {{N: '{number}'}}}}", f"prune={{level: {level}}}")
            for number in (1, 2)
        ]
        outcomes = catalog.run(plans, forks=2)
    assert [item.why for item in outcomes] == ["prune: prune.level changed, prune.strip changed"] * 2
    stages = [[change.stage for change in item.changes if change.made] for item in outcomes]
    assert sorted(stages, key=len) == [["assemble", "verify", "report"], ["prune", "assemble", "verify", "report"]]


def test_back_to_what_it_was(catalog: Catalog) -> None:
    for level in ("small", "safe"):
        catalog.run([catalog.plan("a", f"prune={{level: {level}}}")])
    small = catalog.plan("a", "prune={level: small}")
    (outcome,) = catalog.run([small])
    assert [change for change in outcome.changes if change.made] == []
    assert outcome.why == "prune: prune.level changed, prune.strip changed; as it was made before"
    (outcome,) = catalog.run([small])
    assert (outcome.changes, outcome.why) == ((), "nothing changed")


def test_a_pin_that_moved_is_named(catalog: Catalog) -> None:
    catalog.run([catalog.plan("a")])
    catalog.backend.images["python:3.11"] = catalog.backend.images["python:3.11-other"]
    (outcome,) = catalog.run([catalog.plan("a")], {"refresh": True})
    assert outcome.why.startswith("resolve: --refresh; python: the pin of python:3.11 changed")
    assert [change.stage for change in outcome.changes][:2] == ["resolve", "python"]


def test_after_a_failure_the_reason_is_still_there(catalog: Catalog) -> None:
    catalog.run([catalog.plan("a")])
    catalog.backend.answer = lambda argv: imports_all(argv[:2])
    (failed,) = catalog.run([catalog.plan("a", "verify={imports: [json]}")])
    assert isinstance(failed.error, VerifyFailed)
    catalog.backend.answer = imports_all
    (outcome,) = catalog.run([catalog.plan("a", "verify={imports: [json]}")])
    assert outcome.why.startswith("verify: ")
    assert [change.stage for change in outcome.changes] == ["verify", "report"]
