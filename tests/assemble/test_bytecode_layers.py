"""Byte code in layers: names, reasons, RECORDs, and sources that go."""

from __future__ import annotations

import csv
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.images import OFFICIAL, PY, official, runtime
from tests.pruning import SITE, globs, place, prune
from tests.treetext import tree

from slimrun.assemble.bytecode import add_bytecode
from slimrun.cache.store import Cache
from slimrun.elf.model import Finding
from slimrun.python.bytecode import Compiled
from slimrun.python.interpreter import find_interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.prune.pruned import Pruned
    from slimrun.recipe.model import Bytecode
    from slimrun.tree.tree import Tree

RECORD = f"{SITE}/x-1.dist-info/RECORD"
WHEEL: dict[str, str | bytes] = {
    f"{SITE}/x/__init__.py": b"pass",
    f"{SITE}/x/deep/y.py": b"deep",
    f"{SITE}/x/broken.py": b"broken",
    RECORD: b"x/__init__.py,sha256=a,4\nx/deep/y.py,sha256=b,4\nx/broken.py,sha256=c,6\n../../../bin/x,,\nx-1.dist-info/RECORD,,\n",
}


@dataclass
class Fake:
    """Compiles whatever is not broken."""

    where: Any = field(default_factory=lambda: place(9))
    findings: list[Finding] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def compile(self, _pruned: Pruned, tree: Tree, paths: Sequence[str]) -> Compiled:
        self.asked += paths
        code = tuple((path, b"code of " + tree.read(path)) for path in paths if tree.read(path) != b"broken")
        return Compiled(tag="cpython-311", code=code)


def made(folder: Path, mode: Bytecode, **options: Any) -> tuple[Pruned, Fake]:
    pruned, fake = prune(WHEEL, {"/app/main.py": b"main"}, **options), Fake()
    compiler: Any = fake
    with Cache(folder).pack("pack") as pack:
        return add_bytecode(pruned, runtime, find_interpreter(official), mode, compiler, pack), fake


def rows(found: Pruned) -> list[list[str]]:
    return list(csv.reader(dict(found.layers)["wheels"].read(RECORD).decode().splitlines()))


def test_keep(tmp_path: Path) -> None:
    found, fake = made(tmp_path, "keep")
    layers, whys = dict(found.layers), dict(found.whys)
    assert fake.asked == sorted([f"{PY}/os.py", f"{PY}/ssl.py", *(path for path in WHEEL if path.endswith(".py"))])
    assert layers["python"].read(f"{PY}/__pycache__/ssl.cpython-311.pyc") == b"code of import _ssl"
    assert layers["wheels"].read(f"{SITE}/x/deep/__pycache__/y.cpython-311.pyc") == b"code of deep"
    assert f"{SITE}/x/__pycache__/broken.cpython-311.pyc" not in layers["wheels"]
    assert {f"{PY}/ssl.py", f"{SITE}/x/__init__.py"} <= set(layers["python"]) | set(layers["wheels"])
    assert list(layers["files"]) == ["/app/main.py"]
    path = f"{PY}/__pycache__/ssl.cpython-311.pyc"
    assert str(whys[path]).startswith(f"byte code of {PY}/ssl.py <- the standard library <- python.image")
    assert [row[0] for row in rows(found)] == [
        "x/__init__.py",
        "x/__pycache__/__init__.cpython-311.pyc",
        "x/deep/y.py",
        "x/deep/__pycache__/y.cpython-311.pyc",
        "x/broken.py",
        "../../../bin/x",
        "x-1.dist-info/RECORD",
    ]
    code = layers["wheels"][f"{SITE}/x/__pycache__/__init__.cpython-311.pyc"]
    digest = urlsafe_b64encode(bytes.fromhex(code.digest)).decode().rstrip("=")
    assert rows(found)[1][1:] == [f"sha256={digest}", str(code.size)]


def test_what_the_base_build_brought_is_not_told_as_gone_where_it_is_there(tmp_path: Path) -> None:
    path = f"{PY}/__pycache__/os.cpython-311.pyc"
    assert path in {item.path for item in prune(WHEEL).removed}
    found, _ = made(tmp_path, "keep")
    assert path not in {item.path for item in found.removed}
    assert dict(found.layers)["python"].read(path) == b"code of import os"


def test_only(tmp_path: Path) -> None:
    found, _ = made(tmp_path, "only")
    layers, whys = dict(found.layers), dict(found.whys)
    assert layers["python"].read(f"{PY}/ssl.pyc") == b"code of import _ssl"
    assert f"{PY}/ssl.py" not in layers["python"]
    assert f"{SITE}/x/broken.py" in layers["wheels"], "what does not compile stays a source"
    assert list(layers["files"]) == ["/app/main.py"], "what somebody wrote stays"
    gone = {item.path: item for item in found.removed}
    assert str(gone[f"{PY}/ssl.py"].why).startswith("prune.bytecode: only (x.yaml:9:1) <- the standard library")
    assert f"{PY}/ssl.py" not in whys
    assert [row[0] for row in rows(found)][:3] == ["x/__init__.pyc", "x/deep/y.pyc", "x/broken.py"]


def test_keep_beats_only(tmp_path: Path) -> None:
    found, _ = made(tmp_path, "only", keep=globs(f"{PY}/ssl.py"))
    python = dict(found.layers)["python"]
    assert f"{PY}/ssl.py" in python
    assert f"{PY}/__pycache__/ssl.cpython-311.pyc" in python


@pytest.mark.parametrize("mode", ["keep", "only"])
def test_a_link_to_a_module_is_a_module_too(mode: Bytecode, tmp_path: Path) -> None:
    """As Debian's _sysconfigdata__linux_x86_64-linux-gnu.py; one that leads to what stays is left alone."""
    build = OFFICIAL | {
        f"{PY}/alias.py": "symlink ssl.py",
        f"{PY}/away.py": "symlink /etc/away.py",
        "/etc/away.py": b"x",
    }
    found, _ = made(tmp_path, mode, build=build)
    python = dict(found.layers)["python"]
    if mode == "only":
        assert python[f"{PY}/alias.pyc"].target == "ssl.pyc"
        assert f"{PY}/alias.py" not in python
        assert f"{PY}/alias.py" in {item.path for item in found.removed}
    else:
        assert python[f"{PY}/__pycache__/alias.cpython-311.pyc"].target == "ssl.cpython-311.pyc"
        assert python[f"{PY}/alias.py"].target == "ssl.py"
    assert python[f"{PY}/away.py"].target == "/etc/away.py"


@pytest.mark.parametrize("mode", ["keep", "only"])
def test_every_path_has_a_reason(mode: Bytecode, tmp_path: Path) -> None:
    found, _ = made(tmp_path, mode)
    there = {path for _, tree in found.layers for path in tree}
    whys = dict(found.whys)
    assert there == set(whys)
    assert [path for path, why in whys.items() if not list(why.chain())[-1].where] == []
    assert there.isdisjoint({item.path for item in found.removed})


def test_findings_of_the_compiler_are_the_image_s(tmp_path: Path) -> None:
    fake = Fake(findings=[Finding(rule="bytecode", path="/p", text="by another")])
    compiler: Any = fake
    with Cache(tmp_path).pack("pack") as pack:
        found = add_bytecode(prune(), runtime, find_interpreter(official), "keep", compiler, pack)
    assert [str(item) for item in found.findings] == ["/p: by another [bytecode]"]


def test_a_source_that_another_layer_covers_is_compiled_once(tmp_path: Path) -> None:
    fake = Fake()
    compiler: Any = fake
    pruned = prune({f"{PY}/os.py": b"new"})
    with Cache(tmp_path).pack("pack") as pack:
        found = add_bytecode(pruned, runtime, find_interpreter(official), "keep", compiler, pack)
    layers = dict(found.layers)
    assert fake.asked == [f"{PY}/os.py", f"{PY}/ssl.py"]
    assert layers["wheels"].read(f"{PY}/__pycache__/os.cpython-311.pyc") == b"code of new"
    assert f"{PY}/__pycache__/os.cpython-311.pyc" not in layers["python"]


def test_nothing_to_compile(tmp_path: Path) -> None:
    fake = Fake()
    compiler: Any = fake
    pruned = prune(drop=globs(f"{PY}/*.py"))
    with Cache(tmp_path).pack("pack") as pack:
        assert add_bytecode(pruned, tree({}), find_interpreter(official), "only", compiler, pack) == pruned
