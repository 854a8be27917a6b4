"""What of a run reaches a stage besides the recipe: files of this machine, indexes and mirrors, and what of it is in its key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.plan.building import Configure, Install, InstallBuilder, Make, TakeSource
from slimrun.plan.digest import digest_of
from slimrun.plan.steps import CopyFiles, InstallWheels, ResolveDebian, ResolveImage, Verify, WriteImage

if TYPE_CHECKING:
    from slimrun.backend.base import Backend
    from slimrun.cache.store import Cache
    from slimrun.debian.archive import Archive
    from slimrun.events import Emit
    from slimrun.fetch.git import Repository
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.plan.compile import Stage
    from slimrun.resolve.wheels import WheelSources
    from slimrun.settings import Settings

    Environ = tuple[tuple[str, str], ...]


def outside(stage: Stage, settings: Settings, environ: Environ, backend: str) -> str:
    """The digest of what a stage's result depends on beyond its steps and inputs: files of this machine, and settings."""
    match stage.steps:
        case (InstallWheels() as step,):
            from slimrun.python.hostfiles import files_read, folders_read
            from slimrun.python.project import read_project

            given = step.constraints
            lines = (*step.lines, *((replace(given, text=f"-c {given.text}"),) if given else ()))
            contents = tuple(path.read_bytes() for path in files_read(lines))
            projects = tuple(read_project(path, step.where).digest() for path in folders_read(lines))
            builds = (settings.build.env, settings.epoch or 0) if step.builds or projects else ()
            return digest_of((contents, indexes(step, environ).urls, projects, builds))
        case (CopyFiles() as step,):
            from slimrun.assemble.files import copy_files

            return copy_files(step.copies).tree.digest()
        case (WriteImage(),):
            return str(settings.epoch or 0)
        case (Verify(),):
            return backend
        case (InstallBuilder() | TakeSource() | Configure() | Make() | Install(),):
            return digest_of(settings.build.env)
        case (ResolveImage() | ResolveDebian(), *_):
            files = tuple(_state(step.reference) for step in stage.steps if isinstance(step, ResolveImage))
            return digest_of((backend, settings.mirrors.images, files))
    return ""


def _state(reference: str) -> tuple[str, ...]:
    """What tells whether an image in a file was written anew; nothing for an image of a registry."""
    from slimrun.recipe.reference import is_file, split_file

    if not is_file(reference):
        return ()
    path = Path(split_file(reference)[1])
    index = path / "index.json" if path.is_dir() else path
    facts = index.stat() if index.exists() else None
    return (reference, str(facts.st_mtime_ns), str(facts.st_size)) if facts else (reference,)


def indexes(step: InstallWheels, environ: Environ) -> Indexes:
    """The package indexes of a step: the recipe's, else pip's own, else PyPI."""
    from slimrun.fetch.index import choose_indexes, pip_config

    return choose_indexes(recipe=step.index, recipe_extra=step.extra_index, pip=pip_config(dict(environ)))


def wheel_sources(
    step: InstallWheels, settings: Settings, cache: Cache, emit: Emit, backend: Backend, environ: Environ
) -> WheelSources:
    """Where a step's wheels come from."""
    from slimrun.resolve.wheels import WheelSources

    urls = indexes(step, environ)
    reached = network(settings).knowing(urls.urls)
    return WheelSources(indexes=urls, network=reached, cache=cache, emit=emit, backend=backend, settings=settings)


def archive(settings: Settings, cache: Cache, emit: Emit) -> Archive:
    """How Debian's archive is reached."""
    from slimrun.debian.archive import Archive

    return Archive(
        network=network(settings),
        cache=cache,
        emit=emit,
        mirror=settings.mirrors.debian,
        offline=settings.offline,
    )


def repository(address: str, settings: Settings, cache: Cache, emit: Emit, environ: Environ) -> Repository:
    """A git repository, as slim.yaml and the person's own configuration reach it."""
    from slimrun.fetch.git import Repository

    reached = replace(network(settings), mirrors=settings.mirrors.git)
    return Repository(address, network=reached, cache=cache, emit=emit, environ=dict(environ), offline=settings.offline)


def network(settings: Settings) -> Network:
    """How the world is reached."""
    from slimrun.fetch.index import pypi_mirror
    from slimrun.fetch.network import Network

    return Network(
        mirrors=pypi_mirror(settings.mirrors.pypi) if settings.mirrors.pypi else (),
        ca_bundle=settings.build.ca_certificates,
        proxy=settings.build.proxy,
    )
