"""The ten stages of an image, in order: this page is the whole program.

Each is a function of what earlier stages gave and of the context; what it takes and gives are plain, picklable values. A
revision is raised when a stage's meaning changes, so that results of an older slimrun are not taken for its. The rooms are
imported where they are used: a run in which all is cached loads none of them, which is half of its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from slimrun import outside as reach
from slimrun.errors import NotCached
from slimrun.events import Warned
from slimrun.plan.building import ResolveCommit, TakeBuilt
from slimrun.plan.compile import BUILDING
from slimrun.plan.part import Part
from slimrun.plan.steps import (
    CopyFiles,
    InstallWheels,
    PruneTree,
    ResolveDebian,
    ResolveImage,
    TakePython,
    UnpackPackages,
    UnpackPython,
    Verify,
    WriteImage,
)
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slimrun.assemble.assemble import Assembled
    from slimrun.backend.base import Backend, ImageSource
    from slimrun.cache.store import Cache
    from slimrun.debian.archive import Archive
    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Supply
    from slimrun.events import Emit
    from slimrun.fetch.git import Repository
    from slimrun.plan.building import BuildPart, InstallBuilder
    from slimrun.plan.compile import Stage
    from slimrun.plan.pins import CommitPin, ImagePin
    from slimrun.plan.steps import Step
    from slimrun.prune.prune import Pruned
    from slimrun.python.install import Distribution
    from slimrun.python.prefix import BaseBuild
    from slimrun.report.report import Report
    from slimrun.resolve.builder import Builder
    from slimrun.resolve.debian import Packages
    from slimrun.resolve.pins import Pins
    from slimrun.settings import Settings
    from slimrun.verify.checks import Verified


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every stage may use; `environ` is the process's environment, for pip's and Docker's own settings."""

    settings: Settings
    cache: Cache
    backend: Backend
    emit: Emit
    environ: tuple[tuple[str, str], ...]

    @property
    def archive(self) -> Archive:
        """How Debian's archive is reached."""
        return reach.archive(self.settings, self.cache, self.emit)

    def repository(self, address: str) -> Repository:
        """A git repository, reached as slim.yaml says."""
        return reach.repository(address, self.settings, self.cache, self.emit, self.environ)

    @cached_property
    def facts(self) -> Facts:
        """What is known of ELF files, each content read once in a run."""
        from slimrun.elf.facts import Facts

        return Facts()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What a stage function answers with where it ran and found that all of it was there: the task is `ok`."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """What the wheels stage gives; `supply` is what the libraries of wheels that were built come from."""

    part: Part = field(default_factory=Part)
    distributions: tuple[Distribution, ...] = ()
    supply: Supply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a stage starts from: its own steps, the image's tags, and the results of the stages it reads."""

    image: str
    tags: tuple[str, ...]
    key: str
    stage: Stage
    results: Mapping[str, Any]

    @property
    def step(self) -> Step:
        """The stage's one step."""
        return self.stage.steps[0]

    @property
    def pins(self) -> Pins:
        """What resolve gave."""
        return cast("Pins", self.results["resolve"])

    @property
    def base(self) -> ImagePin:
        """The base build's image, for recipes that have one."""
        return cast("ImagePin", self.pins.base)

    @property
    def packages(self) -> Packages | None:
        """What packages gave, None where the recipe names none."""
        return cast("Packages | None", self.results.get("packages"))

    @property
    def builder(self) -> Builder | None:
        """The builder as the stage before this one left it; None where nothing is built."""
        found = [name for name in self.stage.reads if name in BUILDING and name in self.results]
        return cast("Builder", self.results[found[-1]]) if found else None

    @property
    def wheel_builder(self) -> Builder | None:
        """Where wheels are built, as far as it is: the base build's own image or builder, else an image for this alone."""
        from slimrun.resolve.builder import Builder

        found, base = (
            self.results.get("toolchain") or self.results.get("install"),
            self.pins.base or self.pins.wheel_builder,
        )
        return cast("Builder", found) if found else Builder(base=base) if base else None

    @property
    def build(self) -> BaseBuild:
        """What python gave."""
        return cast("BaseBuild", self.results["python"])

    @property
    def wheels(self) -> Wheels:
        """What wheels gave, or nothing where the recipe has none."""
        return cast("Wheels", self.results.get("wheels") or Wheels())

    @property
    def files(self) -> Part:
        """What files gave, or nothing where the recipe has none."""
        return cast("Part", self.results.get("files") or Part())

    @property
    def pruned(self) -> Pruned:
        """What prune gave."""
        return cast("Pruned", self.results["prune"])

    @property
    def assembled(self) -> Assembled:
        """What assemble gave."""
        return cast("Assembled", self.results["assemble"])


def resolve(given: Given, context: Context) -> Pins:
    """Settle which images and Debian packages the recipe's references mean."""
    from slimrun.resolve.cpython import pin_commit
    from slimrun.resolve.images import resolve_images
    from slimrun.resolve.pins import Pins

    images = resolve_images([step for step in given.stage.steps if isinstance(step, ResolveImage)], context.backend)
    base, runtime = images.get("base build") or images.get("builder"), images.get("runtime")
    found = base or runtime
    platform = found.platform if found else context.backend.platform()
    pins = Pins(base=base, runtime=runtime, platform=platform, wheel_builder=images.get("wheel builder"))
    for commit in (step for step in given.stage.steps if isinstance(step, ResolveCommit)):
        pins = replace(pins, commit=pin_commit(commit, context.repository))
    steps = [step for step in given.stage.steps if isinstance(step, ResolveDebian)]
    return _pin_debian(pins, steps, context) if steps else pins


def _pin_debian(pins: Pins, steps: Sequence[ResolveDebian], context: Context) -> Pins:
    """The pins with Debian's packages; a suite that the recipe leaves open is the base build's."""
    from slimrun.resolve.debian import pin_packages, suite_of

    archive, suite = context.archive, next((step.suite for step in steps if step.suite), None)
    for step in steps:
        if suite is None and pins.base is not None:
            suite = suite_of(context.backend.open_image(pins.base), step)
        found = pin_packages(step, step.suite or suite or "", pins.platform, archive)
        pins = replace(pins, python=found) if step.role == "base build" else replace(pins, packages=found)
    return pins


def compile_part(given: Given, context: Context) -> Builder | Unchanged:
    """One more part of compiling CPython: builder packages, source, configure, make, install."""
    from slimrun.resolve.builder import Builder
    from slimrun.resolve.cpython import extend

    part, before = cast("BuildPart", given.step), given.builder or Builder(base=given.base)
    anew, commit = context.settings.no_cache, cast("CommitPin", given.pins.commit)
    after, made = extend(part, before, commit, context.backend, context.repository, anew=anew, emit=context.emit)
    return after if made else Unchanged(after)


def python(given: Given, context: Context) -> BaseBuild:
    """Take CPython, and what its libraries come from, out of the base build."""
    if isinstance(given.step, TakeBuilt):
        from slimrun.resolve.cpython import take_built

        return take_built(given.step, cast("Builder", given.builder), context.backend)
    if isinstance(given.step, UnpackPython):
        from slimrun.resolve.debian import unpack_python

        return unpack_python(given.step, given.pins.python, context.archive)
    from slimrun.resolve.images import take_python

    return take_python(cast("TakePython", given.step), given.base, context.backend)


def packages(given: Given, context: Context) -> Packages:
    """Unpack the Debian packages that the recipe names."""
    from slimrun.resolve.debian import unpack_packages

    return unpack_packages(cast("UnpackPackages", given.step), given.pins.packages, context.archive)


def toolchain(given: Given, context: Context) -> Builder | Unchanged:
    """Install what builds of wheels need in their builder."""
    from slimrun.resolve.workshop import equip

    before = cast("Builder", given.wheel_builder)
    after, made = equip(before, cast("InstallBuilder", given.step), context.backend, anew=context.settings.no_cache)
    return after if made else Unchanged(after)


def wheels(given: Given, context: Context) -> Wheels:
    """Settle, download or build, and install wheels for the base build's interpreter."""
    from slimrun.resolve.images import open_runtime
    from slimrun.resolve.wheels import install_all

    step = cast("InstallWheels", given.step)
    if context.settings.offline:
        msg = "the wheels are not in the cache, and this run may not ask the index"
        raise NotCached(msg, hint="run once without --offline", where=step.where)
    sources = reach.wheel_sources(step, context.settings, context.cache, context.emit, context.backend, context.environ)
    runtime = open_runtime(given.pins, context.backend).tree
    installed, supply = install_all(step, given.build, runtime, sources, given.wheel_builder, given.key)
    for text in installed.flags:
        context.emit(Warned(text=text))
    part = Part(tree=installed.tree, whys=tuple(sorted(installed.whys.items())))
    return Wheels(part=part, distributions=installed.distributions, supply=supply)


def files(given: Given, context: Context) -> Part:
    """Copy what the recipe names out of its repository."""
    from slimrun.assemble.files import copy_files, keep_bytes

    with context.cache.pack(given.key) as pack:
        return keep_bytes(copy_files(cast("CopyFiles", given.step).copies), pack)


def prune(given: Given, context: Context) -> Pruned:
    """Decide what is kept, and strip it."""
    from slimrun.prune.globs import literal_folder
    from slimrun.prune.prune import prune_trees
    from slimrun.prune.stripping import strip_layers
    from slimrun.resolve.images import open_runtime

    step = cast("PruneTree", given.step)
    runtime = open_runtime(given.pins, context.backend)
    folders = sorted({literal_folder(glob.text) for glob in step.keep} - {"/"})
    source = _base_image(given, context) if folders else None
    result = prune_trees(
        given.build,
        given.wheels.part,
        given.files,
        runtime.tree,
        step,
        base_env=runtime.config.env,
        extra_supply=source.tree(folders) if source else Tree(),
        facts=context.facts,
        packages=given.packages.part if given.packages else None,
        package_supply=given.packages.supply if given.packages else None,
        package_owners=given.packages.owners if given.packages else None,
        wheel_supply=given.wheels.supply,
    )
    if not step.strip:
        return result
    with context.cache.pack(given.key) as pack:
        return strip_layers(result, pack, context.facts)


def _base_image(given: Given, context: Context) -> ImageSource | None:
    """The image that the base build came out of; None where it came out of packages."""
    if given.builder is not None:
        return context.backend.build(given.builder.base, given.builder.steps).image
    return context.backend.open_image(given.base) if given.pins.base else None


def assemble(given: Given, context: Context) -> Assembled:
    """Write layers and config."""
    from slimrun.assemble.assemble import write_image
    from slimrun.resolve.images import open_runtime

    return write_image(
        given.pruned,
        open_runtime(given.pins, context.backend),
        given.build.interpreter,
        cast("WriteImage", given.step),
        platform=given.pins.platform,
        epoch=context.settings.epoch or 0,
        cache=context.cache,
    )


def verify(given: Given, context: Context) -> Verified:
    """Check the image's files, load it, run it, and only then give it its tags."""
    from slimrun.verify.checks import Verified, raise_failed, run_checks, static_checks, untried
    from slimrun.verify.policy import policy_checks

    step, backend = cast("Verify", given.step), context.backend
    checks, warnings = static_checks(given.assembled, given.pruned, step, context.facts)
    checks += policy_checks(given.assembled, step.rules)
    raise_failed(checks)
    finished = given.assembled.finished(given.tags)
    image = backend.load(finished)
    try:
        checks += run_checks(image, given.assembled, given.pruned, step, backend)
        raise_failed(checks)
        backend.tag(image, finished)
    except BaseException:
        if not context.settings.keep_failed:
            backend.discard(image)
        raise
    for text in untried(checks):
        context.emit(Warned(text=text))
    return Verified(checks=checks, warnings=(*warnings, *untried(checks)))


def report(given: Given, context: Context) -> Report:
    """Write down what the image holds and why; the JSON is a record of the cache, by the image's digest."""
    from slimrun.report.report import make_report, to_json

    verified = cast("Verified", given.results["verify"])
    made = make_report(
        given.image,
        given.tags,
        given.pins.images,
        given.pins.commits,
        given.wheels.distributions,
        given.pruned,
        given.assembled,
        verified.checks,
        verified.warnings,
    )
    context.cache.save("report", given.assembled.digest, to_json(made))
    return made


def push(_given: Given, _context: Context) -> None:
    """Push to a registry; not yet."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A stage's function, and the revision of its meaning."""

    function: Callable[[Given, Context], Any]
    revision: int = 1


WORKERS: dict[str, Worker] = {
    "resolve": Worker(resolve),
    **{name: Worker(compile_part) for name in BUILDING},
    "python": Worker(python),
    "packages": Worker(packages),
    "toolchain": Worker(toolchain),
    "wheels": Worker(wheels, revision=2),
    "files": Worker(files),
    "prune": Worker(prune),
    "assemble": Worker(assemble),
    "verify": Worker(verify),
    "report": Worker(report, 3),
    "push": Worker(push),
}
