"""A build as a chain of steps, each of which has a key: what changes one step changes its key and all that follow, no others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slimrun.plan.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.backend.base import ImageSource
    from slimrun.plan.pins import ImagePin
    from slimrun.tree.tree import Tree

    Pairs = tuple[tuple[str, str], ...]

# Raised when the same step would give something else than it did.
REVISION = 1
# In a value of `hints`: how many processors the engine has.
CORES = "{cores}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStep:
    """What is done to a container's file system: `tree` is laid over it first, then each command runs as root.

    `name` is a word for labels, progress and the log's file name. Commands are argument lists, run one after another in
    `workdir` without a shell; the first that fails ends the build. `hints` is environment that may change how fast a step is
    and never what it gives: it is not part of the key. A step without `network` has none.
    """

    name: str
    commands: tuple[tuple[str, ...], ...] = ()
    env: Pairs = ()
    hints: Pairs = field(default=(), compare=False)
    workdir: str = "/"
    tree: Tree | None = None
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a chain gave: `key` names it on every machine, `image` is open for reading.

    `made` are the names of the steps that ran, in order, () where all of it was there; `logs` has a file for each step that
    has commands, by its name, which holds all that they printed, when they ran.
    """

    key: str
    image: ImageSource
    made: tuple[str, ...]
    logs: tuple[tuple[str, Path], ...]


def step_keys(base: ImagePin, steps: Sequence[BuildStep], env: Pairs) -> tuple[str, ...]:
    """The key of each step: the sha256 hex of the builder's image, `build.env`, and all steps up to it.

    What build.ca_certificates, build.proxy and the mirrors say is how the same bytes are reached: no part of it.
    """
    key = digest_of((REVISION, base.digest, base.platform, env))
    keys = []
    for step in steps:
        parts = (step.name, step.commands, tuple(sorted(step.env)), step.workdir, step.tree, step.network)
        key = digest_of((key, parts))
        keys.append(key)
    return tuple(keys)
