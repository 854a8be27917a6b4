"""One stage as a value: taken from the cache, made, waited for, lost; and all of it pickled."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.catalog import Catalog, open_recording

from slimrun.cache.store import Cache
from slimrun.errors import Interrupted, RecipeInvalid, VerifyFailed, Where
from slimrun.events import Note, Progress, Warned
from slimrun.given import Context, Given, Unchanged
from slimrun.memo import RECENT, Memo
from slimrun.pipeline import WORKERS, Worker
from slimrun.work.apart import Spec, perform_apart, spec_of
from slimrun.work.image import Image
from slimrun.work.job import Answer, Job, Lost, attempt, look_up, perform
from slimrun.work.relay import Gathered, Relay

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


def job_of(catalog: Catalog, stage: str = "resolve", **words: Any) -> Job:
    plan = catalog.plan("app")
    return Image(plan, 0, catalog.cache).job(plan.stage(stage), (), forced=words.get("forced", False))


def test_made_once_then_taken(catalog: Catalog) -> None:
    job, context = job_of(catalog), catalog.context()
    assert look_up(job, context) is None
    done = perform(job, context)
    assert done.made
    assert {name for name, _ in done.pins} >= {"base", "runtime", "platform"}
    again = perform(job, context)
    assert not again.made
    assert (again.digest, again.pins, again.key) == (done.digest, done.pins, job.key)
    assert look_up(job, context) == again
    assert catalog.backend.calls == ["resolve python:3.11", "resolve busybox:glibc"]
    assert perform(job_of(catalog, forced=True), context).made


def test_the_same_job_in_two_threads_is_done_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, going, may_go = WORKERS["resolve"].function, threading.Event(), threading.Event()

    def slowly(given: Given, context: Context) -> Any:
        going.set()
        assert may_go.wait(30)
        return inner(given, context)

    monkeypatch.setitem(WORKERS, "resolve", Worker(slowly))
    job, answers = job_of(catalog), list[Any]()

    def work() -> None:
        answers.append(perform(job, catalog.context()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    threads[0].start()
    assert going.wait(30)
    threads[1].start()
    while not any(
        isinstance(event, Progress) and event.what == "waiting for another slimrun" for event in catalog.events
    ):
        assert threads[1].is_alive()
    may_go.set()
    for thread in threads:
        thread.join(30)
    assert sorted(answer.made for answer in answers) == [False, True]


def test_who_waits_for_a_key_can_be_interrupted(catalog: Catalog) -> None:
    job, relay = job_of(catalog), Relay(lambda _: None)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            attempt(job, catalog.context(), Gathered(relay, "app", "resolve"))
        except BaseException as error:
            errors.append(error)

    with catalog.cache.lock(f"stage-{job.key}"):
        thread = threading.Thread(target=work)
        thread.start()
        relay.stop()
        thread.join(30)
        assert not thread.is_alive()
    assert [type(error) for error in errors] == [Interrupted]
    assert catalog.backend.calls == []


def test_a_result_that_cannot_be_read_is_lost(catalog: Catalog) -> None:
    job, context = job_of(catalog), catalog.context()
    done = perform(job, context)
    plan, image = catalog.plan("app"), Image(catalog.plan("app"), 0, catalog.cache)
    image.job(plan.stage("resolve"), (), forced=False)
    image.take("resolve", done)
    later = image.job(plan.stage("python"), (), forced=False)
    (catalog.cache.root / "values/stage" / job.key).write_bytes(b"no")
    with pytest.raises(Lost) as caught:
        perform(later, catalog.context())
    assert caught.value.stage == "resolve"
    answer = attempt(later, catalog.context(), Gathered(Relay(catalog.events.append), "app", "python"))
    assert (answer.lost, answer.done, answer.error) == ("resolve", None, None)
    assert perform(later, context).made, "it is still in this context's memory"


def test_an_answer_tells_how_it_went(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_given: Given, context: Context) -> Any:
        context.emit(Warned(text="careful"))
        msg = "no"
        raise VerifyFailed(msg, where=Where("r.yaml", 1))

    monkeypatch.setitem(WORKERS, "resolve", Worker(fails))
    answer = attempt(job_of(catalog), catalog.context(), Gathered(Relay(catalog.events.append), "app", "resolve"))
    assert isinstance(answer.error, VerifyFailed)
    assert answer.events == (Warned(text="careful"),)
    assert answer.done is None
    assert answer.seconds > 0
    assert look_up(job_of(catalog), catalog.context()) is None
    again = pickle.loads(pickle.dumps(answer))
    assert (again.error.message, again.error.where, again.events) == ("no", Where("r.yaml", 1), answer.events)


def fails_with(error: BaseException) -> Worker:
    def fail(_given: Given, _context: Context) -> Any:
        raise error

    return Worker(fail)


@pytest.mark.parametrize("error", [Interrupted("x"), KeyboardInterrupt(), ZeroDivisionError()])
def test_what_ends_a_run_passes(error: BaseException, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKERS, "resolve", fails_with(error))
    with pytest.raises(type(error)):
        attempt(job_of(catalog), catalog.context(), Gathered(Relay(catalog.events.append), "app", "resolve"))


def test_jobs_answers_and_specs_are_values(catalog: Catalog) -> None:
    outcomes = catalog.run(catalog.plans())
    assert all(item.error is None for item in outcomes)
    for stage in catalog.plan("app").stages:
        job = job_of(catalog, stage.name)
        assert pickle.loads(pickle.dumps(job)) == job
    answer = attempt(job_of(catalog), catalog.context(), Gathered(Relay(catalog.events.append), "app", "resolve"))
    assert pickle.loads(pickle.dumps(answer)) == answer
    spec = spec_of(catalog.context())
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert pickle.loads(pickle.dumps(outcomes)) == outcomes


def opens_and_says(*given: Any) -> Any:
    given[2](Note(text="opened"))
    given[2](Progress(what="opening", done=1))
    return open_recording(*given)


def test_apart_all_comes_with_the_answer(catalog: Catalog) -> None:
    context = catalog.context()
    spec = Spec(settings=context.settings, environ=context.environ, open_backend=opens_and_says)
    answer = perform_apart(job_of(catalog), spec)
    assert isinstance(answer, Answer)
    assert answer.done is not None
    assert answer.done.made
    assert answer.events == (Note(text="opened"),)
    assert look_up(job_of(catalog), context) is not None, "the cache's folder is what the two share"


def test_memory_holds_what_was_used_last(tmp_path: Path) -> None:
    memo = Memo()
    for number in range(RECENT + 2):
        memo.keep(str(number), number + 1)
        assert memo.recall("0") == 1
    assert memo.recall("1") is None
    assert memo.recall("2") is None
    assert memo.recall(str(RECENT + 1)) == RECENT + 2
    assert memo.once("x", lambda: 7) == memo.once("x", lambda: 8) == 7
    shelf = Cache(tmp_path)
    assert memo.facts(shelf) is memo.facts(shelf)


def test_a_problem_of_a_recipe_is_an_answer_too(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from slimrun.errors import Problem

    error = RecipeInvalid((Problem(where=Where("r.txt", 2), text="no", rule="x"),))
    monkeypatch.setitem(WORKERS, "resolve", fails_with(error))
    answer = attempt(job_of(catalog), catalog.context(), Gathered(Relay(catalog.events.append), "app", "resolve"))
    assert pickle.loads(pickle.dumps(answer)).error.render() == error.render()


def test_a_stage_may_find_that_all_of_it_was_there(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = WORKERS["resolve"].function
    monkeypatch.setitem(WORKERS, "resolve", Worker(lambda given, context: Unchanged(inner(given, context))))
    done = perform(job_of(catalog), catalog.context())
    assert not done.made
    assert {name for name, _ in done.pins} >= {"base", "runtime", "platform"}, "what it wraps is the result"
    assert look_up(job_of(catalog), catalog.context()) == done
