"""Recipe → Plan: the stages of one image, in order, each with what it does and which earlier results it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.elf.tokens import HEEDED
from slimrun.errors import BUILT_IN
from slimrun.plan.building import ResolveCommit, TakeBuilt
from slimrun.plan.compiling import building, git_place
from slimrun.plan.steps import (
    CopyFiles,
    InstallWheels,
    PruneTree,
    PushImage,
    ResolveDebian,
    ResolveImage,
    Step,
    TakePython,
    UnpackPackages,
    UnpackPython,
    Verify,
    WriteImage,
    WriteReport,
)
from slimrun.plan.toolchain import resolve_builder, toolchain
from slimrun.recipe.builds import builds_wheels
from slimrun.recipe.model import SCRATCH, PythonDebian, PythonGit, PythonImage, Text, Wheel

if TYPE_CHECKING:
    from slimrun.errors import Where
    from slimrun.recipe.model import Recipe
    from slimrun.recipe.policy import Rule

STAGES = (
    "resolve",
    "python",
    "packages",
    "wheels",
    "files",
    "prune",
    "assemble",
    "verify",
    "report",
    "push",
)
# Before `python`, and shown as a part of it, where CPython is compiled.
BUILDING = ("builder", "source", "configure", "make", "install")
# Before `wheels`, and shown as a part of it, where wheels are built with packages of their own.
TOOLCHAIN = "toolchain"
_STRIPPING = ("small", "tiny")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of one image; a stage without steps has nothing to do and is skipped.

    `reads` are the stages whose results it takes. Of what `resolve` gave it does not see the fields `blind`, so that they are no
    part of its key: another runtime does not make CPython anew.
    """

    name: str
    steps: tuple[Step, ...]
    reads: tuple[str, ...]
    blind: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The stage of STAGES that it belongs to, by which people know it."""
        if self.name == TOOLCHAIN:
            return "wheels"
        return "python" if self.name in BUILDING else self.name

    @property
    def title(self) -> str:
        """What it does in a few words, for `TASK [name : title]`."""
        return ", ".join(str(step) for step in self.steps) or "nothing to do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that will be done for one image; it knows no digests, as nothing has been looked up."""

    image: str
    tags: tuple[str, ...]
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        """The stage with this name."""
        return next(stage for stage in self.stages if stage.name == name)


def compile_plan(recipe: Recipe, rules: tuple[Rule, ...] = (), *, push: bool = False) -> Plan:
    """The plan of a valid recipe, whether or not this version can carry it out; `rules` are the repository's policy."""
    steps: dict[str, tuple[Step, ...]] = {
        "resolve": _images(recipe),
        **building(recipe),
        "python": _python(recipe),
        "packages": _packages(recipe),
        **toolchain(recipe),
        "wheels": _wheels(recipe),
        "files": (CopyFiles(copies=recipe.files),) if recipe.files else (),
        "prune": (_prune(recipe),),
        "assemble": (
            WriteImage(
                name=recipe.name,
                description=recipe.description,
                runtime=recipe.runtime,
                runtime_where=recipe.runtime_where,
                image=recipe.image,
                user_where=_place(recipe, "image", "user") or BUILT_IN,
            ),
        ),
        "verify": (_verify(recipe, rules),),
        "report": (WriteReport(),),
        "push": (PushImage(names=recipe.image.tags),) if push else (),
    }
    reads = {
        **{name: ("resolve", *BUILDING[number - 1 : number]) for number, name in enumerate(BUILDING) if number},
        "builder": ("resolve",),
        "python": ("resolve", "install"),
        "packages": ("resolve",),
        TOOLCHAIN: ("resolve", "install"),
        "wheels": ("resolve", "install", "python", TOOLCHAIN),
        "prune": ("resolve", "install", "python", "packages", "wheels", "files"),
        "assemble": ("resolve", "wheels", "prune"),
        "verify": ("prune", "assemble"),
        "report": ("resolve", "wheels", "prune", "assemble", "verify"),
        "push": ("resolve", "assemble", "verify"),
    }
    blind = {
        **dict.fromkeys(BUILDING, ("runtime", "packages", "python", "wheel_builder")),
        "builder": ("runtime", "packages", "python", "wheel_builder", "commit"),
        "python": ("runtime", "packages", "wheel_builder"),
        "toolchain": ("runtime", "packages", "python", "commit"),
        "packages": ("base", "runtime", "python", "commit", "wheel_builder"),
        "wheels": ("python", "packages"),
        "prune": ("python", "packages", "wheel_builder"),
        "assemble": ("base", "python", "packages", "commit", "wheel_builder"),
    }
    parts = {"python": BUILDING, "wheels": (TOOLCHAIN,)}
    names = [name for stage in STAGES for name in (*parts.get(stage, ()), stage)]
    names = [name for name in names if name in steps or name in STAGES]
    stages = (
        Stage(
            name=name,
            steps=steps.get(name, ()),
            reads=tuple(item for item in reads.get(name, ()) if item in names),
            blind=blind.get(name, ()),
        )
        for name in names
    )
    return Plan(image=recipe.name, tags=recipe.image.tags, stages=tuple(stages))


def _images(recipe: Recipe) -> tuple[Step, ...]:
    found: list[Step] = []
    match recipe.python:
        case PythonImage(image=image):
            found.append(ResolveImage(role="base build", reference=image, where=recipe.python_where))
        case PythonGit(builder=builder):
            where = git_place(recipe, "builder")
            found.append(ResolveImage(role="builder", reference=builder, where=where))
            found.append(ResolveCommit(repo=recipe.python.repo, ref=recipe.python.ref, where=git_place(recipe, "ref")))
        case PythonDebian(suite=suite, package=package, snapshot=snapshot):
            features = recipe.prune.features
            found.append(
                ResolveDebian(
                    role="base build",
                    packages=(Text(text=package, where=recipe.python_where),),
                    suite=suite,
                    snapshot=snapshot,
                    where=recipe.python_where,
                    features=None if features is None else tuple(sorted({item.text for item in features})),
                )
            )
    found += resolve_builder(recipe)
    if recipe.runtime != SCRATCH:
        found.append(ResolveImage(role="runtime", reference=recipe.runtime, where=recipe.runtime_where))
    if recipe.debian is not None:
        found.append(
            ResolveDebian(
                role="packages",
                packages=recipe.debian.packages,
                suite=recipe.debian.suite,
                snapshot=recipe.debian.snapshot,
                where=recipe.debian.packages[0].where,
            )
        )
    return tuple(found)


def _python(recipe: Recipe) -> tuple[Step, ...]:
    match recipe.python:
        case PythonImage(image=image):
            return (TakePython(image=image, where=recipe.python_where),)
        case PythonDebian(suite=suite, package=package):
            return (UnpackPython(package=Text(text=package, where=recipe.python_where), suite=suite),)
        case PythonGit(ref=ref, builder=builder):
            return (TakeBuilt(ref=ref, builder=builder, imports=recipe.verify.imports, where=recipe.python_where),)


def _packages(recipe: Recipe) -> tuple[Step, ...]:
    return (UnpackPackages(packages=recipe.debian.packages),) if recipe.debian else ()


def _wheels(recipe: Recipe) -> tuple[Step, ...]:
    if not recipe.wheels and not recipe.pip.from_source:
        return ()
    pip, given = recipe.pip, recipe.pip.constraints
    constraints = None if given is None else Wheel(text=given.text, where=given.where, base=pip.base)
    return (
        InstallWheels(
            lines=recipe.wheels,
            index=pip.index,
            extra_index=pip.extra_index,
            constraints=constraints,
            from_source=pip.from_source,
            builds=builds_wheels(recipe),
        ),
    )


def _prune(recipe: Recipe) -> Step:
    prune, level = recipe.prune, recipe.origin("prune", "level")
    return PruneTree(
        level=prune.level,
        level_where=level.where if level else recipe.python_where,
        keep=prune.keep,
        drop=prune.drop,
        libraries=prune.libraries,
        features=prune.features,
        bytecode=prune.bytecode,
        bytecode_where=None if prune.bytecode == "drop" else _place(recipe, "prune", "bytecode"),
        dedupe=prune.dedupe,
        strip=prune.level in _STRIPPING if prune.strip is None else prune.strip,
        environ=tuple(pair for pair in recipe.image.env if pair[0] in HEEDED),
    )


def _verify(recipe: Recipe, rules: tuple[Rule, ...]) -> Step:
    return Verify(
        imports=recipe.verify.imports,
        runs=recipe.verify.run,
        max_size=recipe.verify.max_size,
        max_size_where=_place(recipe, "verify", "max_size"),
        volumes=recipe.image.volumes,
        rules=rules,
    )


def _place(recipe: Recipe, *key: str | int) -> Where | None:
    origin = recipe.origin(*key)
    return origin.where if origin else None
