"""CPython out of a commit: the steps that compile it, what their failures mean, and the base build that they give."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from slimrun.backend.chain import BuildStep
from slimrun.errors import BuildFailed, ImageFailed, RepositoryNotFound, SlimrunError
from slimrun.events import Note
from slimrun.plan.building import Configure, Install, InstallBuilder, Make, TakeSource
from slimrun.plan.pins import CommitPin
from slimrun.python.interpreter import DEFAULT_PATH
from slimrun.python.lacking import lacking_in, needed_by, package_of
from slimrun.resolve.builder import built, explain_packages, install_packages
from slimrun.resolve.images import take_out_of
from slimrun.tree.entry import Kind
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from slimrun.backend.base import Backend
    from slimrun.errors import Where
    from slimrun.events import Emit
    from slimrun.fetch.git import Repository
    from slimrun.plan.building import BuildPart, ResolveCommit, TakeBuilt
    from slimrun.python.prefix import BaseBuild
    from slimrun.resolve.builder import Builder
    from slimrun.tree.tree import Tree

    Pairs = tuple[tuple[str, str], ...]

# One folder for all builds: its name gets into debug information and sysconfig.
FOLDER = "/usr/src/python"
PREFIX = "/usr/local"
OURS = (
    f"--prefix={PREFIX}",
    "--enable-option-checking=fatal",  # a flag that is misspelt would be a warning among 700 lines
    "--enable-loadable-sqlite-extensions",
    "--with-ensurepip=no",  # distributions come from `wheels` alone
)
_LIBPYTHON = {"static": "--disable-shared", "shared": "--enable-shared"}
_UNKNOWN = re.compile(r"configure: error: unrecognized options?: (.+)")
_FLAG = re.compile(r"--(?:enable|disable|with|without)-[a-z0-9-]+")


def pin_commit(step: ResolveCommit, repository: Callable[[str], Repository]) -> CommitPin:
    """The commit that a recipe's ref means; raises RefNotFound, GitUnreachable, with the ref's place."""
    with _placed(step.where):
        return CommitPin(repo=step.repo, ref=step.ref, commit=repository(step.repo).resolve(step.ref))


def extend(
    part: BuildPart,
    builder: Builder,
    pin: CommitPin,
    backend: Backend,
    repository: Callable[[str], Repository],
    *,
    anew: bool,
    emit: Emit,
) -> tuple[Builder, bool]:
    """The builder with one part more, and whether that had to be made.

    Raises BuildFailed and what is clearer than that, with the place in the recipe.
    """
    if isinstance(part, TakeSource):
        with _placed(part.where):
            found = repository(pin.repo).source(pin.commit, pin.ref, FOLDER)
        _check_source(found.tree, part)
        builder = replace(builder, epoch=found.time)
        step = BuildStep(name="source", tree=found.tree)
    else:
        step = _step(part, builder.epoch, _prefix(builder))
    steps = (*builder.steps, step)
    try:
        result = built(backend, builder.base, steps, anew=anew, emit=emit)
        if isinstance(part, Make) and not _log(result.logs, step.name).is_file():
            result = built(backend, builder.base, steps, anew=True, emit=emit)  # it says which modules are lacking
    except BuildFailed as error:
        raise _explain(error, part, builder) from error
    builder = replace(builder, steps=steps, key=result.key)
    if isinstance(part, Make):
        text = _log(result.logs, step.name).read_text(encoding="utf-8", errors="replace")
        builder = replace(builder, lacking=lacking_in(text))
        if builder.lacking:
            emit(Note(text=_lacking_text(builder.lacking), level=0))
    return builder, step.name in result.made


def take_built(step: TakeBuilt, builder: Builder, backend: Backend, emit: Emit) -> BaseBuild:
    """CPython and its supply out of the finished builder; raises ImageFailed where a module that must import was not built."""
    _check_imports(step, builder)
    image = built(backend, builder.base, builder.steps, emit=emit).image
    prefix = _prefix(builder)
    path = DEFAULT_PATH if prefix == PREFIX else f"{prefix}/bin:{DEFAULT_PATH}"
    why = Why(rule="recipe", text=f"python.git: {step.ref}", where=step.where)
    return take_out_of(image, builder.base, name=f"the builder of {step.ref}", path=path, why=why, where=step.where)


@contextmanager
def _placed(where: Where) -> Iterator[None]:
    """Errors without a place get this one."""
    try:
        yield
    except SlimrunError as error:
        error.where = error.where or where
        raise


def _lacking_text(lacking: Sequence[str]) -> str:
    """Which extension modules were not built, and what usually brings each."""
    names = [f"{name} ({package})" if (package := package_of(name)) else name for name in lacking]
    return f"extension modules that were not built: {', '.join(names)}"


def _step(part: InstallBuilder | Configure | Make | Install, epoch: int, prefix: str) -> BuildStep:
    match part:
        case InstallBuilder(packages=packages):
            return install_packages(packages)
        case Configure(libpython=libpython, flags=flags, env=env):
            argv = ("./configure", *OURS, _LIBPYTHON[libpython], *(flag.text for flag in flags))
            return BuildStep(name="configure", commands=(argv,), env=_env(env, epoch), workdir=FOLDER)
        case Make(env=env, jobs=jobs):
            hints = (("MAKEFLAGS", f"-j{jobs or '{cores}'}"),)
            return BuildStep(name="make", commands=(("make",),), env=_env(env, epoch), hints=hints, workdir=FOLDER)
        case Install(env=env):
            commands = (
                # Byte code is not wanted (prune drops it, or makes it anew): with --help, three levels of it take no time.
                ("sed", "-i", "s|/compileall.py|/compileall.py --help|", "Makefile"),
                # Nor are the tests, as in official images: a thousand files, each copied by a process of its own.
                ("make", "install", "TESTSUBDIRS="),
                # A prefix of the recipe's own is on no list of folders: named here, its libpython is in the loader's cache.
                ("ldconfig",) if prefix == PREFIX else ("ldconfig", f"{prefix}/lib"),
            )
            hints = (("MAKEFLAGS", "-j{cores}"),)
            return BuildStep(name="install", commands=commands, env=_env(env, epoch), hints=hints, workdir=FOLDER)


def _env(given: Pairs, epoch: int) -> Pairs:
    """Times and hashes as they are in every build, then the recipe's own."""
    ours = {"LC_ALL": "C", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(epoch)}
    return tuple(sorted((ours | dict(given)).items()))


def _prefix(builder: Builder) -> str:
    """Where it was installed: the last --prefix wins."""
    flags = [word for step in builder.steps if step.name == "configure" for word in step.commands[0]]
    given = [flag.partition("=")[2].rstrip("/") for flag in flags if flag.startswith("--prefix=")]
    return given[-1] if given else PREFIX


def _log(logs: tuple[tuple[str, Path], ...], name: str) -> Path:
    return dict(logs)[name]


def _check_source(tree: Tree, part: TakeSource) -> None:
    program = tree.stat(f"{FOLDER}/configure")
    if program is None or program.kind is not Kind.FILE or tree.stat(f"{FOLDER}/Include/patchlevel.h") is None:
        msg = f"{part.ref} is not CPython: it has no ./configure and Include/patchlevel.h"
        raise RepositoryNotFound(msg, where=part.where, hint="check python.git.repo and ref")


def _check_imports(step: TakeBuilt, builder: Builder) -> None:
    for item in step.imports:
        for name in builder.lacking:
            if item.text.partition(".")[0] == name or needed_by(item.text, name):
                package = package_of(name)
                msg = f"verify.imports names {item.text}, whose extension module {name} was not built"
                hint = f"add {package} to python.git.packages" if package else "the log of `make` says why"
                raise ImageFailed(msg, where=item.where, hint=hint)


def _explain(error: BuildFailed, part: BuildPart, builder: Builder) -> SlimrunError:
    match part:
        case InstallBuilder(packages=packages, where=where):
            return explain_packages(error, packages, builder.base.reference, where)
        case Configure():
            return _explain_configure(error, part, builder)
    return error


def _explain_configure(error: BuildFailed, part: Configure, builder: Builder) -> SlimrunError:
    found = next((match for line in error.lines if (match := _UNKNOWN.search(line))), None)
    if found is None:
        error.where = error.where or part.where
        return error
    unknown = [flag.strip() for flag in found[1].split(",")]
    place = next((flag.where for flag in part.flags if flag.text.partition("=")[0] in unknown), part.where)
    source = next(step.tree for step in builder.steps if step.tree is not None)
    known = sorted({*_FLAG.findall(source.read(f"{FOLDER}/configure").decode("utf-8", "replace"))})
    near = [word for flag in unknown for word in get_close_matches(flag, known, 1)]
    msg = f"CPython's configure does not know {', '.join(unknown)}"
    hint = f"did you mean {' and '.join(near)}? " if near else ""
    return ImageFailed(msg, where=place, hint=f"{hint}all that it printed is in {error.log}")
