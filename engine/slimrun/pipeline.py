"""The ten stages of an image, in order: this page is the whole program.

Each is a function of what earlier stages gave and of the context; what it takes and gives are plain, picklable values. A
revision is raised when a stage's meaning changes, so that results of an older slimrun are not taken for its. The rooms are
imported where they are used: a run in which all is cached loads none of them, which is half of its time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from slimrun import __version__
from slimrun import outside as reach
from slimrun.errors import NotCached
from slimrun.events import Warned
from slimrun.given import Context, Given, Unchanged
from slimrun.plan.building import ResolveCommit, TakeBuilt
from slimrun.plan.compile import BUILDING
from slimrun.plan.digest import digest_of
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
    from collections.abc import Callable, Sequence

    from slimrun.assemble.assemble import Assembled
    from slimrun.backend.base import ImageSource, Layered
    from slimrun.oci.push import Pushed
    from slimrun.plan.building import BuildPart, InstallBuilder
    from slimrun.plan.part import Part
    from slimrun.plan.pins import CommitPin
    from slimrun.prune.common import Common
    from slimrun.prune.prune import Pruned
    from slimrun.python.prefix import BaseBuild
    from slimrun.report.report import Report
    from slimrun.resolve.builder import Builder
    from slimrun.resolve.debian import Packages
    from slimrun.resolve.installed import Wheels
    from slimrun.resolve.pins import Pins
    from slimrun.verify.checks import Verified


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

        return take_built(given.step, cast("Builder", given.builder), context.backend, context.emit)
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
    after, made = equip(
        before, cast("InstallBuilder", given.step), context.backend, anew=context.settings.no_cache, emit=context.emit
    )
    return after if made else Unchanged(after)


def wheels(given: Given, context: Context) -> Wheels:
    """Settle, download or build, and install wheels for the base build's interpreter."""
    from slimrun.resolve.wheels import install_all

    step = cast("InstallWheels", given.step)
    if context.settings.offline:
        msg = "the wheels are not in the cache, and this run may not ask the index"
        raise NotCached(msg, hint="run once without --offline", where=step.where)
    sources = reach.wheel_sources(step, context.settings, context.cache, context.emit, context.backend, context.environ)
    runtime = context.runtime(given.pins).tree
    return install_all(step, given.build, runtime, sources, given.wheel_builder, given.key)


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

    step = cast("PruneTree", given.step)
    runtime = context.runtime(given.pins)
    folders = sorted({literal_folder(glob.text) for glob in step.keep} - {"/"})

    def read(paths: Sequence[str]) -> Tree:
        source = _base_image(given, context) if paths else None
        return source.tree(paths) if source else Tree()

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
        wheel_supply=given.wheels.supply,
        shared=lambda make: cast("Common", context.shared("common", _common_key(given), make)),
    )
    if text := decided(result.closure.family):
        context.emit(Warned(text=text))
    for finding in result.findings:
        context.emit(Warned(text=str(finding)))
    # `files` are the user's, and in the cache.
    layers = (
        (name, tree if name == "files" else _kept(tree, context, strip=step.strip)) for name, tree in result.layers
    )
    result = replace(result, layers=tuple(layers))
    return result if step.bytecode == "drop" else _with_bytecode(result, runtime, step, given, context)


def _kept(tree: Tree, context: Context, *, strip: bool) -> Tree:
    """A layer with its bytes in the cache, stripped if `strip`, once for all images that have it."""
    from slimrun.prune.stripped import REVISION
    from slimrun.prune.stripping import is_held, keep_layer

    copied = tuple(path for path, entry in tree.files() if not is_held(entry, context.cache))
    key = digest_of((__version__, REVISION, strip, tree, copied))  # all that decides what is where in the pack

    def make() -> Tree:
        with context.cache.pack(key) as pack:
            return keep_layer(tree, pack, context.facts, context.cache, strip=strip)

    return cast("Tree", context.shared("kept", key, make)) if tree else tree


def _common_key(given: Given) -> str:
    """What decides all that images of one base build have in common when they are pruned."""
    keys = dict(given.keys)
    pins = (given.pins.base, given.pins.runtime, given.pins.platform)
    return digest_of(
        (__version__, WORKERS["prune"].revision, given.stage.steps, pins, keys["python"], keys.get("packages"))
    )


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


def _base_image(given: Given, context: Context) -> ImageSource | None:
    """The image that the base build came out of; None where it came out of packages."""
    if given.builder is not None:
        return context.backend.build(given.builder.base, given.builder.steps, emit=context.emit).image
    return context.backend.open_image(given.base) if given.pins.base else None


def assemble(given: Given, context: Context) -> Assembled:
    """Write layers and config."""
    from slimrun.assemble.assemble import write_image

    return write_image(
        given.pruned,
        context.runtime(given.pins),
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
    with ThreadPoolExecutor(1) as beside:  # an engine loads with all hands, and runs with one
        image = backend.load(finished)
        try:
            epoch = context.settings.epoch or 0
            proved = beside.submit(layers_as_checked, given.assembled, given.pruned, context.cache, epoch=epoch)
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
    **{name: Worker(compile_part) for name in BUILDING},
    "python": Worker(python, 2),
    "packages": Worker(packages),
    "toolchain": Worker(toolchain),
    "wheels": Worker(wheels, revision=2),
    "files": Worker(files),
    "prune": Worker(prune, 4),
    "assemble": Worker(assemble, 2),
    "verify": Worker(verify, 2),
    "report": Worker(report, 4),
    "push": Worker(push),
}
