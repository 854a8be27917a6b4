"""slim.yaml: found by walking up, read, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from slimrun import __version__
from slimrun.errors import Problem, RecipeInvalid
from slimrun.recipe import read
from slimrun.recipe.cascade import with_built_in
from slimrun.recipe.document import Document, read_document
from slimrun.recipe.nodes import Mapping, Node, Scalar, at, without_nulls
from slimrun.recipe.places import recipe_file
from slimrun.recipe.problems import check, in_order
from slimrun.recipe.repository import folders_up
from slimrun.recipe.schema import as_text, load_schema, strict
from slimrun.recipe.slim_model import NO_DEFAULTS, Cache, Lint, Policy, Registry, Reports, Run, Slim
from slimrun.recipe.units import parse_duration, parse_size
from slimrun.settings import BuildSettings, DockerSettings, Mirrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slimrun.recipe.problems import Memory
    from slimrun.recipe.slim_model import Profile
    from slimrun.settings import BackendName, LockMode, Output, Pull

    MemoryOf = Callable[[Path | None], Memory]

FILE_NAME = "slim.yaml"


def find_slim(start: Path, *, config: Path | None = None) -> Path | None:
    """`config` if given, else the first slim.yaml from `start` up to the folder that holds `.git`, else None."""
    if config is not None:
        return config
    return next((folder / FILE_NAME for folder in folders_up(start) if (folder / FILE_NAME).is_file()), None)


def load_slim(path: Path, *, version: str = __version__, memory_of: MemoryOf | None = None) -> Slim:
    """slim.yaml's values, complete and checked; `version` is the running tool's, for `requires`.

    `memory_of` gives the memory (`problems.check`) of a cache by its folder: the one that is named here, else None's.

    Raises Invalid for a file that cannot be read and RecipeInvalid with all problems.
    """
    document = read_document(recipe_file(path))
    schema = load_schema("slim")
    written = read.mapping(without_nulls(as_text(document.root, schema)))
    defaults = _defaults(written)
    memory = memory_of(_named_cache(written, path.parent)) if memory_of else None
    problems = {*check(written, strict(schema), formats=True, memory=memory), *_check_defaults(defaults, memory)}
    problems |= {*_check_requires(written, version)}
    if problems:
        raise RecipeInvalid(in_order(problems, (document,)))
    return _slim(read.mapping(with_built_in(written, schema)), defaults, document, path.parent)


def _named_cache(root: Mapping, folder: Path) -> Path | None:
    """What `cache.dir` says, of a file that may yet be wrong."""
    named = at(root, ("cache", "dir"))
    return folder / named.value if isinstance(named, Scalar) and isinstance(named.value, str) else None


def _defaults(root: Mapping) -> Mapping:
    entry = root.find("defaults")
    found = entry.value if entry is not None else None
    return read.mapping(as_text(found, load_schema("recipe"))) if isinstance(found, Mapping) else NO_DEFAULTS


def _check_defaults(defaults: Mapping, memory: Memory | None) -> Iterator[Problem]:
    yield from check(defaults, load_schema("recipe"), formats=False, memory=memory)
    for key in ("extends", "name"):
        entry = defaults.find(key)
        if entry is not None:
            text = f"'{key}' belongs to one recipe, not to the defaults of all"
            yield Problem(where=entry.where, text=text, rule="not-a-default", hint="write it into the recipe")


def _check_requires(root: Mapping, version: str) -> Iterator[Problem]:
    entry = root.find("requires")
    wanted = entry.value.value if entry is not None and isinstance(entry.value, Scalar) else None
    if entry is None or not isinstance(wanted, str):
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier:
        return  # the format says it
    if not fits:
        text = f"this repository wants slimrun {wanted}, and this is {version}"
        hint = f"pip install 'slimrun{wanted}'"
        yield Problem(where=entry.value.where, text=text, rule="requires", hint=hint)


def _slim(root: Mapping, defaults: Mapping, document: Document, folder: Path) -> Slim:
    return Slim(
        document=document,
        requires=read.optional_text(root["requires"]),
        recipes=tuple(folder / name for name in read.texts(root["recipes"])),
        defaults=defaults,
        backend=cast("BackendName", read.text(root["backend"])),
        docker=_docker(read.mapping(root["docker"])),
        registry=_registry(read.mapping(root["registry"])),
        mirrors=_mirrors(read.mapping(root["mirrors"])),
        build=_build(read.mapping(root["build"]), folder),
        lock=cast("LockMode", read.text(root["lock"])),
        cache=_cache(read.mapping(root["cache"]), folder),
        run=_run(read.mapping(root["run"])),
        report=_reports(read.mapping(root["report"]), folder),
        lint=_lint(read.mapping(root["lint"])),
        policy=_policy(read.mapping(root["policy"])),
    )


def _docker(node: Mapping) -> DockerSettings:
    return DockerSettings(
        host=read.optional_text(node["host"]),
        context=read.optional_text(node["context"]),
        timeout=parse_duration(read.text(node["timeout"])),
        pull=cast("Pull", read.text(node["pull"])),
        network=read.optional_text(node["network"]),
    )


def _registry(node: Mapping) -> Registry:
    return Registry(prefix=read.optional_text(node["prefix"]), push=read.flag(node["push"]))


def _mirrors(node: Mapping) -> Mirrors:
    return Mirrors(
        pypi=read.optional_text(node["pypi"]),
        debian=read.optional_text(node["debian"]),
        git=read.pairs(node["git"]),
        images=read.pairs(node["images"]),
    )


def _build(node: Mapping, folder: Path) -> BuildSettings:
    return BuildSettings(
        ca_certificates=_path(node["ca_certificates"], folder),
        proxy=read.optional_text(node["proxy"]),
        env=read.pairs(node["env"]),
    )


def _cache(node: Mapping, folder: Path) -> Cache:
    return Cache(
        dir=_path(node["dir"], folder),
        max_size=_bytes(node["max_size"]),
        registry=read.optional_text(node["registry"]),
    )


def _run(node: Mapping) -> Run:
    timeout = node["timeout"]
    return Run(
        forks=read.number(node["forks"]),
        timeout=None if read.is_unset(timeout) else parse_duration(read.text(timeout)),
        output=cast("Output", read.text(node["output"])),
        dask=read.optional_text(node["dask"]),
    )


def _reports(node: Mapping, folder: Path) -> Reports:
    return Reports(dir=folder / read.text(node["dir"]), formats=read.texts(node["formats"]))


def _lint(node: Mapping) -> Lint:
    profile = cast("Profile", read.text(node["profile"]))
    return Lint(profile=profile, skip=read.texts(node["skip"]), warn=read.texts(node["warn"]))


def _policy(node: Mapping) -> Policy:
    images = node["allow_images"]
    return Policy(
        max_size=_bytes(node["max_size"]),
        allow_images=None if read.is_unset(images) else read.texts(images),
        forbid_root=read.flag(node["forbid_root"]),
        forbid_setuid=read.flag(node["forbid_setuid"]),
        forbid_shell=read.flag(node["forbid_shell"]),
    )


def _path(node: Node, folder: Path) -> Path | None:
    return None if read.is_unset(node) else folder / read.text(node)


def _bytes(node: Node) -> int | None:
    return None if read.is_unset(node) else parse_size(read.text(node))
