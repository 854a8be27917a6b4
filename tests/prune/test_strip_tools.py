"""A stripped CPython under the tools that look into running processes: py-spy and gdb."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.prune.strip import strip

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import time
def waiting_for_the_test():
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
waiting_for_the_test()
"""
PYSPY = Path(sys.executable).with_name("py-spy")


def saved(source: Path, target: Path) -> int:
    """Strip a file into `target`; the bytes that are gone."""
    data = source.read_bytes()
    small = strip(data) or data
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(small)
    target.chmod(0o755)
    return len(data) - len(small)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """This interpreter and its library, stripped, at work."""
    if os.geteuid() != 0 and Path("/proc/sys/kernel/yama/ptrace_scope").exists():
        pytest.skip("cannot be had here: another process may not be looked into")
    program = Path(sys.executable).resolve()
    gone = saved(program, tmp_path / "bin" / program.name)
    for library in Path(sys.base_prefix, "lib").glob("libpython3.*.so.*"):
        gone += saved(library, tmp_path / "lib" / library.name)
    env = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": str(tmp_path / "lib"), "PATH": os.environ["PATH"]}
    argv = [str(tmp_path / "bin" / program.name), "-c", PROGRAM]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            maps = Path(f"/proc/{running.pid}/maps").read_text()
            assert f"{tmp_path}/" in maps, "it is the stripped one that runs"
            assert gone > 0
            yield running
        finally:
            running.kill()


def test_py_spy_sees_the_stack(process: subprocess.Popen[str]) -> None:
    if not PYSPY.exists():
        pytest.skip("no py-spy beside this interpreter: `pip install -e '.[test]'` brings it")
    done = subprocess.run(
        [PYSPY, "dump", "--pid", str(process.pid)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "waiting_for_the_test (<string>:6)" in done.stdout


def test_gdb_sees_the_functions(process: subprocess.Popen[str]) -> None:
    gdb = shutil.which("gdb")
    if gdb is None:
        pytest.skip("no gdb: .ci/services installs it")
    time.sleep(0.1)
    argv = [gdb, "--nx", "--batch", "-p", str(process.pid), "-ex", "backtrace"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    names = [line for line in done.stdout.splitlines() if line.startswith("#")]
    assert len(names) > 5, done.stdout + done.stderr
    assert any("_PyEval_EvalFrameDefault" in line or "PyEval_EvalCode" in line for line in names), done.stdout
    assert any("Py_BytesMain" in line or "Py_RunMain" in line for line in names), done.stdout
