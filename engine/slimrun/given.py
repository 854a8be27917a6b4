"""What a stage function is given: its own step and earlier results, and what every stage may use; all plain, picklable values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from slimrun import outside as reach
from slimrun.events import Progress
from slimrun.memo import Memo
from slimrun.plan.compile import BUILDING
from slimrun.plan.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slimrun.assemble.assemble import Assembled
    from slimrun.backend.base import Backend, Layered
    from slimrun.cache.store import Cache
    from slimrun.deadline import Deadline
    from slimrun.debian.archive import Archive
    from slimrun.elf.facts import Facts
    from slimrun.events import Emit
    from slimrun.fetch.git import Repository
    from slimrun.plan.compile import Stage
    from slimrun.plan.pins import ImagePin
    from slimrun.plan.steps import Step
    from slimrun.prune.prune import Pruned
    from slimrun.python.prefix import BaseBuild
    from slimrun.resolve.builder import Builder
    from slimrun.resolve.debian import Packages
    from slimrun.resolve.installed import Wheels
    from slimrun.resolve.pins import Pins
    from slimrun.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every stage may use; `environ` is the process's environment, for pip's and Docker's own settings."""

    settings: Settings
    cache: Cache
    backend: Backend
    emit: Emit
    environ: tuple[tuple[str, str], ...]
    memo: Memo = field(default_factory=Memo)
    deadline: Deadline | None = None

    @property
    def archive(self) -> Archive:
        """How Debian's archive is reached."""
        return reach.archive(self.settings, self.cache, self.emit)

    def shared(self, kind: str, key: str, make: Callable[[], object]) -> Any:
        """A value that several images need, made once: remembered, else in the cache, else made while others wait for it."""

        def waiting() -> None:
            self.emit(Progress(what="waiting for another image", done=0))

        def found() -> object:
            with self.cache.lock(f"{kind}-{key}", waiting=waiting):
                value = None if self.settings.no_cache else self.cache.load_value(kind, key)
                if value is None:
                    value = make()
                    self.cache.save_value(kind, key, value)
            return value

        return self.memo.once(f"{kind} {key}", found)

    def runtime(self, pins: Pins) -> Layered:
        """The runtime base, read once for all images that stand on it."""
        from slimrun.resolve.images import open_runtime

        name = pins.runtime.digest if pins.runtime else pins.platform
        return cast("Layered", self.memo.once(f"runtime {name}", lambda: open_runtime(pins, self.backend)))

    def repository(self, address: str) -> Repository:
        """A git repository, reached as slim.yaml says."""
        return reach.repository(address, self.settings, self.cache, self.emit, self.environ)

    @property
    def facts(self) -> Facts:
        """What is known of ELF files, each content read once in a run."""
        return self.memo.facts(self.cache)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What a stage function answers with where it ran and found that all of it was there: the task is `ok`."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a stage starts from: its own steps, the image's tags, and the results of the stages it reads.

    `keys` are those of the results, by which a value that several images share can be known.
    """

    image: str
    tags: tuple[str, ...]
    key: str
    stage: Stage
    results: Mapping[str, Any]
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def step(self) -> Step:
        """The stage's one step."""
        return self.stage.steps[0]

    @property
    def pins(self) -> Pins:
        """What resolve gave, as far as the stage may see it: the rest is not in its key."""
        return cast("Pins", self.results["resolve"]).without(*self.stage.blind)

    @property
    def base(self) -> ImagePin:
        """The base build's image, for recipes that have one."""
        return cast("ImagePin", self.pins.base)

    @property
    def packages(self) -> Packages | None:
        """What packages gave, None where the recipe names none."""
        return cast("Packages | None", self.results.get("packages"))

    @property
    def builder(self) -> Builder | None:
        """The builder as the stage before this one left it; None where nothing is built."""
        found = [name for name in self.stage.reads if name in BUILDING and name in self.results]
        return cast("Builder", self.results[found[-1]]) if found else None

    @property
    def wheel_builder(self) -> Builder | None:
        """Where wheels are built, as far as it is: the base build's own image or builder, else an image for this alone."""
        from slimrun.resolve.builder import Builder

        found = self.results.get("toolchain") or self.results.get("install")
        base = self.pins.base or self.pins.wheel_builder
        return cast("Builder", found) if found else Builder(base=base) if base else None

    @property
    def build(self) -> BaseBuild:
        """What python gave."""
        return cast("BaseBuild", self.results["python"])

    @property
    def wheels(self) -> Wheels:
        """What wheels gave, or nothing where the recipe has none."""
        from slimrun.resolve.installed import Wheels

        return cast("Wheels", self.results.get("wheels") or Wheels())

    @property
    def files(self) -> Part:
        """What files gave, or nothing where the recipe has none."""
        return cast("Part", self.results.get("files") or Part())

    @property
    def pruned(self) -> Pruned:
        """What prune gave."""
        return cast("Pruned", self.results["prune"])

    @property
    def assembled(self) -> Assembled:
        """What assemble gave."""
        return cast("Assembled", self.results["assemble"])
