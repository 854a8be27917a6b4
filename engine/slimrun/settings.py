"""What a run is told apart from its recipes: made once by the command line from flags, environment and slim.yaml.

Nothing below reads the environment or a terminal; a value here is the last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

BackendName = Literal["auto", "docker", "local"]
Pull = Literal["missing", "always", "never"]
Output = Literal["auto", "ansible", "dense", "json"]
LockMode = Literal["require", "use", "ignore"]
Pairs = tuple[tuple[str, str], ...]

ENGINE_ADDRESS = re.compile(r"(?:unix|tcp|ssh|npipe|https?)://\S+")
HOW_ENGINES_ARE_WRITTEN = "write it as unix:///var/run/docker.sock, tcp://HOST:PORT or ssh://USER@HOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSettings:
    """How the Docker Engine is reached; `host` and `context` None mean as the docker command would; seconds."""

    host: str | None = None
    context: str | None = None
    timeout: float = 600.0
    pull: Pull = "missing"
    network: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Where things come from instead: addresses, and for images pairs (canonical prefix, replacement)."""

    pypi: str | None = None
    debian: str | None = None
    git: Pairs = ()
    images: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What build containers and downloads get and no image ever holds."""

    ca_certificates: Path | None = None
    proxy: str | None = None
    env: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run's settings; `forks` stages at a time, `timeout` in seconds for one image, `epoch` in seconds, None means 0."""

    cache_dir: Path
    backend: BackendName = "auto"
    docker: DockerSettings = field(default_factory=DockerSettings)
    mirrors: Mirrors = field(default_factory=Mirrors)
    build: BuildSettings = field(default_factory=BuildSettings)
    output: Output = "auto"
    verbosity: int = 0
    forks: int = 1
    timeout: float | None = None
    offline: bool = False
    refresh: bool = False
    no_cache: bool = False
    save: str | None = None
    keep_failed: bool = False
    epoch: int | None = None
