"""What of a run reaches a stage besides the recipe: files of this machine, indexes and mirrors, and what of it is in its key."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.errors import NotCached
from slimrun.plan.building import Configure, Install, InstallBuilder, Make, TakeSource
from slimrun.plan.digest import digest_of
from slimrun.plan.steps import CopyFiles, InstallWheels, ResolveDebian, ResolveImage, Verify, WriteImage
from slimrun.settings import Mirrors

if TYPE_CHECKING:
    from slimrun.backend.base import Backend
    from slimrun.cache.store import Cache
    from slimrun.debian.archive import Archive
    from slimrun.events import Emit
    from slimrun.fetch.git import Repository
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.oci.push import Pusher
    from slimrun.plan.compile import Stage
    from slimrun.resolve.wheels import WheelSources
    from slimrun.settings import Settings

    Environ = tuple[tuple[str, str], ...]
    Named = tuple[tuple[str, str], ...]

# More files than these are named by what copies them: nobody reads a list of a thousand, and it is kept with each result.
NAMED_FILES = 200


def outside(stage: Stage, settings: Settings, environ: Environ, backend: str) -> Named:
    """What a stage's result depends on beyond its steps and inputs: files of this machine, and settings, each by name."""
    match stage.steps:
        case (InstallWheels() as step,):
            from slimrun.python.hostfiles import files_read, folders_read
            from slimrun.python.project import read_project

            given = step.constraints
            lines = (*step.lines, *((replace(given, text=f"-c {given.text}"),) if given else ()))
            files = (("file " + _short(path, step), _digest(path)) for path in files_read(lines))
            projects = tuple(
                (f"folder {_short(path, step)}", read_project(path, step.where).digest())
                for path in folders_read(lines)
            )
            builds = (settings.build.env, settings.epoch or 0) if step.builds or projects else ()
            given_builds = (("build.env and SOURCE_DATE_EPOCH", digest_of(builds)),) if builds else ()
            return (*files, *projects, ("the package index", digest_of(indexes(step, environ).urls)), *given_builds)
        case (CopyFiles() as step,):
            from slimrun.assemble.files import copy_files

            tree = copy_files(step.copies).tree
            if len(tree) > NAMED_FILES:
                return (("a file that `files` copies", tree.digest()),)
            return tuple((f"file {path}", digest_of(entry.row()[:-1])) for path, entry in tree.items())
        case (WriteImage(),):
            return (("SOURCE_DATE_EPOCH", str(settings.epoch or 0)),)
        case (Verify(),):
            return (("the backend", backend),)
        case (InstallBuilder() | TakeSource() | Configure() | Make() | Install(),):
            return (("build.env", digest_of(settings.build.env)),)
        case (ResolveImage() | ResolveDebian(), *_):
            states = {step.reference: _state(step.reference) for step in stage.steps if isinstance(step, ResolveImage)}
            return (
                ("the backend", backend),
                ("mirrors.images", digest_of(settings.mirrors.images)),
                *((f"file {name}", " ".join(state)) for name, state in states.items() if state),
            )
    return ()


def _short(path: Path, step: InstallWheels) -> str:
    """A file's name as the recipe has it."""
    base = step.lines[0].base if step.lines else Path()
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _digest(path: Path) -> str:
    """The sha256 of a file, which may be a wheel of gigabytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _state(reference: str) -> tuple[str, ...]:
    """What tells whether an image in a file was written anew; nothing for an image of a registry."""
    from slimrun.recipe.reference import is_file, split_file

    if not is_file(reference):
        return ()
    path = Path(split_file(reference)[1])
    index = path / "index.json" if path.is_dir() else path
    facts = index.stat() if index.exists() else None
    return (str(facts.st_mtime_ns), str(facts.st_size)) if facts else ("nothing there",)


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


def pusher(settings: Settings, cache: Cache, emit: Emit, environ: Environ) -> Pusher:
    """How images get into registries; no mirror counts, since what is pushed goes where it says. Raises NotCached offline."""
    from slimrun.oci.auth import find_login
    from slimrun.oci.push import Pusher

    if settings.offline:
        msg = "the image was not pushed, and this run may not ask its registry"
        raise NotCached(msg, hint="run without --offline, or with --skip-tags push")
    known = dict(environ)
    straight = network(replace(settings, mirrors=Mirrors()))
    return Pusher(straight, cache, emit, lambda registry: find_login(registry, known))


def repository(address: str, settings: Settings, cache: Cache, emit: Emit, environ: Environ) -> Repository:
    """A git repository, as slim.yaml and the person's own configuration reach it."""
    from slimrun.fetch.git import Repository

    reached = replace(network(settings), mirrors=settings.mirrors.git)
    return Repository(address, network=reached, cache=cache, emit=emit, environ=dict(environ), offline=settings.offline)


def network(settings: Settings) -> Network:
    """How the world is reached; raises RequirementNotMet where build.ca_certificates is no such file."""
    from slimrun.fetch.authorities import trusted
    from slimrun.fetch.index import pypi_mirror
    from slimrun.fetch.network import Network

    return Network(
        mirrors=pypi_mirror(settings.mirrors.pypi) if settings.mirrors.pypi else (),
        ca_bundle=trusted(settings.build.ca_certificates),
        proxy=settings.build.proxy,
    )
