"""What a recipe says, as frozen values: the only form in which the rest of slimrun sees one.

Oddities of YAML and of the file format end in `document`, `schema` and `load`. A Recipe knows no pins:
`python:3.7-slim` is still a tag here, and nothing has been looked up. Defaults stand here and in
schemas/recipe.schema.json; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from slimrun.errors import Where

Level = Literal["none", "safe", "small", "tiny"]
Bytecode = Literal["drop", "keep", "only"]
Libpython = Literal["static", "shared"]
Pairs = tuple[tuple[str, str], ...]
Key = tuple[str | int, ...]

SCRATCH = "scratch"
DEV_PACKAGES = (
    "build-essential",
    "libbz2-dev",
    "libffi-dev",
    "libgdbm-dev",
    "liblzma-dev",
    "libncurses-dev",
    "libreadline-dev",
    "libsqlite3-dev",
    "libssl-dev",
    "pkg-config",
    "uuid-dev",
    "zlib1g-dev",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string and the place where a person wrote it."""

    text: str
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A pattern over absolute paths of the image; `**` crosses folders."""

    text: str
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One line of `wheels`: a requirement, a path (`./…`) or `-r FILE`; paths in it start from `base`."""

    text: str
    where: Where
    base: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonImage:
    """CPython taken out of an existing image."""

    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonGit:
    """CPython compiled from a commit; `jobs` None means all cores."""

    ref: str
    repo: str = "https://github.com/python/cpython"
    libpython: Libpython = "static"
    configure: tuple[str, ...] = ()
    builder: str = "debian:bookworm-slim"
    packages: tuple[str, ...] = DEV_PACKAGES
    env: Pairs = ()
    jobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonDebian:
    """The interpreter of a Debian suite; `snapshot` is a time that snapshot.debian.org knows."""

    suite: str
    package: str = "python3"
    snapshot: str | None = None


Python = PythonImage | PythonGit | PythonDebian


@dataclass(frozen=True, slots=True, kw_only=True)
class Pip:
    """Where wheels are looked for, and what is built from source; the path `constraints` starts from `base`."""

    index: str | None = None
    extra_index: tuple[str, ...] = ()
    constraints: Text | None = None
    from_source: tuple[Text, ...] = ()
    build_packages: tuple[Text, ...] = ()
    base: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """Debian packages that are unpacked into the image; `suite` None means the base build's."""

    packages: tuple[Text, ...]
    suite: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCopy:
    """One entry of `files`; `source` starts from `base`, and without one an empty folder is made."""

    source: str | None = None
    to: str
    mode: str | None = None
    owner: str = "0:0"
    exclude: tuple[str, ...] = ()
    where: Where
    base: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """What is dropped; `features` None means what a network service needs, `strip` None means as the level says."""

    level: Level = "small"
    keep: tuple[Glob, ...] = ()
    drop: tuple[Glob, ...] = ()
    libraries: tuple[Text, ...] = ()
    features: tuple[Text, ...] | None = None
    strip: bool | None = None
    bytecode: Bytecode = "drop"
    dedupe: bool = False
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """How an engine asks whether a container is well; times in seconds, None means the engine's own."""

    cmd: tuple[str, ...]
    interval: float | None = None
    timeout: float | None = None
    start_period: float | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the image's config says; `entrypoint` None means the interpreter."""

    tags: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] = ()
    env: Pairs = ()
    user: str = "65532:65532"
    workdir: str = "/"
    expose: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Pairs = ()
    stop_signal: str | None = None
    healthcheck: Healthcheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRun:
    """A command that the finished image must run: `cmd` past the entrypoint, `stdout` a regular expression."""

    cmd: tuple[str, ...]
    stdout: str | None = None
    exit: int = 0
    env: Pairs = ()
    network: bool = False
    timeout: float = 60.0
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """What the finished image must do; `max_size` in bytes of uncompressed layers, the base's too."""

    imports: tuple[Text, ...] = ()
    run: tuple[VerifyRun, ...] = ()
    max_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the value of one key came from; `source` is the text of that line, empty for built-in values.

    `value` is the value as JSON, "" for a map or a list that holds something: its keys and items have origins of their own.
    """

    key: Key
    where: Where
    source: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image, after extends, variables, slim.yaml and the command line; `platforms` () means the host's."""

    name: str
    description: str = ""
    source: Path
    python: Python
    python_where: Where
    wheels: tuple[Wheel, ...] = ()
    pip: Pip = field(default_factory=Pip)
    debian: Debian | None = None
    files: tuple[FileCopy, ...] = ()
    runtime: str = "busybox:glibc"
    runtime_where: Where
    prune: Prune = field(default_factory=Prune)
    image: Image = field(default_factory=Image)
    verify: Verify = field(default_factory=Verify)
    platforms: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()

    def origin(self, *key: str | int) -> Origin | None:
        """Where `key` (`"prune", "level"`) was written; None for a key that has no value."""
        return next((origin for origin in self.origins if origin.key == key), None)
