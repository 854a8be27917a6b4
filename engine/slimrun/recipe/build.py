"""A complete, valid tree → the Recipe; nothing is checked here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from slimrun.recipe import read
from slimrun.recipe.model import (
    Bytecode,
    Debian,
    FileCopy,
    Healthcheck,
    Image,
    Level,
    Libpython,
    Origin,
    Pip,
    Prune,
    Python,
    PythonDebian,
    PythonGit,
    PythonImage,
    Recipe,
    Text,
    Verify,
    VerifyRun,
    Wheel,
)
from slimrun.recipe.nodes import Mapping, Node, Scalar, Sequence, plain, walk
from slimrun.recipe.reference import from_folder, repository
from slimrun.recipe.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slimrun.errors import Where


def build_recipe(root: Mapping, source: Path, prefix: str | None, line: Callable[[Where], str]) -> Recipe:
    """The Recipe of a tree that has every key of the schema; `line` gives the text at a place."""
    name = read.optional_text(root["name"]) or source.stem
    tag = f"{prefix.rstrip('/')}/{name}:latest" if prefix else f"{name}:latest"
    return Recipe(
        name=name,
        description=read.text(root["description"]),
        source=source,
        python=_python(read.mapping(root["python"]), source),
        python_where=_place(root, "python"),
        wheels=tuple(_wheel(item, source) for item in read.items(root["wheels"])),
        pip=_pip(read.mapping(root["pip"]), source),
        debian=None if read.is_unset(root["debian"]) else _debian(read.mapping(root["debian"])),
        files=tuple(_file(read.mapping(item), source) for item in read.items(root["files"])),
        runtime=from_folder(read.text(root["runtime"]), _base(root["runtime"], source)),
        runtime_where=_place(root, "runtime"),
        prune=_prune(read.mapping(root["prune"])),
        image=_image(read.mapping(root["image"]), tag),
        verify=_verify(read.mapping(root["verify"])),
        platforms=read.texts(root["platforms"]),
        origins=tuple(
            Origin(key=key, where=where, source=line(where), value=_json(node))
            for key, where, node in walk(root)
            if not read.is_unset(node)
        ),
    )


def _json(node: Node) -> str:
    holds = (isinstance(node, Mapping) and node.entries) or (isinstance(node, Sequence) and node.items)
    return "" if holds else json.dumps(plain(node), ensure_ascii=False)


def _place(root: Mapping, key: str) -> Where:
    return next(entry.where for entry in root.entries if entry.key == key)


def _base(node: Node, source: Path) -> Path:
    return node.base if isinstance(node, Scalar) and node.base is not None else source.parent


def _python(node: Mapping, source: Path) -> Python:
    if not read.is_unset(node["image"]):
        return PythonImage(image=from_folder(read.text(node["image"]), _base(node["image"], source)))
    if not read.is_unset(node["git"]):
        return _git(read.mapping(node["git"]), source)
    debian = read.mapping(node["debian"])
    return PythonDebian(
        suite=read.text(debian["suite"]),
        package=read.text(debian["package"]),
        snapshot=read.optional_text(debian["snapshot"]),
    )


def _git(node: Mapping, source: Path) -> PythonGit:
    return PythonGit(
        ref=read.text(node["ref"]),
        repo=repository(read.text(node["repo"]), _base(node["repo"], source)),
        libpython=cast("Libpython", read.text(node["libpython"])),
        configure=read.texts(node["configure"]),
        builder=from_folder(read.text(node["builder"]), _base(node["builder"], source)),
        packages=read.texts(node["packages"]),
        env=read.pairs(node["env"]),
        jobs=read.optional_number(node["jobs"]),
    )


def _wheel(node: Node, source: Path) -> Wheel:
    return Wheel(text=read.text(node), where=node.where, base=_base(node, source))


def _pip(node: Mapping, source: Path) -> Pip:
    constraints = node["constraints"]
    return Pip(
        index=read.optional_text(node["index"]),
        extra_index=read.texts(node["extra_index"]),
        constraints=None if read.is_unset(constraints) else Text(text=read.text(constraints), where=constraints.where),
        from_source=read.placed(node["from_source"]),
        build_packages=read.placed(node["build_packages"]),
        base=_base(constraints, source),
    )


def _debian(node: Mapping) -> Debian:
    return Debian(
        packages=read.placed(node["packages"]),
        suite=read.optional_text(node["suite"]),
        snapshot=read.optional_text(node["snapshot"]),
    )


def _file(node: Mapping, source: Path) -> FileCopy:
    return FileCopy(
        source=read.optional_text(node["from"]),
        to=read.text(node["to"]),
        mode=read.optional_text(node["mode"]),
        owner=read.text(node["owner"]),
        exclude=read.texts(node["exclude"]),
        where=node.where,
        base=_base(node["from"], source),
    )


def _prune(node: Mapping) -> Prune:
    return Prune(
        level=cast("Level", read.text(node["level"])),
        keep=read.globs(node["keep"]),
        drop=read.globs(node["drop"]),
        libraries=read.placed(node["libraries"]),
        features=None if read.is_unset(node["features"]) else read.placed(node["features"]),
        strip=read.optional_flag(node["strip"]),
        bytecode=cast("Bytecode", read.text(node["bytecode"])),
        dedupe=read.flag(node["dedupe"]),
        trace=read.optional_text(node["trace"]),
    )


def _image(node: Mapping, default_tag: str) -> Image:
    health = node["healthcheck"]
    return Image(
        tags=(default_tag,) if read.is_unset(node["tags"]) else read.texts(node["tags"]),
        entrypoint=None if read.is_unset(node["entrypoint"]) else read.texts(node["entrypoint"]),
        cmd=read.texts(node["cmd"]),
        env=read.pairs(node["env"]),
        user=read.text(node["user"]),
        workdir=read.text(node["workdir"]),
        expose=read.texts(node["expose"]),
        volumes=read.texts(node["volumes"]),
        labels=read.pairs(node["labels"]),
        stop_signal=read.optional_text(node["stop_signal"]),
        healthcheck=None if read.is_unset(health) else _healthcheck(read.mapping(health)),
    )


def _healthcheck(node: Mapping) -> Healthcheck:
    return Healthcheck(
        cmd=read.texts(node["cmd"]),
        interval=_seconds(node["interval"]),
        timeout=_seconds(node["timeout"]),
        start_period=_seconds(node["start_period"]),
        retries=read.optional_number(node["retries"]),
    )


def _seconds(node: Node) -> float | None:
    return None if read.is_unset(node) else parse_duration(read.text(node))


def _verify(node: Mapping) -> Verify:
    size = node["max_size"]
    return Verify(
        imports=read.placed(node["imports"]),
        run=tuple(_run(read.mapping(item)) for item in read.items(node["run"])),
        max_size=None if read.is_unset(size) else parse_size(read.text(size)),
    )


def _run(node: Mapping) -> VerifyRun:
    return VerifyRun(
        cmd=read.texts(node["cmd"]),
        stdout=read.optional_text(node["stdout"]),
        exit=read.number(node["exit"]),
        env=read.pairs(node["env"]),
        network=read.flag(node["network"]),
        timeout=parse_duration(read.text(node["timeout"])),
        where=node.where,
    )
