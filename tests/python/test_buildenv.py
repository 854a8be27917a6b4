"""What is laid down in a builder: an environment of files, whose scripts run by its own python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sdistmaker import project
from tests.treetext import content, tree
from wheelmaker import contents, pack, pin_of, with_record

from slimrun.errors import FileConflict, WheelNotFound
from slimrun.python.buildenv import VENV, environment, variables, workplace
from slimrun.python.buildsystem import BuildSystem
from slimrun.python.target import target_of
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.plan.pins import WheelPin
    from slimrun.python.interpreter import Interpreter

WHY = Why(rule="build", text="the build requires it")
SITE = f"{VENV}/lib/python3.11/site-packages"


def wheel(folder: Path, name: str, files: dict[str, bytes], tag: str = "py3-none-any") -> tuple[WheelPin, Path, Why]:
    members = contents(name, "1.0", files, tag=tag)
    if "tool" in name:
        members[f"{name}-1.0.dist-info/entry_points.txt"] = b"[console_scripts]\ntool = tool:main\n"
    path = folder / f"{name}-1.0-{tag}.whl"
    path.write_bytes(pack(with_record(members)))
    return pin_of(path), path, WHY


@pytest.mark.parametrize("debian", [False, True])
def test_an_environment(debian: bool, interpreter: Callable[..., Interpreter], cache: Cache, tmp_path: Path) -> None:
    python = interpreter(debian=debian)
    wheels = [wheel(tmp_path, "tool", {"tool.py": b"def main(): ..."})]
    found = content(environment(wheels, python, target_of(python, (2, 36)), cache))
    home = "/usr" if debian else "/usr/local"
    assert found[f"{VENV}/pyvenv.cfg"].splitlines() == [
        f"home = {home}/bin",
        "include-system-site-packages = false",
        "version = 3.11.2",
    ]
    assert found[f"{VENV}/bin/python"] == f"symlink {home}/bin/python3.11"
    assert found[f"{VENV}/bin/python3"] == found[f"{VENV}/bin/python3.11"] == "symlink python"
    assert found[f"{SITE}/tool.py"] == "def main(): ..."
    assert found[f"{VENV}/bin/tool"].startswith(f"#!{VENV}/bin/python\n")
    assert not [path for path in found if not path.startswith(f"{VENV}/")]


def test_it_is_made_once(interpreter: Callable[..., Interpreter], cache: Cache, tmp_path: Path) -> None:
    python = interpreter()
    pin, path, why = wheel(tmp_path, "tool", {"tool.py": b"1"})
    first = environment([(pin, path, why)], python, target_of(python, (2, 36)), cache)
    path.unlink()
    assert environment([(pin, path, why)], python, target_of(python, (2, 36)), cache) == first
    assert environment([], python, target_of(python, (2, 36)), cache) != first


def test_wheels_for_something_else(interpreter: Callable[..., Interpreter], cache: Cache, tmp_path: Path) -> None:
    python = interpreter()
    wrong = wheel(tmp_path, "ext", {"ext.so": b""}, tag="cp39-cp39-linux_x86_64")
    with pytest.raises(WheelNotFound, match=r"for CPython 3\.9"):
        environment([wrong], python, target_of(python, (2, 36)), cache)


def test_two_that_write_one_file(interpreter: Callable[..., Interpreter], cache: Cache, tmp_path: Path) -> None:
    python = interpreter()
    both = [wheel(tmp_path, name, {"same.py": b""}) for name in ("a", "b")]
    with pytest.raises(FileConflict, match=r"a 1.0 and b 1.0 both write"):
        environment(both, python, target_of(python, (2, 36)), cache)


def test_a_workplace() -> None:
    sources = tree({f"/{name}": data for name, data in project("x", "1.0").items()})
    system = BuildSystem(requires=("a",), backend="own", path=("", "tools"))
    found = workplace("x-1.0", sources, system, ("a", "b"), tree({f"{VENV}/pyvenv.cfg": b""}))
    assert json.loads(found.read("/slimrun/request.json")) == {
        "sources": "/slimrun/src/x-1.0",
        "backend": "own",
        "path": ["", "tools"],
        "given": ["a", "b"],
    }
    assert {"/slimrun/driver.py", "/slimrun/src/x-1.0/own.py", f"{VENV}/pyvenv.cfg"} <= set(found)


def test_time_is_never_before_zip_archives() -> None:
    assert dict(variables(0))["SOURCE_DATE_EPOCH"] == "315532800"
    assert dict(variables(1_700_000_000))["SOURCE_DATE_EPOCH"] == "1700000000"
