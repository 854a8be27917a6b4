"""Pruned trees → layers and config; what of the base is inherited, what is ours, what the recipe says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.images import INTERPRETER
from tests.treetext import content, tree

from slimrun.assemble.assemble import write_image
from slimrun.backend.base import Layered
from slimrun.cache.store import Cache
from slimrun.elf.model import Closure
from slimrun.errors import Where
from slimrun.oci.config import Config, Health, Step
from slimrun.oci.layer import write_layer
from slimrun.plan.steps import WriteImage
from slimrun.prune.pruned import Pruned
from slimrun.recipe.model import Healthcheck, Image
from slimrun.tree.layers import apply_layers
from slimrun.tree.tar import read_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.backend.assembled import Assembled

BASE = tree(
    {
        "/etc/passwd": b"root:x:0:0:::\n",
        "/etc/group": b"root:x:0:\n",
        "/etc/nsswitch.conf": b"x",
        "/tmp": "dir 1777",
        "/lib": "dir 0750 owner 1:2",
        "/lib/libold.so": b"old",
        "/lib/libc.so.6": b"libc",
    }
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def write(
    cache: Cache, layers: dict[str, Tree], *, image: Image | None = None, base: Any = None, **facts: Any
) -> Assembled:
    layer = write_layer(BASE, cache, name="base", epoch=0)
    config = base or Config(architecture="other")
    pruned = Pruned(
        **{
            "layers": tuple({"python": Tree(), "wheels": Tree(), "files": Tree(), "system": Tree(), **layers}.items()),
            "whys": (), "removed": (), "roots": (), "also": (), "closure": Closure(), "interpreter": INTERPRETER, **facts,
        }
    )  # fmt: skip
    step = WriteImage(
        name="x", description="d", runtime="busybox", runtime_where=Where("x.yaml", 3), image=image or Image(user="0")
    )
    return write_image(
        pruned,
        Layered(config=replace(config, diff_ids=(layer.diff_id,)), sizes=(layer.content,), tree=BASE),
        step,
        platform="linux/arm64/v8",
        epoch=1_700_000_000,
        cache=cache,
    )


def read(made: Assembled, cache: Cache) -> Tree:
    return apply_layers(read_tar(cache.blob_path(diff_id)) for diff_id in made.config.diff_ids)


def test_empty_layers_are_left_out(cache: Cache) -> None:
    made = write(cache, {"files": tree({"/app/a": b"a"})})
    assert [layer.name for layer in made.layers] == ["base", "files"]
    assert [step.created_by for step in made.config.history] == ["slimrun files"]
    assert made.size == BASE.size() + 1
    assert write(cache, {}).config.diff_ids == made.config.diff_ids[:1]


def test_the_tree_is_what_the_layers_make(cache: Cache) -> None:
    layers = {
        "python": tree({"/usr/bin/python3": b"py", "/lib/libz.so": b"z"}),
        "wheels": tree({"/usr/lib/w.py": b"w", "/lib/libz.so": b"newer"}),
        "files": tree({"/app": "dir 0700", "/app/a": b"a"}),
        "system": tree({"/lib/libc.so.6": b"newer libc"}),
    }
    made = write(cache, layers, image=Image(user="5:6"), hidden=("/lib/libold.so",))
    found = read(made, cache)
    assert {path: row for path, row in content(found).items() if path in made.tree} == content(made.tree)
    assert "/lib/libold.so" not in found
    assert found["/lib"].dump() == "dir 0750 owner 1:2", "a layer that only hides something does not change its folder"
    assert found["/app"].mode == 0o700
    assert set(dict(made.whys)) == {"/etc/passwd", "/etc/group"}
    assert str(made.base_why) == "runtime: busybox (x.yaml:3)"


def test_a_layer_that_only_hides(cache: Cache) -> None:
    made = write(cache, {}, hidden=("/lib/libold.so",))
    assert [layer.name for layer in made.layers] == ["base", "system"]
    assert content(read(made, cache)) == content(BASE.without(["/lib/libold.so"]))


FULL_BASE = Config(
    architecture="other", env=(("A", "base"), ("B", "base")), entrypoint=("sh",), cmd=("-i",), user="base", workdir="/base",
    expose=("1/tcp",), volumes=("/base",), labels=(("a", "base"), ("b", "base")), stop_signal="SIGQUIT",
    health=Health(test=("CMD", "base")), history=(Step(created_by="base"),),
)  # fmt: skip


def test_what_is_inherited(cache: Cache) -> None:
    found = write(cache, {}, base=FULL_BASE).config
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert found.env == (("PATH", path), ("A", "base"), ("B", "base"))
    assert (found.entrypoint, found.cmd, found.user, found.workdir) == (("/usr/local/bin/python3.11",), (), "0", "/")
    assert (found.expose, found.volumes, found.stop_signal, found.health) == (("1/tcp",), ("/base",), "SIGQUIT", None)
    assert dict(found.labels) == {
        "a": "base",
        "b": "base",
        "org.opencontainers.image.title": "x",
        "org.opencontainers.image.description": "d",
    }
    assert (found.architecture, found.variant, found.created) == ("arm64", "v8", "2023-11-14T22:13:20Z")
    assert found.history == (Step(created_by="base"),)


def test_what_the_recipe_says_comes_first(cache: Cache) -> None:
    image = Image(
        entrypoint=(), cmd=("x",), env=(("B", "ours"), ("PATH", "/p")), user="0:0", workdir="/app", expose=("80", "53/udp", "1"),
        volumes=("/v",), labels=(("a", "ours"), ("org.opencontainers.image.title", "ours")), stop_signal="SIGINT",
        healthcheck=Healthcheck(cmd=("y",), interval=1.5, timeout=None, retries=3),
    )  # fmt: skip
    found = write(cache, {}, base=FULL_BASE, image=image).config
    assert found.env == (("PATH", "/p"), ("A", "base"), ("B", "ours"))
    assert (found.entrypoint, found.cmd, found.user, found.workdir) == ((), ("x",), "0:0", "/app")
    assert (found.expose, found.volumes, found.stop_signal) == (
        ("1/tcp", "53/udp", "80/tcp"),
        ("/base", "/v"),
        "SIGINT",
    )
    assert dict(found.labels)["a"] == dict(found.labels)["org.opencontainers.image.title"] == "ours"
    assert found.health == Health(test=("CMD", "y"), interval=1_500_000_000, retries=3)
