"""What the stages need of a backend: a few operations, so that everything else is written once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.backend.chain import BuildStep, Built
    from slimrun.events import Emit
    from slimrun.oci.config import Config
    from slimrun.plan.pins import ImagePin
    from slimrun.tree.tree import Tree

LABEL_RUN = "io.slimrun.run"
LABEL_STAGE = "io.slimrun.stage"
LABEL_BUILD = "io.slimrun.build"
LABEL_CACHE = "io.slimrun.cache"
# An engine puts these into every container, whatever the image has: no backend reads them out of an image's folders.
ENGINE_FILES = frozenset({"/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf"})


def is_static(path: str) -> bool:
    """Whether a path is named as a static library is, which only a linker reads."""
    return path.endswith(".a")


OUTPUT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered:
    """A whole image: its config, the bytes of files in each of its layers, and the tree they make.

    The layers are blobs in the cache by `config.diff_ids`.
    """

    config: Config
    sizes: tuple[int, ...]
    tree: Tree


class ImageSource(Protocol):
    """An image that is at hand, read without starting it."""

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """The environment that its config sets."""
        ...

    def target(self, path: str) -> str | None:
        """The path itself, or where a link at that path leads (one step, absolute); None where there is nothing."""
        ...

    def tree(self, folders: Sequence[str], *, libraries: Sequence[str] = ()) -> Tree:
        """These folders with all below them; of a link the link alone; what is not there is left out.

        Of `libraries`, which are folders too, static libraries (`is_static`) stay out: they can be half of a folder, and no
        program loads them. The folders above them must not be links: `/usr/lib/x86_64-linux-gnu`, not `/lib/x86_64-linux-gnu`.
        """
        ...

    def layered(self) -> Layered:
        """The image's own layers and config: for a runtime base, which is kept whole."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a command runs in a finished image: root file system read-only, no capabilities, no new privileges, always.

    `timeout` is in seconds; `tmpfs` are paths that are writable and empty, `owner` (`65532:65532`) whose they are where the
    backend would else keep a folder's mode and give it to root. Of each output the last `output` bytes are kept.
    """

    env: tuple[tuple[str, str], ...] = ()
    network: bool = False
    timeout: float = 60.0
    tmpfs: tuple[str, ...] = ("/tmp", "/dev/shm")
    owner: str = "0:0"
    entrypoint: tuple[str, ...] | None = None
    output: int = OUTPUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command did; `exit` is None where it ran out of time, `note` says what running it here cannot prove."""

    exit: int | None
    stdout: str
    stderr: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A command could not be tried at all, which says nothing about the image; `reason` completes "skipped: "."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An image to load: its config, whose layers are blobs in the cache, and the tags it is to have.

    `size` is the bytes of the files in all its layers, `base` the runtime that it stands on, None for scratch.
    """

    config: Config
    tags: tuple[str, ...]
    size: int
    base: ImagePin | None = None


class Backend(Protocol):
    """Where images come from and run. Every method raises errors of slimrun only."""

    name: str

    def platform(self) -> str:
        """The platform that images are made for when a recipe names none: `linux/amd64`."""
        ...

    def resolve_image(self, reference: str) -> ImagePin:
        """Settle a reference, pulling the image where the settings say so; raises ImageNotFound, RegistryUnreachable."""
        ...

    def open_image(self, pin: ImagePin) -> ImageSource:
        """An image for reading; raises ImageNotFound where it is gone and cannot be had again."""
        ...

    def build(self, base: ImagePin, steps: Sequence[BuildStep], *, anew: int = 0, emit: Emit | None = None) -> Built:
        """The file system that a chain of steps makes of an image; steps that were made before are not made again.

        The last `anew` of them are made again all the same. `emit` hears of progress (None: the backend's own), and ends the
        build by raising. Raises BuildFailed, DiskFull, and EngineNeeded where this backend cannot build; what was finished
        before stays, so that the next run begins with the step that failed.
        """
        ...

    def load(self, image: Finished) -> str:
        """Make a finished image runnable under a name of its own, and return that name; `tag` or `discard` it then."""
        ...

    def run(self, image: str, argv: Sequence[str], limits: Limits) -> Ran | NotRun:
        """Run a command in a loaded image, as the image's user; what was started is gone when this returns.

        The answer is NotRun where this backend cannot run anything on this machine.
        """
        ...

    def tag(self, image: str, finished: Finished) -> None:
        """Give a loaded image its tags, and drop the name that `load` gave it."""
        ...

    def discard(self, image: str) -> None:
        """Remove a loaded image that did not pass."""
        ...

    def has(self, image: Finished) -> bool:
        """Whether exactly this image is there under its first tag, in one request."""
        ...

    def interrupt(self) -> None:
        """Free what waits in other threads for a command or a container: there Interrupted is raised, now and from now on."""
        ...

    def clean(self) -> tuple[str, ...]:
        """Remove what runs that died have left; answers with a line for each thing removed."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
