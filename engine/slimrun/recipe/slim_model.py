"""What slim.yaml says, as frozen values; Settings are made of them, flags and environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from slimrun.errors import Where
from slimrun.recipe.nodes import Mapping
from slimrun.settings import BackendName, BuildSettings, DockerSettings, LockMode, Mirrors, Output

if TYPE_CHECKING:
    from slimrun.recipe.document import Document

NO_DEFAULTS = Mapping(entries=(), where=Where("slim.yaml"))

Profile = Literal["minimal", "default", "strict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where images go; `prefix` stands before the name of an image that says no tags."""

    prefix: str | None = None
    push: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Where downloads and results are kept; `dir` None means the user's, `max_size` in bytes."""

    dir: Path | None = None
    max_size: int | None = None
    registry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How recipes are run; `timeout` in seconds for one image."""

    forks: int = 1
    timeout: float | None = None
    output: Output = "auto"
    dask: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What is written about each image, and where."""

    dir: Path = Path("build/reports")
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """What `slimrun lint` complains about."""

    profile: Profile = "default"
    skip: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What no recipe of the repository may do; `max_size` in bytes, `allow_images` None means all."""

    max_size: int | None = None
    allow_images: tuple[str, ...] | None = None
    forbid_root: bool = False
    forbid_setuid: bool = False
    forbid_shell: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slim:
    """What slim.yaml says; `Slim()` is a repository without one. Paths start from the file's folder."""

    document: Document | None = None
    requires: str | None = None
    recipes: tuple[Path, ...] = (Path("recipes"),)
    defaults: Mapping = NO_DEFAULTS
    backend: BackendName = "auto"
    docker: DockerSettings = field(default_factory=DockerSettings)
    registry: Registry = field(default_factory=Registry)
    mirrors: Mirrors = field(default_factory=Mirrors)
    build: BuildSettings = field(default_factory=BuildSettings)
    lock: LockMode = "use"
    cache: Cache = field(default_factory=Cache)
    run: Run = field(default_factory=Run)
    report: Reports = field(default_factory=Reports)
    lint: Lint = field(default_factory=Lint)
    policy: Policy = field(default_factory=Policy)
