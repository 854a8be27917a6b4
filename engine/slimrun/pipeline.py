"""The ten stages of an image, in order: this page is the whole program.

Each is a function of what earlier stages gave and of the context; what it takes and gives are plain, picklable values. A
revision is raised when a stage's meaning changes, so that results of an older slimrun are not taken for its. The rooms are
imported where they are used: a run in which all is cached loads none of them, which is half of its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from slimrun import outside as reach
from slimrun.errors import NotCached
from slimrun.events import Warned
from slimrun.memo import Memo
from slimrun.plan.part import Part
from slimrun.plan.steps import (
    CopyFiles,
    InstallWheels,
    PruneTree,
    PushImage,
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
    from slimrun.backend.base import Backend, Layered
    from slimrun.cache.store import Cache
    from slimrun.deadline import Deadline
    from slimrun.debian.archive import Archive
    from slimrun.elf.facts import Facts
    from slimrun.events import Emit
    from slimrun.oci.push import Pushed
    from slimrun.plan.compile import Stage
    from slimrun.plan.pins import ImagePin
    from slimrun.plan.steps import Step
    from slimrun.prune.prune import Pruned
    from slimrun.python.install import Distribution
    from slimrun.python.prefix import BaseBuild
    from slimrun.report.report import Report
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
    memo: Memo = field(default_factory=Memo)
    deadline: Deadline | None = None

    @property
    def archive(self) -> Archive:
        """How Debian's archive is reached."""
        return reach.archive(self.settings, self.cache, self.emit)

    def runtime(self, pins: Pins) -> Layered:
        """The runtime base, read once for all images that stand on it."""
        from slimrun.resolve.images import open_runtime

        name = pins.runtime.digest if pins.runtime else pins.platform
        return cast("Layered", self.memo.once(f"runtime {name}", lambda: open_runtime(pins, self.backend)))

    @property
    def facts(self) -> Facts:
        """What is known of ELF files, each content read once in a run."""
        return self.memo.facts(self.cache)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What a stage function answers with where it ran and found that all of it was there: the task is `ok`."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """What the wheels stage gives."""

    part: Part = field(default_factory=Part)
    distributions: tuple[Distribution, ...] = ()


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
        """What resolve gave, as far as the stage may see it: the rest is not in its key."""
        return cast("Pins", self.results["resolve"]).without(*self.stage.blind)

    @property
    def base(self) -> ImagePin:
        """The base build's image, for recipes that have one."""
        return cast("ImagePin", self.pins.base)

    @property
    def packages(self) -> Packages | None:
        """What packages gave, None where the recipe names none."""
        return cast("Packages | None", self.results.get("packages"))

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
    from slimrun.resolve.images import resolve_images
    from slimrun.resolve.pins import Pins

    images = resolve_images([step for step in given.stage.steps if isinstance(step, ResolveImage)], context.backend)
    base, runtime = images.get("base build"), images.get("runtime")
    found = base or runtime
    pins = Pins(base=base, runtime=runtime, platform=found.platform if found else context.backend.platform())
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


def python(given: Given, context: Context) -> BaseBuild:
    """Take CPython, and what its libraries come from, out of the base build."""
    if isinstance(given.step, UnpackPython):
        from slimrun.resolve.debian import unpack_python

        return unpack_python(given.step, given.pins.python, context.archive)
    from slimrun.resolve.images import take_python

    return take_python(cast("TakePython", given.step), given.base, context.backend)


def packages(given: Given, context: Context) -> Packages:
    """Unpack the Debian packages that the recipe names."""
    from slimrun.resolve.debian import unpack_packages

    return unpack_packages(cast("UnpackPackages", given.step), given.pins.packages, context.archive)


def wheels(given: Given, context: Context) -> Wheels:
    """Settle, download and install wheels for the base build's interpreter."""
    from slimrun.python.install import install_wheels
    from slimrun.python.interpreter import glibc_version
    from slimrun.python.target import target_of
    from slimrun.python.wheels import explain_wheels, fetch_wheels, resolve_wheels

    step = cast("InstallWheels", given.step)
    interpreter, cache, indexes = given.build.interpreter, context.cache, reach.indexes(step, context.environ)
    network = reach.network(context.settings).knowing(indexes.urls)
    if context.settings.offline:
        msg = "the wheels are not in the cache, and this run may not ask the index"
        raise NotCached(msg, hint="run once without --offline", where=step.lines[0].where)
    runtime = context.runtime(given.pins)
    versions = [version for tree in (given.build.supply, runtime.tree) if (version := glibc_version(tree))]
    glibc = max(versions, default=None)
    pins = resolve_wheels(
        step.lines,
        interpreter,
        glibc,
        indexes=indexes,
        network=network,
        cache=cache,
        emit=context.emit,
        constraints=step.constraints,
    )
    fetched = fetch_wheels(pins, network=network, cache=cache, emit=context.emit)
    with cache.pack(given.key) as pack:
        explained = explain_wheels(step.lines, fetched, interpreter)
        installed = install_wheels(explained, interpreter, pack, target=target_of(interpreter, glibc))
    for text in installed.flags:
        context.emit(Warned(text=text))
    part = Part(tree=installed.tree, whys=tuple(sorted(installed.whys.items())))
    return Wheels(part=part, distributions=installed.distributions)


def files(given: Given, context: Context) -> Part:
    """Copy what the recipe names out of its repository."""
    from slimrun.assemble.files import copy_files, keep_bytes

    with context.cache.pack(given.key) as pack:
        return keep_bytes(copy_files(cast("CopyFiles", given.step).copies), pack)


def prune(given: Given, context: Context) -> Pruned:
    """Decide what is kept, and strip it."""
    from slimrun.elf.decision import decided
    from slimrun.prune.globs import literal_folder
    from slimrun.prune.prune import prune_trees
    from slimrun.prune.stripping import strip_layers

    step = cast("PruneTree", given.step)
    runtime = context.runtime(given.pins)
    folders = sorted({literal_folder(glob.text) for glob in step.keep} - {"/"})

    def read(paths: Sequence[str]) -> Tree:
        return context.backend.open_image(given.base).tree(paths) if paths and given.pins.base else Tree()

    result = prune_trees(
        given.build,
        given.wheels.part,
        given.files,
        runtime.tree,
        step,
        base_env=runtime.config.env,
        extra_supply=read(folders),
        facts=context.facts,
        packages=given.packages.part if given.packages else None,
        package_supply=given.packages.supply if given.packages else None,
        package_owners=given.packages.owners if given.packages else None,
        read=read,
    )
    if text := decided(result.closure.family):
        context.emit(Warned(text=text))
    for finding in result.findings:
        context.emit(Warned(text=str(finding)))
    if step.strip:
        with context.cache.pack(given.key) as pack:
            result = strip_layers(result, pack, context.facts, context.cache)
    return result if step.bytecode == "drop" else _with_bytecode(result, runtime, step, given, context)


def _with_bytecode(pruned: Pruned, runtime: Layered, step: PruneTree, given: Given, context: Context) -> Pruned:
    """What was pruned with byte code, in a pack of its own: the bytes of what was stripped must be there to be run."""
    from slimrun.assemble.bytecode import add_bytecode
    from slimrun.assemble.compiler import Compiler

    interpreter = given.build.interpreter
    compiler = Compiler(
        interpreter,
        runtime,
        context.backend,
        context.cache,
        platform=given.pins.platform,
        where=step.bytecode_where or step.level_where,
        environ=dict(context.environ),
    )
    with context.cache.pack(f"{given.key}.bytecode") as pack:
        result = add_bytecode(pruned, runtime.tree, interpreter, step.bytecode, compiler, pack)
    for finding in compiler.findings:
        context.emit(Warned(text=str(finding)))
    return result


def assemble(given: Given, context: Context) -> Assembled:
    """Write layers and config."""
    from slimrun.assemble.assemble import write_image

    return write_image(
        given.pruned,
        context.runtime(given.pins),
        given.build.interpreter,
        cast("WriteImage", given.step),
        platform=given.pins.platform,
        epoch=context.settings.epoch or 0,
        cache=context.cache,
    )


def verify(given: Given, context: Context) -> Verified:
    """Check the image's files, load it, run it, and only then give it its tags."""
    from concurrent.futures import ThreadPoolExecutor

    from slimrun.verify.checks import Verified, raise_failed, run_checks, static_checks, untried
    from slimrun.verify.policy import policy_checks
    from slimrun.verify.proof import layers_as_checked, provenance

    step, backend = cast("Verify", given.step), context.backend
    checks, warnings = static_checks(given.assembled, given.pruned, step, context.facts)
    checks += (provenance(given.assembled, given.pruned), *policy_checks(given.assembled, step.rules))
    raise_failed(checks)
    finished = given.assembled.finished(given.tags)
    with ThreadPoolExecutor(1) as beside:  # most of the time is the engine's, loading and running
        epoch = context.settings.epoch or 0
        proved = beside.submit(layers_as_checked, given.assembled, given.pruned, context.cache, epoch=epoch)
        image = backend.load(finished)
        try:
            checks += run_checks(image, given.assembled, given.pruned, step, backend, context.deadline)
            if context.deadline:
                context.deadline.check()
            checks += (proved.result(),)
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
        given.pins,
        given.wheels.distributions,
        given.pruned,
        given.assembled,
        verified.checks,
        verified.warnings,
    )
    context.cache.save("report", given.assembled.digest, to_json(made))
    return made


def push(given: Given, context: Context) -> Pushed:
    """Push a verified image under its names."""
    pusher = reach.pusher(context.settings, context.cache, context.emit, context.environ)
    return pusher.push(given.assembled.config, cast("PushImage", given.step).names, given.pins.runtime)


@dataclass(frozen=True, slots=True)
class Worker:
    """A stage's function, and the revision of its meaning."""

    function: Callable[[Given, Context], Any]
    revision: int = 1


WORKERS: dict[str, Worker] = {
    "resolve": Worker(resolve),
    "python": Worker(python),
    "packages": Worker(packages),
    "wheels": Worker(wheels),
    "files": Worker(files),
    "prune": Worker(prune, 3),
    "assemble": Worker(assemble, 2),
    "verify": Worker(verify, 2),
    "report": Worker(report, 3),
    "push": Worker(push),
}
