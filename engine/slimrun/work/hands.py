"""Who carries out jobs: this thread, threads of this process, or an executor whose workers may be anywhere."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from slimrun.work.job import attempt
from slimrun.work.relay import Gathered, Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.given import Context
    from slimrun.work.job import Answer, Job


class Hands:
    """`number` jobs at once; `several` where others go on while one is told of. A context manager.

    An `executor` that is given gets values alone and gives values back, and stays open.
    """

    def __init__(self, context: Context, number: int, executor: Executor | None) -> None:
        self.relay = context.emit if isinstance(context.emit, Relay) else Relay(context.emit)
        self.context = replace(context, emit=self.relay)
        self.number, self.several = number, number > 1 or executor is not None
        self._elsewhere = executor
        self._pool: Executor = ThreadPoolExecutor(number) if number > 1 and executor is None else _Here()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, job: Job) -> Future[Answer]:
        """Begin a job; with one hand it is over when this returns."""
        if self._elsewhere is not None:
            from slimrun.work.apart import perform_apart, spec_of

            return self._elsewhere.submit(perform_apart, job, spec_of(self.context))
        gathered = Gathered(self.relay, job.image, job.stage.tag, live=not self.several)
        return self._pool.submit(attempt, job, self.context, gathered)


class _Here(Executor):
    """Carries out what is submitted at once, in the caller's thread, where Ctrl-C reaches it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
