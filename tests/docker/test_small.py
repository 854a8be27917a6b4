"""Level small in a container: no symbols, and still open to the tools that look into processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import RECIPES, docker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docker.conftest import Slimrun

PROGRAM = "import time\ndef waiting_for_the_test():\n    print('ready', flush=True)\n    time.sleep(60)\nwaiting_for_the_test()\n"


@pytest.fixture
def pid(slimrun: Slimrun) -> Iterator[int]:
    """The process of a container of the hello image, as this machine numbers it."""
    done = slimrun(RECIPES / "hello.yaml")
    assert done.code == 0, done.text
    container = docker("run", "--detach", "--network", "none", "hello", "-c", PROGRAM).out.strip()
    try:
        until = time.monotonic() + 30
        while "ready" not in docker("logs", container).out:
            assert time.monotonic() < until
            time.sleep(0.1)
        (facts,) = json.loads(docker("inspect", container).out)
        number = facts["State"]["Pid"]
        if not Path(f"/proc/{number}/maps").exists():
            pytest.skip("cannot be had here: an engine whose processes this machine sees")
        yield number
    finally:
        docker("rm", "--force", container)


def test_py_spy_and_gdb_look_into_a_container(pid: int) -> None:
    spy, gdb = Path(sys.executable).with_name("py-spy"), shutil.which("gdb")
    if not spy.exists() or gdb is None:
        pytest.skip("no py-spy beside this interpreter, or no gdb: .ci/run brings both")
    done = subprocess.run([spy, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "waiting_for_the_test (<string>:4)" in done.stdout
    words = ["--nx", "--batch", "-ex", f"set sysroot /proc/{pid}/root", "-ex", f"attach {pid}", "-ex", "backtrace"]
    traced = subprocess.run([gdb, *words], capture_output=True, text=True, timeout=120, check=False)
    assert "_PyEval_EvalFrameDefault" in traced.stdout, traced.stdout + traced.stderr
