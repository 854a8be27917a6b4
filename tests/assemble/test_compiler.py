"""Who compiles: the image's interpreter where commands run, one of this machine's elsewhere, else nobody, and that is said."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.images import OFFICIAL, PY, official, runtime
from tests.pruning import place, prune
from tests.recording import Held, Recording
from tests.treetext import tree

from slimrun.assemble.compiler import Compiler
from slimrun.backend.base import Layered, NotRun, Ran
from slimrun.backend.host_python import find_python
from slimrun.cache.store import Cache
from slimrun.errors import ImageFailed
from slimrun.oci.config import Config
from slimrun.python.interpreter import find_interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from slimrun.tree.tree import Tree

MAGIC = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
NOWHERE = NotRun(reason="this machine does not let commands run in namespaces (there is no bwrap)")
BASE = Layered(config=Config(architecture="amd64", os="linux"), sizes=(), tree=runtime)


def image(magic: int | None) -> Tree:
    said = b"" if magic is None else b"MAGIC_NUMBER = (%d).to_bytes(2, 'little')\n" % magic
    return tree(OFFICIAL | {f"{PY}/importlib/_bootstrap_external.py": said})


def compiler(
    folder: Path, answer: Callable[[Sequence[str]], Ran | NotRun], **environ: str
) -> tuple[Compiler, Recording]:
    backend = Recording(cache=Cache(folder), images={"x": Held(tree=official)}, answer=answer)
    made = Compiler(
        find_interpreter(official),
        BASE,
        backend,
        Cache(folder),
        platform="linux/amd64",
        where=place(4),
        environ=environ,
    )
    return made, backend


def in_image(argv: Sequence[str]) -> Ran:
    """As an image's interpreter would do it: the sources are told from their names."""
    program = (
        argv[2]
        .replace('with open(root + path, "rb") as stream:', "if True:")
        .replace("source = stream.read()", "source = b'x = 1'")
    )
    done = subprocess.run([sys.executable, *argv[:2], program, *argv[3:]], capture_output=True, text=True, check=False)
    return Ran(exit=done.returncode, stdout=done.stdout, stderr=done.stderr)


def test_in_the_image(tmp_path: Path) -> None:
    made, backend = compiler(tmp_path, in_image)
    found = made.compile(prune(), image(MAGIC), [f"{PY}/os.py", f"{PY}/ssl.py"])
    assert [path for path, _ in found.code] == [f"{PY}/os.py", f"{PY}/ssl.py"]
    assert found.tag == sys.implementation.cache_tag
    assert backend.calls == ["load", "run -S", "discard"]
    (limits,) = backend.limits
    assert dict(limits.env)["PYTHONHASHSEED"] == "0"
    assert limits.entrypoint == ("/usr/local/bin/python3.11",)
    assert made.findings == []


@pytest.mark.parametrize(
    ("ran", "says"),
    [
        (Ran(exit=1, stdout="", stderr="no module\n"), "status 1: no module"),
        (Ran(exit=1, stdout="", stderr=""), "status 1: it said nothing"),
        (Ran(exit=None, stdout="", stderr=""), "it ran out of time"),
        (Ran(exit=0, stdout="0 AAAA\n", stderr=""), "status 0: it said nothing"),
    ],
)
def test_an_interpreter_that_fails(ran: Ran, says: str, tmp_path: Path) -> None:
    made, backend = compiler(tmp_path, lambda _: ran)
    with pytest.raises(ImageFailed, match="the interpreter that was to compile the sources did not") as caught:
        made.compile(prune(), image(MAGIC), [f"{PY}/os.py"])
    assert says in str(caught.value)
    assert caught.value.where == place(4)
    assert backend.calls[-1] == "discard", "nothing is left behind"


def test_by_an_interpreter_of_this_machine(tmp_path: Path) -> None:
    made, backend = compiler(tmp_path, lambda _: NOWHERE)
    found = made.compile(prune(), image(MAGIC), [f"{PY}/os.py", f"{PY}/ssl.py"])
    assert dict(found.code)[f"{PY}/ssl.py"][:4] == importlib.util.MAGIC_NUMBER
    assert backend.calls[-1] == "discard"
    (finding,) = made.findings
    assert f"byte code was made by {sys.executable} {platform.python_version()}, not by the image's 3.11" in str(
        finding
    )
    assert [path for path in Cache(tmp_path).scratch().iterdir() if path.name.startswith("sources-")] == []


@pytest.mark.parametrize("magic", [1, None])
def test_by_nobody(magic: int | None, tmp_path: Path) -> None:
    made, _ = compiler(tmp_path, lambda _: NOWHERE, PATH=str(tmp_path))
    with pytest.raises(
        ImageFailed, match=r"byte code for CPython 3\.11 cannot be made here: this machine does not let"
    ) as caught:
        made.compile(prune(), image(magic), [f"{PY}/os.py"])
    assert "no python3.11 on PATH" in str(caught.value)
    assert "install a CPython 3.11" in (caught.value.hint or "")


def script(folder: Path, name: str, answer: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{answer}\n")
    (folder / name).chmod(0o755)


def test_the_same_version_comes_first(tmp_path: Path) -> None:
    script(tmp_path, "python3.11", "echo 3495 3.11.9")
    script(tmp_path, "python3", "echo 3495 3.11.2")
    script(tmp_path, "python", "exit 1")
    environ: Any = {"PATH": str(tmp_path)}
    found = find_python(3495, "3.11", "3.11.2", environ)
    assert found is not None
    assert (found.path, found.version) == (str(tmp_path / "python3"), "3.11.2")
    first = find_python(3495, "3.11", "3.11.5", environ)
    assert first is not None
    assert first.version in ("3.11.9", platform.python_version())
    assert find_python(1, "3.11", "3.11.2", environ) is None
