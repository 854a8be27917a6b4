"""The command line: words, exit codes, what a person reads; every failure is a message, none a traceback."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.conftest import CANNOT

from slimrun import __version__, errors
from slimrun.cache.store import Cache
from slimrun.cli import main as command
from slimrun.cli.last import Last
from slimrun.errors import SlimrunError
from slimrun.resources import schema_kinds, schema_text

ROOT = Path(__file__).parents[2]
TEXT = "python:\n  image: python:3.11-slim\n"


class Said:
    """What one command answered and printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Said:
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with pytest.raises(SystemExit) as caught:
                command.main(list(words))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Said(int(caught.value.code or 0), captured.out, captured.err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A repository with one recipe as the working folder, and a home of its own."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/recipes").mkdir()
    (tmp_path / "repo/recipes/hello.yaml").write_text(TEXT)
    (tmp_path / "repo/more").mkdir()
    (tmp_path / "repo/more/deep.yaml").write_text(TEXT)
    (tmp_path / "repo/slim.yaml").write_text("recipes: [recipes/, more]\n")
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return Shell(capsys)


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",), ("help",)])
def test_help_lists_every_command(words: tuple[str, ...], shell: Shell) -> None:
    said = shell(*words)
    assert said.code == 0
    listed = [line.split()[0] for line in said.out.split("commands:\n")[1].split("\n\n")[0].splitlines()]
    assert listed == list(command.COMMANDS)
    for code in ("2 an image failed", "3 a recipe", "4 engine", "5 bad command line", "130 interrupted"):
        assert code in said.out.replace("\n", " ")


@pytest.mark.parametrize("name", command.COMMANDS)
def test_each_command_explains_itself(name: str, shell: Shell) -> None:
    said = shell(name, "--help")
    assert said.code == 0
    assert f"slimrun {name}" in said.out or name == "run"
    assert shell(name, "--no-such-option", "x").code == 5


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_version(word: str, shell: Shell) -> None:
    assert shell(word).out == f"slimrun {__version__}\n"


BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("hallo",), 5, "did you mean `slimrun recipes/hello.yaml`?"),
    (("hello",), 5, "did you mean `slimrun recipes/hello.yaml`?"),
    (("deep",), 5, "did you mean `slimrun more/deep.yaml`?"),
    (("shema",), 5, "did you mean `slimrun schema`?"),
    (("xyzzy",), 5, "`slimrun --help` lists both"),
    (("run",), 5, "the following arguments are required: FILE"),
    (("run", "recipes/hello.yaml", "--nope"), 5, "unrecognized arguments: --nope"),
    (("recipes/hello.yaml", "--output", "xml"), 5, "invalid choice: 'xml'"),
    (("none.yaml",), 3, "none.yaml"),
    (("recipes/hello.yaml", "-e", "novalue"), 5, "novalue"),
    (("recipes/hello.yaml", "--set", "wheelz=[a]", "--syntax-check"), 5, "did you mean 'wheels'"),
    (("recipes/hello.yaml", "--save", "none/x.tar"), 5, "mkdir -p none"),
    (("recipes/hello.yaml", "recipes/hello.yaml"), 3, "the name 'hello' is taken"),
    (("recipes/hello.yaml", "--save", "{nmae}.tar"), 5, "did you mean {name}?"),
    (("recipes/hello.yaml", "--save", "{date}.tar"), 5, "{name} and {arch} are filled in"),
    (("recipes/hello.yaml", "--save", "none/{name}.tar"), 5, "mkdir -p none"),
    (("recipes/hello.yaml", "-f", "0"), 5, "'0' is not a number from 1 to 999"),
    (("recipes/hello.yaml", "-l", "helo"), 5, "did you mean 'hello'?"),
    (("recipes/hello.yaml", "-l", "@web"), 5, "no image here is in a group"),
    (("schema", "nothing"), 5, "invalid choice"),
    (("explain", "hello"), 5, "there is no report of 'hello'"),
    (("init", "Bad Name"), 5, "cannot be an image's name"),
    (("init", "../x"), 5, "cannot be an image's name"),
    (("init", "hello"), 5, "recipes/hello.yaml is there already"),
    (("recipes/hello.yaml", "--config", "none.yaml", "--syntax-check"), 3, "none.yaml"),
    (("recipes/hello.yaml", "--docker-host", "foo"), 5, "write it as unix:///var/run/docker.sock, tcp://HOST:PORT"),
    (("recipes/hello.yaml", "--docker-host", ""), 5, "--docker-host '' is no address of an engine"),
]


@pytest.mark.parametrize(("words", "code", "text"), BAD)
def test_what_is_wrong_is_said(words: tuple[str, ...], code: int, text: str, shell: Shell) -> None:
    said = shell(*words)
    assert said.code == code, said.err
    assert text in said.err
    assert "error:" in said.err
    assert said.out == ""


# docker-py forgets the socket that could not connect (docker/transport/unixconn.py).
forgets = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@forgets
def test_no_engine(shell: Shell) -> None:
    said = shell("recipes/hello.yaml", "--backend", "docker")
    gc.collect()
    assert said.code == 4
    assert "UNREACHABLE! => recipes/hello.yaml:1:1: error: no Docker Engine answers at unix://" in said.out
    assert "(DOCKER_HOST): No such file or directory" in said.out
    assert "hint: start the engine" in said.out
    assert "unreachable=1" in said.out.splitlines()[-1]


@forgets
def test_several_recipes_end_at_the_first_that_fails(shell: Shell) -> None:
    Path("recipes/b.yaml").write_text(TEXT)
    words = ("recipes/hello.yaml", "recipes/b.yaml", "--backend", "docker")
    first = shell(*words).out
    assert first.count("UNREACHABLE!") == 1
    assert first.splitlines()[-1] == "not run after this failure: b (--keep-going goes on)"
    said = shell(*words, "--keep-going", "--metadata-file", "meta.json")
    gc.collect()
    assert said.code == 4
    assert [line.split()[0] for line in said.out.partition("PLAY RECAP")[2].splitlines()[1:]] == ["hello", "b"]
    rows = json.loads(Path("meta.json").read_text())
    assert [(row["name"], row["status"], row["digest"]) for row in rows] == [
        ("hello", "failed", None),
        ("b", "failed", None),
    ]
    assert "no Docker Engine answers" in rows[0]["error"]


def test_all_problems_of_all_files_at_once(shell: Shell) -> None:
    Path("recipes/b.yaml").write_text(TEXT + "wheelz: [a]\n")
    Path("recipes/c.yaml").write_text(TEXT + "prune: {level: big}\n")
    said = shell("recipes/b.yaml", "recipes/c.yaml", "recipes/hello.yaml")
    assert said.code == 3
    heads = [line.partition(": error")[0] for line in said.err.splitlines() if ": error:" in line]
    assert heads == ["recipes/b.yaml:3:1", "recipes/c.yaml:3:16"]
    assert not Path("../home").exists(), "nothing was run"


def test_what_is_planned_is_refused_before_anything_runs(shell: Shell) -> None:
    Path("recipes/b.yaml").write_text(TEXT + "prune: {level: tiny}\n")
    said = shell("recipes/b.yaml")
    assert (said.code, said.out) == (3, "")
    assert "level tiny: not done yet [not-yet]" in said.err
    assert shell("recipes/b.yaml", "--syntax-check").code == 0


def test_syntax_check_and_list_tasks(shell: Shell) -> None:
    assert shell("recipes/hello.yaml", "--syntax-check").out == "ok: [hello] recipes/hello.yaml\n"
    assert shell("--syntax-check", "recipes/hello.yaml").code == 0
    both = shell("--list-tasks", "--syntax-check", "recipes/hello.yaml").out.splitlines()
    assert both[:3] == ["ok: [hello] recipes/hello.yaml", "", "play [hello]"]
    out = shell("run", "--list-tasks", "recipes/hello.yaml", "--set", "wheels=[click]").out
    assert out.splitlines()[1:4] == [
        "play [hello]",
        "  tasks:",
        "    resolve : base build python:3.11-slim, runtime busybox:glibc",
    ]
    assert "    wheels : install click" in out


@pytest.mark.parametrize("kind", schema_kinds())
def test_schema(kind: str, shell: Shell) -> None:
    said = shell("schema", kind)
    assert said.out == schema_text(kind)
    assert json.loads(said.out)["$schema"] == "http://json-schema.org/draft-07/schema#"


REPORT = {
    "files": [
        {"path": "/usr/bin/python3", "size": 14_000_000, "layer": "python", "why": [
            {"rule": "python", "text": "the interpreter", "where": ""},
            {"rule": "recipe", "text": "python.image: x", "where": "x.yaml:2:3"}]},
        {"path": "/usr/lib/libz.so.1", "size": 900, "layer": "python", "why": []},
    ],
    "removed": [{"path": "/usr/bin/pip", "size": 1234, "why": [{"rule": "ensurepip", "text": "pip's installer", "where": ""}]}],
}  # fmt: skip


def test_explain(shell: Shell, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "home/slimrun")
    cache.save("report", "a" * 64, REPORT)
    cache.save("last", "hello", asdict(Last(recipe="recipes/hello.yaml", digest="a" * 64, size=1)))
    said = shell("explain", "recipes/hello.yaml", "/usr/bin")
    assert said.out == (
        "/usr/bin/python3 (14.0MB, in layer python)\n  because the interpreter\n  because python.image: x (x.yaml:2:3)\n"
        "/usr/bin/pip (1.2kB, removed)\n  because pip's installer\n"
    )
    assert [line.split()[0] for line in shell("explain", "hello").out.splitlines() if line[0] == "/"] == [
        "/usr/bin/python3", "/usr/lib/libz.so.1",
    ]  # fmt: skip
    assert "/usr/lib/libz.so.1 (900B" in shell("explain", "hello", "/**/*.so.1").out
    none = shell("explain", "hello", "/nothing")
    assert (none.code, none.out) == (5, "")
    assert "paths are absolute" in none.err


@pytest.mark.parametrize("epoch", ["x", "1.5", "-1", "\u00b2", "\u0663", "8589934592", "9" * 30])
def test_a_bad_epoch(epoch: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    said = shell("recipes/hello.yaml")
    assert said.code == 5
    assert "SOURCE_DATE_EPOCH" in said.err


CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SlimrunError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_its_code_and_its_text(
    kind: type[SlimrunError], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = errors.Problem(where=errors.Where("f", 1, 2), text="wrong", rule="r")
    if kind is errors.RecipeInvalid:
        error: SlimrunError = errors.RecipeInvalid((problem,))
    elif kind is errors.BuildFailed:
        error = errors.BuildFailed("wrong", step="make", log="/log", status=2, lines=(), hint="do this")
    else:
        error = kind("wrong", hint="do this")

    def fail(_words: list[str]) -> int:
        raise error

    monkeypatch.setattr(command, "_dispatch", fail)
    said = shell("x")
    assert said.code == kind.exit_code
    assert kind.exit_code in (1, 2, 3, 4, 5, 130, 143)
    assert "error: wrong" in said.err


def test_our_own_fault(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_words: list[str]) -> int:
        return 1 // 0

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(command, "_dispatch", fail)
    said = shell("x")
    assert said.code == 1
    (report,) = tmp_path.glob("slimrun-fault-*.txt")
    assert str(report) in said.err
    assert len(said.err.splitlines()) == 1
    assert "ZeroDivisionError" in said.err
    assert "Traceback" in report.read_text()


def test_ctrl_c(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_dispatch", fail)
    assert shell("x").code == 130


def test_sigterm(tmp_path: Path) -> None:
    text = "import slimrun.cli.main as m, time\nm._dispatch = lambda words: (print('up', flush=True), time.sleep(9))\nm.main(['x'])"
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, err = child.communicate(timeout=20)
    assert child.returncode == 143
    assert err.startswith(b"error: terminated")
    assert time.monotonic() - began < 10


def test_a_closed_pipe_is_no_traceback() -> None:
    text = f"{sys.executable} -m slimrun schema recipe"
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.closing(os.fdopen(writer, "wb")) as pipe:
        done = subprocess.run(text.split(), stdout=pipe, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    assert b"Traceback" not in done.stderr
    assert done.returncode in (141, 120)  # as for a program that SIGPIPE ends; 120 is Python's own, at exit


@forgets
def test_an_engine_over_ssh_needs_a_package_more(shell: Shell) -> None:
    if importlib.util.find_spec("paramiko"):
        pytest.skip(f"{CANNOT}docker-py without paramiko: it is installed")
    said = shell("recipes/hello.yaml", "--docker-host", "ssh://nobody@127.0.0.1:9")
    assert said.code == 4
    assert "hint: pip install 'docker[ssh]' beside slimrun" in said.out


@pytest.mark.parametrize("words", ["schema recipe", "--help", "list"])
def test_an_output_that_is_full(words: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "slimrun", *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,
        )
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [
        "error: what there is to say cannot be written: No space left on device",
        "    hint: look at where standard output goes",
    ]


@pytest.mark.parametrize("words", ["x.yaml", "list", "init x", "run /x.yaml"])
def test_a_folder_that_is_gone(words: str, tmp_path: Path) -> None:
    code = f"import os, sys; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r}); "
    code += f"sys.argv[1:] = {words.split()}; from slimrun.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "error: the current folder cannot be used: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_streams() -> None:
    """As some service managers start programs: what cannot be said is not said, and the code is the same."""
    text = f"{sys.executable} -m slimrun none.yaml <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", text], check=False, cwd=ROOT).returncode == 3
