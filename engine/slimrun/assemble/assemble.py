"""Pruned trees → layers and config: the image, whose digest depends on nothing but what goes in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.assemble.kept import kept_layer
from slimrun.assemble.system import Lines, system_files
from slimrun.backend.assembled import Assembled
from slimrun.oci.config import Config, Health, Step, timestamp
from slimrun.oci.layer import Layer, whiteouts, with_parents
from slimrun.python.interpreter import DEFAULT_PATH
from slimrun.tree.tree import Tree
from slimrun.why import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.backend.base import Layered
    from slimrun.cache.store import Cache
    from slimrun.plan.steps import WriteImage
    from slimrun.prune.prune import Pruned
    from slimrun.python.interpreter import Interpreter
    from slimrun.recipe.model import Healthcheck, Pairs
    from slimrun.why import Why

__all__ = ["Assembled", "write_image"]

ANNOTATION = "org.opencontainers.image"
_NANOSECONDS = 1_000_000_000


def write_image(
    pruned: Pruned,
    base: Layered,
    step: WriteImage,
    *,
    platform: str,
    epoch: int,
    cache: Cache,
) -> Assembled:
    """Write the layers into the cache and the config that names them; every time is `epoch` (seconds)."""
    trees, interpreter = dict(pruned.layers), pruned.interpreter
    whole = base.tree.without(pruned.hidden).merge(*trees.values())
    files = dict(pruned.whys)
    base_why = setting("runtime", f"runtime: {step.runtime}", step.runtime_where, _line(files.get(interpreter.path)))
    user_why = setting("recipe", f"image.user: {step.image.user}", step.user_where, base_why)
    lines = Lines(user=user_why, runtime=base_why, files=files)
    system, whys = system_files(
        whole, pruned.closure, step.image.user, lines, interpreter=interpreter, features=pruned.features
    )
    trees["system"] = trees["system"].merge(system)
    whole = whole.merge(system)
    layers = [
        Layer(name="base", diff_id=diff_id, content=size)
        for diff_id, size in zip(base.config.diff_ids, base.sizes, strict=True)
    ]
    history = list(base.config.history)
    below = base.tree
    for name, tree in trees.items():
        gone = whiteouts(pruned.hidden) if name == "system" else Tree()
        content = with_parents(tree.merge(gone), below)
        if not content:
            continue
        layers.append(kept_layer(content, cache, name=name, epoch=epoch))
        history.append(Step(created_by=f"slimrun {name}", created=timestamp(epoch), comment=_comment(name, tree)))
        below = below.merge(tree)
    config = replace(
        _config(base.config, interpreter, step, platform, epoch),
        history=tuple(history),
        diff_ids=tuple(layer.diff_id for layer in layers),
    )
    return Assembled(
        config=config,
        layers=tuple(layers),
        tree=whole,
        whys=tuple(sorted(whys.items())),
        base_why=base_why,
        python=".".join(str(part) for part in interpreter.version if part is not None),
    )


def _line(why: Why | None) -> Why | None:
    """The end of a reason: the recipe's line."""
    return None if why is None else list(why.chain())[-1]


def _config(base: Config, interpreter: Interpreter, step: WriteImage, platform: str, epoch: int) -> Config:
    image = step.image
    os, architecture, *variant = platform.split("/")
    labels = {f"{ANNOTATION}.title": step.name}
    if step.description:
        labels[f"{ANNOTATION}.description"] = step.description
    env = {"PATH": DEFAULT_PATH} | dict(base.env)
    return Config(
        architecture=architecture,
        os=os,
        variant=variant[0] if variant else "",
        created=timestamp(epoch),
        env=tuple((env | dict(image.env)).items()),
        entrypoint=(interpreter.path,) if image.entrypoint is None else image.entrypoint,
        cmd=image.cmd,
        user=image.user,
        workdir=image.workdir,
        expose=tuple(sorted({*base.expose, *map(_port, image.expose)})),
        volumes=tuple(sorted({*base.volumes, *image.volumes})),
        labels=_merged(base.labels, labels, image.labels),
        stop_signal=image.stop_signal or base.stop_signal,
        health=None if image.healthcheck is None else _health(image.healthcheck),
    )


def _merged(base: Pairs, ours: Mapping[str, str], given: Pairs) -> Pairs:
    return tuple(sorted((dict(base) | dict(ours) | dict(given)).items()))


def _port(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"


def _health(check: Healthcheck) -> Health:
    def nanoseconds(seconds: float | None) -> int:
        return round((seconds or 0) * _NANOSECONDS)

    return Health(
        test=("CMD", *check.cmd),
        interval=nanoseconds(check.interval),
        timeout=nanoseconds(check.timeout),
        start_period=nanoseconds(check.start_period),
        retries=check.retries or 0,
    )


def _comment(name: str, tree: Tree) -> str:
    text = {
        "python": "CPython and the libraries it needs",
        "packages": "Debian packages",
        "wheels": "wheels and the libraries that only they need",
        "files": "files of the recipe",
        "system": "users, name service, the loader's cache",
    }[name]
    return f"{text}: {sum(1 for _ in tree.files())} files, {tree.size()} bytes"
