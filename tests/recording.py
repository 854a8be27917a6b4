"""A Backend in memory: images are trees, commands are answered by a function, and every call is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from threading import Event as Flag
from typing import TYPE_CHECKING

from slimrun.backend.base import Finished, Layered, Limits, NotRun, Ran
from slimrun.backend.chain import BuildStep, Built, step_keys
from slimrun.errors import ImageNotFound, Interrupted
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer
from slimrun.plan.pins import ImagePin
from slimrun.tree.entry import Kind
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.events import Emit


@dataclass(frozen=True, kw_only=True)
class Held:
    """An image that the backend has."""

    tree: Tree
    env: tuple[tuple[str, str], ...] = ()
    platform: str = "linux/amd64"


def imports_all(argv: Sequence[str]) -> Ran:
    """What the importer of verify says when every module imports."""
    return Ran(exit=0, stdout="".join(f"begin {name}\nok {name}\n" for name in argv[2:]), stderr="")


@dataclass
class Recording:
    """`images` by reference; `answer(argv)` is what a command does; `calls` in order, as text."""

    cache: Cache
    images: dict[str, Held]
    answer: Callable[[Sequence[str]], Ran | NotRun] = imports_all
    calls: list[str] = field(default_factory=list)
    loaded: dict[str, Finished] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    limits: list[Limits] = field(default_factory=list)
    stopped: Flag = field(default_factory=Flag)
    name: str = "recording"
    builds: Callable[[Sequence[BuildStep]], Held] = lambda _: Held(tree=Tree())
    built: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)

    def platform(self) -> str:
        return "linux/amd64"

    def resolve_image(self, reference: str) -> ImagePin:
        self.calls.append(f"resolve {reference}")
        held = self.images.get(reference)
        if held is None:
            msg = f"there is no image {reference}"
            raise ImageNotFound(msg)
        return ImagePin(reference=reference, digest=f"sha256:{held.tree.digest()}", platform=held.platform)

    def open_image(self, pin: ImagePin) -> Opened:
        self.calls.append(f"open {pin.reference}")
        return Opened(self.images[pin.reference], self.cache)

    def build(self, base: ImagePin, steps: Sequence[BuildStep], *, anew: int = 0, emit: Emit | None = None) -> Built:
        del emit
        keys = step_keys(base, steps, ())
        made = tuple(
            step.name
            for number, (step, key) in enumerate(zip(steps, keys, strict=True))
            if key not in self.built or number >= len(steps) - anew
        )
        self.built |= {*keys}
        self.calls.append(f"build {' '.join(made) or 'nothing'}")
        logs = tuple((step.name, self.log(step, key)) for step, key in zip(steps, keys, strict=True) if step.commands)
        return Built(key=keys[-1], image=Opened(self.builds(steps), self.cache), made=made, logs=logs)

    def log(self, step: BuildStep, key: str) -> Path:
        path = self.cache.root / "logs" / f"{key[:16]}-{step.name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.said.get(step.name, ""))
        return path

    def load(self, image: Finished) -> str:
        name = f"unverified:{image.config.digest()[:12]}"
        self.calls.append("load")
        self.loaded[name] = image
        return name

    def run(self, image: str, argv: Sequence[str], limits: Limits) -> Ran | NotRun:
        assert image in self.loaded
        self.calls.append(f"run {argv[0]}")
        self.limits.append(limits)
        ran = self.answer(argv)
        if self.stopped.is_set():
            msg = "the run is being stopped"
            raise Interrupted(msg)
        return ran

    def tag(self, image: str, finished: Finished) -> None:
        self.calls.append(f"tag {', '.join(finished.tags)}")
        assert self.loaded.pop(image) == finished
        self.tags |= dict.fromkeys(finished.tags, finished.config.digest())

    def discard(self, image: str) -> None:
        self.calls.append("discard")
        del self.loaded[image]

    def has(self, image: Finished) -> bool:
        self.calls.append("has")
        return {self.tags.get(tag) for tag in image.tags} == {image.config.digest()}

    def interrupt(self) -> None:
        self.calls.append("interrupt")
        self.stopped.set()

    def clean(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self.calls.append("close")


@dataclass(frozen=True)
class Opened:
    """One image, open for reading."""

    held: Held
    cache: Cache

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        return self.held.env

    def target(self, path: str) -> str | None:
        entry = self.held.tree.stat(path)
        if entry is None or entry.kind is not Kind.LINK:
            return path if entry else None
        return normpath(join(dirname(path), entry.target))

    def tree(self, folders: Sequence[str], *, libraries: Sequence[str] = ()) -> Tree:
        return self.held.tree.under(*folders, *libraries)

    def layered(self) -> Layered:
        layer = write_layer(self.held.tree, self.cache, name="base", epoch=0)
        os, architecture = self.held.platform.split("/")
        config = Config(architecture=architecture, os=os, env=self.held.env, diff_ids=(layer.diff_id,))
        return Layered(config=config, sizes=(layer.content,), tree=self.held.tree)
