"""The driver as the builder runs it: a Python of its own, a folder with a request, a backend."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from sdistmaker import project

from slimrun.python.buildenv import driver_text

if TYPE_CHECKING:
    from pathlib import Path

ASKS = "\ndef get_requires_for_build_wheel(config=None):\n    return ['more>=1', 'given']\n"
NOSY = "\nimport os, sys\nprint('path', sys.path[0], 'argv', len(sys.argv), 'cwd', os.getcwd(), 'umask', oct(os.umask(0o22)))\n"


def run(folder: Path, files: dict[str, bytes], **request: object) -> subprocess.CompletedProcess[str]:
    sources = folder / "src"
    for name, data in files.items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes(data)
    (folder / "driver.py").write_text(driver_text())
    wanted = {"sources": str(sources), "backend": "own", "path": [""], "given": [], **request}
    (folder / "request.json").write_text(json.dumps(wanted))
    argv = [sys.executable, "-s", str(folder / "driver.py")]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")


def test_a_wheel(tmp_path: Path) -> None:
    done = run(tmp_path, project("x", "1.0", more=NOSY))
    assert done.returncode == 0, done.stderr
    src = tmp_path / "src"
    assert done.stdout == f"path {src} argv 1 cwd {src} umask 0o22\n"
    (wheel,) = (tmp_path / "out").iterdir()
    assert wheel.name == "x-1.0-py3-none-any.whl"
    assert "x/__init__.py" in zipfile.ZipFile(wheel).namelist()


def test_what_is_lacking_is_said_and_nothing_built(tmp_path: Path) -> None:
    done = run(tmp_path, project("x", "1.0", more=ASKS), given=["given"])
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["requires.json"]
    assert json.loads((tmp_path / "out/requires.json").read_text()) == ["more>=1"]


def test_with_all_of_it_the_wheel_is_built(tmp_path: Path) -> None:
    done = run(tmp_path, project("x", "1.0", more=ASKS), given=["given", "more>=1"])
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x-1.0-py3-none-any.whl"]


def test_an_object_of_a_module(tmp_path: Path) -> None:
    files = project(
        "x", "1.0", more="\nclass Outer:\n    class inner:\n        build_wheel = staticmethod(build_wheel)\n"
    )
    done = run(tmp_path, files, backend="own:Outer.inner")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize(
    ("request_", "says"),
    [({"backend": "nosuch"}, "No module named 'nosuch'"), ({"backend": "own:nosuch"}, "no attribute 'nosuch'")],
)
def test_a_backend_that_is_not_there_ends_the_build(request_: dict[str, str], says: str, tmp_path: Path) -> None:
    done = run(tmp_path, project("x", "1.0"), **request_)
    assert done.returncode == 1
    assert says in done.stderr


def test_the_driver_is_text_for_old_pythons() -> None:
    """Nothing that Python 3.7 cannot parse: no walrus, no match, no positional-only parameters."""
    import ast

    ast.parse(driver_text(), feature_version=(3, 7))
    assert "import slimrun" not in driver_text()
