"""From words, environment and slim.yaml to Settings, once."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from slimrun.errors import BadCommandLine, RequirementNotMet
from slimrun.recipe.slim import find_slim, load_slim
from slimrun.recipe.slim_model import Slim
from slimrun.settings import ENGINE_ADDRESS, HOW_ENGINES_ARE_WRITTEN, Settings

if TYPE_CHECKING:
    from slimrun.recipe.slim import MemoryOf

LAST_TIME = 0o77777777777  # what a tar's header has room for: the year 2242


class Parser(argparse.ArgumentParser):
    """argparse, with our error for what it cannot read."""

    def error(self, message: str) -> NoReturn:
        raise BadCommandLine(message, hint=f"`{self.prog} --help` lists what it takes")


def make_settings(words: argparse.Namespace, slim: Slim) -> Settings:
    """Flags over environment over slim.yaml over built-in values."""
    docker = slim.docker
    if words.docker_host and words.backend == "local":
        msg = "--docker-host names an engine, and --backend local uses none"
        raise BadCommandLine(msg, hint="leave one of them out")
    if words.docker_host is not None:
        if not ENGINE_ADDRESS.fullmatch(words.docker_host):
            msg = f"--docker-host {words.docker_host!r} is no address of an engine"
            raise BadCommandLine(msg, hint=HOW_ENGINES_ARE_WRITTEN)
        docker = replace(docker, host=words.docker_host)
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch and not (epoch.isascii() and epoch.isdigit() and int(epoch) <= LAST_TIME):
        msg = f"SOURCE_DATE_EPOCH is {epoch!r}, not a number of seconds up to {LAST_TIME}"
        raise BadCommandLine(msg, hint="unset it, or set it as `git log -1 --format=%ct` prints it")
    return Settings(
        cache_dir=slim.cache.dir or default_cache(),
        # An engine that is named on the command line is meant, not tried.
        backend=words.backend or ("docker" if words.docker_host else slim.backend),
        docker=docker,
        mirrors=slim.mirrors,
        build=slim.build,
        output=words.output or slim.run.output,
        verbosity=words.verbose,
        forks=words.forks or slim.run.forks,
        timeout=slim.run.timeout,
        refresh=words.refresh,
        no_cache=words.no_cache,
        save=words.save,
        offline=words.offline,
        keep_failed=words.keep_failed,
        epoch=int(epoch) if epoch else None,
    )


def nearest_slim(start: Path, flag: str | None = None, *, memory_of: MemoryOf | None = None) -> Slim:
    """The slim.yaml of `--config`, else of $SLIMRUN_CONFIG, else the nearest one from `start` upwards, else none.

    `memory_of` as `load_slim` has it.
    """
    given = flag or os.environ.get("SLIMRUN_CONFIG")
    config = find_slim(start, config=Path(given) if given else None)
    return load_slim(config, memory_of=memory_of) if config else Slim()


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/slimrun`, else `~/.cache/slimrun`; raises RequirementNotMet for who has no home."""
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "slimrun"
    try:
        return Path.home() / ".cache" / "slimrun"
    except RuntimeError as error:
        msg = "there is no folder for the cache: HOME is not set, and nobody knows this user"
        raise RequirementNotMet(msg, hint="set HOME or XDG_CACHE_HOME, or cache.dir in slim.yaml") from error
