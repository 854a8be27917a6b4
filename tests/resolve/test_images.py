"""References to pins, and CPython out of an image that is never started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.images import OFFICIAL, PY, official, runtime
from tests.recording import Held, Recording
from tests.tinyelf import program
from tests.treetext import tree

from slimrun.cache.store import Cache
from slimrun.errors import ImageNotFound, PythonNotFound, Where
from slimrun.plan.steps import ResolveImage, TakePython
from slimrun.resolve.images import open_runtime, resolve_images, take_python
from slimrun.resolve.pins import Pins
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


def step(role: str, reference: str, line: int) -> ResolveImage:
    return ResolveImage(role=role, reference=reference, where=Where("x.yaml", line))


@pytest.fixture
def backend(tmp_path: Path) -> Recording:
    held = {
        "python": Held(tree=official),
        "busybox": Held(tree=runtime),
        "arm": Held(tree=runtime, platform="linux/arm64"),
    }
    return Recording(cache=Cache(tmp_path), images=held)


def test_each_reference_is_settled_once(backend: Recording) -> None:
    pins = resolve_images([step("base build", "python", 1), step("runtime", "busybox", 2)], backend)
    assert {role: (pin.reference, pin.platform) for role, pin in pins.items()} == {
        "base build": ("python", "linux/amd64"),
        "runtime": ("busybox", "linux/amd64"),
    }
    assert backend.calls == ["resolve python", "resolve busybox"]
    assert resolve_images([], backend) == {}


def test_errors_carry_the_place(backend: Recording) -> None:
    with pytest.raises(ImageNotFound, match="there is no image none") as caught:
        resolve_images([step("base build", "python", 1), step("runtime", "none", 7)], backend)
    assert caught.value.where == Where("x.yaml", 7)


def test_two_platforms(backend: Recording) -> None:
    with pytest.raises(ImageNotFound, match="python is for linux/amd64, arm for linux/arm64") as caught:
        resolve_images([step("base build", "python", 1), step("runtime", "arm", 7)], backend)
    assert caught.value.where == Where("x.yaml", 7)


def test_the_runtime(backend: Recording) -> None:
    (base, runtime_pin) = resolve_images(
        [step("base build", "python", 1), step("runtime", "busybox", 2)], backend
    ).values()
    assert open_runtime(Pins(base=base, runtime=runtime_pin, platform="linux/amd64"), backend).tree == runtime
    nothing = open_runtime(Pins(base=base, runtime=None, platform="linux/arm/v7"), backend)
    assert (nothing.tree, nothing.sizes) == (Tree(), ())
    assert (nothing.config.os, nothing.config.architecture) == ("linux", "arm")


TAKE = TakePython(image="python", where=Where("x.yaml", 4))
STRIPPED = {path: row for path, row in OFFICIAL.items() if not path.startswith("/usr/local")}
MOVED = {path.replace("/usr/local", "/opt/py"): row for path, row in OFFICIAL.items()}
SYSTEM = {path.replace("/usr/local", "/usr"): row for path, row in OFFICIAL.items()}


@pytest.mark.parametrize(
    ("rows", "env", "path"),
    [
        (OFFICIAL, (), "/usr/local/bin/python3.11"),
        (OFFICIAL, (("PATH", "/nothing:relative:/usr/local/bin"),), "/usr/local/bin/python3.11"),
        (MOVED, (("PATH", "/opt/py/bin:/usr/bin"),), "/opt/py/bin/python3.11"),
        (MOVED | {"/usr/local/bin/python3": "symlink /opt/py/bin/python3.11"}, (), "/opt/py/bin/python3.11"),
        (SYSTEM, (), "/usr/bin/python3.11"),
    ],
)
def test_the_first_python3_on_path(
    rows: dict[str, str | bytes], env: tuple[tuple[str, str], ...], path: str, backend: Recording
) -> None:
    backend.images["python"] = Held(tree=tree(rows), env=env)
    (pin,) = resolve_images([step("base build", "python", 1)], backend).values()
    build = take_python(TAKE, pin, backend)
    assert build.interpreter.path == path
    assert path in build.whys
    assert build.supply_name == "python"
    assert set(build.whys) <= set(build.supply)
    assert {list(why.chain())[-1].where for why in build.whys.values()} == {Where("x.yaml", 4)}


@pytest.mark.parametrize(
    ("rows", "env", "text"),
    [
        (STRIPPED, (), "python has no python3 in /usr/local/sbin:"),
        (OFFICIAL, (("PATH", "/usr/bin"),), "python has no python3 in /usr/bin"),
        (OFFICIAL | {"/usr/local/bin/python3.11": "file 0755 #!/bin/sh"}, (), "is not an ELF program"),
        ({"/usr/local/bin/python3": program()}, (), "standard library"),
    ],
)
def test_no_python(
    rows: dict[str, str | bytes], env: tuple[tuple[str, str], ...], text: str, backend: Recording
) -> None:
    backend.images["python"] = Held(tree=tree(rows), env=env)
    (pin,) = resolve_images([step("base build", "python", 1)], backend).values()
    with pytest.raises(PythonNotFound, match=text) as caught:
        take_python(TAKE, pin, backend)
    assert caught.value.where == Where("x.yaml", 4)
    assert caught.value.hint


def test_only_what_can_be_needed_is_read(backend: Recording) -> None:
    (pin,) = resolve_images([step("base build", "python", 1)], backend).values()
    build = take_python(TAKE, pin, backend)
    assert "/usr/share/zoneinfo/Europe/Berlin" not in build.supply
    assert f"{PY}/os.py" in build.supply
    assert build.supply["/lib64"].target == "usr/lib64"
