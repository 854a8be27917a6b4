"""Byte code: which sources, what the program that makes it prints, and that the same source always gives the same bytes."""

from __future__ import annotations

import importlib.util
import marshal
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest
from tests.images import OFFICIAL, PY, official
from tests.treetext import tree

from slimrun.python.bytecode import (
    ENV,
    OPTIONS,
    Compiled,
    batches,
    magic_number,
    parse,
    program,
    pyc_name,
    sources,
)
from slimrun.python.interpreter import find_interpreter

INTERPRETER = find_interpreter(official)
FILES = {
    "/lib/a.py": "NAMES = {'one', 'two', 'three'}\ndef f(x):\n    return x in {'b', 'a', 'c', 'd'}\n",
    "/lib/empty.py": "",
    "/lib/b.py": "import os\nNAME = 'one'\nclass B:\n    'text'\n",
    "/lib/broken.py": "def (:\n",
    "/lib/zero.py": "a\0b",
    "/lib/latin.py": "# -*- coding: latin-1 -*-\nTEXT = '\\xe9'\n",
    "/lib/escape.py": "TEXT = '\\d'\n",
    "/lib/big.py": "".join(f"def f{number}(x):\n    return x * {number}, 'text {number}'\n" for number in range(700)),
}


def make(root: Path, scratch: Path, *paths: str, python: str = sys.executable, **env: str) -> Compiled:
    scratch.mkdir(exist_ok=True)
    for path in paths:
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_text(FILES[path], encoding="utf-8")
    argv = [python, *OPTIONS, program(), f"{root}/", str(scratch), *paths]
    done = subprocess.run(argv, env=dict(ENV) | env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = parse(paths, done.stdout)
    assert found is not None
    assert list(scratch.iterdir()) == []
    return found


def test_byte_code_is_what_import_takes(tmp_path: Path) -> None:
    found = make(tmp_path / "root", tmp_path / "scratch", *FILES)
    code = dict(found.code)
    assert found.tag == sys.implementation.cache_tag
    assert set(FILES) - set(code) == {"/lib/broken.py", "/lib/zero.py"}, "what does not compile is no module"
    for path, data in code.items():
        assert data[:4] == importlib.util.MAGIC_NUMBER
        assert data[4:8] == b"\1\0\0\0", "named by hash, and not checked"
        assert data[8:16] == importlib.util.source_hash((tmp_path / "root" / path[1:]).read_bytes())
        module = marshal.loads(data[16:])
        assert isinstance(module, CodeType)
        assert module.co_filename == path, "the path inside the image"
    pyc = tmp_path / "a.pyc"
    pyc.write_bytes(code["/lib/a.py"])
    spec = importlib.util.spec_from_file_location("a", pyc)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.f("c")


def test_a_file_s_bytes_depend_on_nothing_but_the_file(tmp_path: Path) -> None:
    first = dict(make(tmp_path / "1", tmp_path / "s1", *FILES).code)
    second = dict(make(tmp_path / "2", tmp_path / "s2", *reversed(FILES), TZ="Asia/Tokyo", LC_ALL="C", A="one").code)
    assert first == second
    for path in first:
        assert dict(make(tmp_path / "3", tmp_path / "s3", path).code)[path] == first[path], "whatever else is compiled"


def others() -> list[Path]:
    """Interpreters of this machine's pyenv, of every series that slimrun takes."""
    found = {
        path.parent.parent.name.rpartition(".")[0]: path
        for path in sorted(Path("/root/.pyenv/versions").glob("3.*/bin/python3"))
    }
    return [path for series, path in sorted(found.items()) if series not in ("3.6",)]


def test_the_program_runs_under_every_series(tmp_path: Path) -> None:
    pythons = others()
    if not pythons:
        pytest.skip("cannot be had here: interpreters of other series")
    for number, python in enumerate(pythons):
        found = make(tmp_path / f"r{number}", tmp_path / f"s{number}", *FILES, python=str(python))
        code = "import marshal,sys; print(marshal.loads(sys.stdin.buffer.read()[16:]).co_filename, end='')"
        run = subprocess.run([python, "-c", code], input=dict(found.code)["/lib/a.py"], capture_output=True, check=True)
        assert run.stdout == b"/lib/a.py"


def test_an_interpreter_without_zlib(tmp_path: Path) -> None:
    text = program().replace("import zlib", "import zlib_is_not_here as zlib")
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "s").mkdir()
    argv = [sys.executable, *OPTIONS, text, str(tmp_path), str(tmp_path / "s"), "/a.py"]
    done = subprocess.run(argv, env=dict(ENV), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split()[2] == "plain"
    found = parse(("/a.py",), done.stdout)
    assert found is not None
    assert found.code[0][1][:4] == importlib.util.MAGIC_NUMBER


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    argv = [sys.executable, *OPTIONS, program(), str(tmp_path), str(tmp_path), "/gone.py"]
    done = subprocess.run(argv, env=dict(ENV), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "compiling /gone.py ended with" in done.stderr


@pytest.mark.parametrize(
    "output",
    [
        "",
        "0 AAAA\n",
        "done cpython-311 zlib 2\n",
        "done cpython-311 lzma 1\n",
        "1 AAAA\ndone cpython-311 plain 1\n",
        "x AAAA\ndone cpython-311 plain 1\n",
        "0 AAA\ndone cpython-311 plain 1\n",
        "0 !!!!\ndone cpython-311 plain 1\n",
        "0 AAAA\ndone cpython-311 zlib 1\n",
        "0 AAAA\ndone cpython-311 plain 1\nmore",
    ],
)
def test_an_answer_that_is_not_whole(output: str) -> None:
    assert parse(("/a.py",), output) is None


def test_an_answer_in_pieces() -> None:
    assert parse(("/a.py", "/b.py"), "1 QUJD\n1 REVG\ndone t plain 2\n") == Compiled(
        tag="t", code=(("/b.py", b"ABCDEF"),)
    )


def test_sources_are_what_import_finds() -> None:
    image = tree(
        {
            f"{PY}/os.py": b"",
            f"{PY}/site-packages/x/y.py": b"",
            f"{PY}/link.py": "symlink os.py",
            f"{PY}/data.txt": b"",
            "/usr/local/bin/tool.py": b"",
            "/app/main.py": b"",
            "/usr/local/lib/python3/dist-packages/z.py": b"",
        }
    )
    assert sources(image, INTERPRETER) == (
        f"{PY}/os.py",
        f"{PY}/site-packages/x/y.py",
        "/usr/local/lib/python3/dist-packages/z.py",
    )


def test_names() -> None:
    assert pyc_name("/a/b.py", "cpython-311") == "/a/__pycache__/b.cpython-311.pyc"
    assert pyc_name("/a/b.c.py", "cpython-37") == "/a/__pycache__/b.c.cpython-37.pyc"


def test_the_magic_number_as_sources_say_it() -> None:
    path = f"{PY}/importlib/_bootstrap_external.py"
    text = b"# 3495\nMAGIC_NUMBER = (3495).to_bytes(2, 'little') + b'\\r\\n'\n"
    assert magic_number(tree(OFFICIAL | {path: text}), INTERPRETER) == 3495
    assert magic_number(tree(OFFICIAL | {path: b"MAGIC_NUMBER = _imp.pyc_magic_number_token"}), INTERPRETER) is None
    assert magic_number(official, INTERPRETER) is None


def test_batches() -> None:
    assert list(batches("abcd", [3, 3, 5, 20], 8)) == [("a", "b"), ("c",), ("d",)]
    assert list(batches("", [], 8)) == []
