"""A finished image, proved: what each answer of a container and each lack of a library becomes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.images import GLIBC, INTERPRETER
from tests.recording import Recording, imports_all
from tests.tinyelf import program, shared
from tests.treetext import tree

from slimrun.backend.assembled import Assembled
from slimrun.backend.base import NotRun, Ran
from slimrun.cache.store import Cache
from slimrun.elf.facts import Facts
from slimrun.elf.model import Closure, FamilyChoice, FamilyDecision, Finding, Missing, Root, Unmet
from slimrun.errors import MissingLibrary, VerifyFailed, Where
from slimrun.oci.config import Config
from slimrun.oci.layer import Layer
from slimrun.plan.steps import Verify
from slimrun.prune.prune import Pruned
from slimrun.recipe.model import Text, VerifyRun
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree
from slimrun.verify.checks import _IMPORTER, Check, raise_failed, run_checks, static_checks, untried
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WHERE = Where("x.yaml", 7, 3)
WHY = Why(rule="recipe", text="python.image: x", where=Where("x.yaml", 1, 1))
DYNLOAD = "/usr/lib/python3.11/lib-dynload"
IMAGE: dict[str, str | bytes] = {
    **GLIBC,
    "/usr/bin/python3": program(needs=("libc.so.6",)),
    f"{DYNLOAD}/_ssl.so": shared(needs=("libm.so.6",)),
    f"{DYNLOAD}/_json.cpython-311.so": shared(),
}


def assembled(rows: Mapping[str, str | bytes] = IMAGE, **config: Any) -> Assembled:
    layers = (
        Layer(name="base", diff_id="a" * 64, content=1_000_000),
        Layer(name="python", diff_id="b" * 64, content=500_000),
    )
    return Assembled(
        config=Config(architecture="amd64", **config), layers=layers, tree=tree(rows), whys=(), base_why=WHY
    )


def pruned(rows: Mapping[str, str | bytes] = IMAGE, **facts: Any) -> Pruned:
    extensions = (path for path in rows if path.startswith(DYNLOAD))
    roots = (
        Root(path="/usr/bin/python3", why=WHY),
        *(Root(path=path, why=WHY, program="/usr/bin/python3") for path in extensions),
    )
    return Pruned(
        **{
            "layers": (),
            "whys": (),
            "removed": (),
            "roots": roots,
            "also": (),
            "closure": Closure(),
            "interpreter": INTERPRETER,
            **facts,
        }
    )


def static(rows: Mapping[str, str | bytes] = IMAGE, step: Verify | None = None, **facts: Any) -> tuple[Any, Any]:
    return static_checks(assembled(rows), pruned(rows, **facts), step or Verify(), Facts())


def test_nothing_is_missing() -> None:
    checks, warnings = static()
    assert checks == (Check(name="libraries", ok=True, detail="3 executables and extensions, none missing"),)
    assert warnings == ()


def test_a_missing_library_names_its_chain() -> None:
    with pytest.raises(MissingLibrary) as caught:
        static(IMAGE | {f"{DYNLOAD}/_uuid.so": shared(needs=("libuuid.so.1",))})
    assert f"libuuid.so.1 is needed by {DYNLOAD}/_uuid.so" in caught.value.message
    assert "because python.image: x (x.yaml:1:1)" in caught.value.message
    assert "prune.keep" in caught.value.hint


def test_an_unmet_version_names_its_chain() -> None:
    rows = IMAGE | {
        f"{DYNLOAD}/_x.so": shared(needs=("libx.so.1",)),
        "/usr/lib/libx.so.1": shared(soname="libx.so.1", needs=("liby.so.1",), wants=(("liby.so.1", ("Y_1", "Y_2")),)),
        "/usr/lib/liby.so.1": shared(soname="liby.so.1", offers=("liby.so.1", "Y_1")),
    }
    with pytest.raises(MissingLibrary) as caught:
        static(rows)
    assert caught.value.message.splitlines() == [
        "/usr/lib/libx.so.1 needs Y_2 of liby.so.1, and /usr/lib/liby.so.1 does not offer it",
        f"      because libx.so.1 is needed by {DYNLOAD}/_x.so",
        "      because python.image: x (x.yaml:1:1)",
    ]
    assert "runtime that is as new" in caught.value.hint


def test_a_glibc_that_nothing_can_replace_is_part_of_the_error() -> None:
    why = "python:3.11 (2.36): /bin/own needs GLIBC_2.41 of libc.so.6"
    family = FamilyDecision(choice=FamilyChoice.REFUSED, base_identity="old", why_not=why)
    rows = IMAGE | {f"{DYNLOAD}/_uuid.so": shared(needs=("libuuid.so.1",))}
    with pytest.raises(MissingLibrary) as caught:
        static(rows, closure=Closure(family=family))
    assert caught.value.message.splitlines()[-1].endswith(f"and nothing can replace it: {why}")


def test_a_glibc_that_was_replaced_is_a_warning() -> None:
    need = Unmet(version="GLIBC_2.36", library="libc.so.6", by="/usr/bin/python3", provider="/lib/libc.so.6", why=WHY)
    family = FamilyDecision(
        choice=FamilyChoice.REPLACED, supply="x", identity="new", base_identity="old", needs=(need,)
    )
    (warning,) = static(closure=Closure(family=family))[1]
    assert warning.startswith("the runtime's glibc (old) is replaced")
    assert warning.endswith("by new of x: /usr/bin/python3 needs GLIBC_2.36 of libc.so.6")


def test_a_symbol_that_is_known_to_be_lacking_fails() -> None:
    """Known from the copy that a supply has: the finished tree alone does not show it."""
    unmet = Unmet(version="late", library="libv.so.1", by="/a.so", provider="/libv.so.1", why=WHY, symbol=True)
    note = Finding(rule="copy-not-taken", path="/libv.so.1", text="the copy of x has it, but not early, which /b needs")
    with pytest.raises(MissingLibrary) as caught:
        static(closure=Closure(unmet=(unmet,), findings=(note,)))
    assert caught.value.message.splitlines() == [
        "/a.so needs late of libv.so.1, and /libv.so.1 does not offer it",
        "      because python.image: x (x.yaml:1:1)",
        "/libv.so.1: the copy of x has it, but not early, which /b needs [copy-not-taken]",
    ]


def test_the_image_s_own_library_path_counts() -> None:
    rows = IMAGE | {f"{DYNLOAD}/_x.so": shared(needs=("libx.so.1",)), "/opt/libx.so.1": shared(soname="libx.so.1")}
    given = replace(assembled(rows), config=Config(architecture="amd64", env=(("LD_LIBRARY_PATH", "/none;/opt"),)))
    assert static_checks(given, pruned(rows), Verify(), Facts())[1] == ()
    (warning,) = static(rows)[1]
    assert "libx.so.1 is found only if /opt/libx.so.1 was loaded before" in warning


def test_what_level_none_keeps_is_a_warning() -> None:
    lack = Missing(name="libtk8.6.so", needed_by="/x/_tkinter.so", why=WHY, searched=("/lib",))
    checks, warnings = static(unresolved=(lack,))
    assert [check.ok for check in checks] == [True]
    assert warnings == ("libtk8.6.so is needed by /x/_tkinter.so: nothing in /lib",)


@pytest.mark.parametrize(
    ("limit", "ok", "detail"),
    [
        (1_500_000, True, "1.5 MB of at most 1.5 MB"),
        (1_499_999, False, "1.5 MB of at most 1.5 MB"),
        (0, False, "of at most 0.0"),
    ],
)
def test_size(limit: int, ok: bool, detail: str) -> None:
    _, size = static(step=Verify(max_size=limit, max_size_where=WHERE))[0]
    assert (size.name, size.ok, size.where) == ("max_size", ok, WHERE)
    assert detail in size.detail


@pytest.fixture
def backend(tmp_path: Path) -> Recording:
    found = Recording(cache=Cache(tmp_path), images={})
    found.load(assembled().finished(("x:1",)))
    return found


def run(backend: Recording, step: Verify, **config: Any) -> dict[str, Check]:
    (image,) = backend.loaded
    return {check.name: check for check in run_checks(image, assembled(**config), pruned(), step, backend)}


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("65532:65532", "65532:65532"),
        ("1000", "1000:1000"),
        ("7:8", "7:8"),
        ("app", "0:0"),
        ("7:adm", "0:0"),
        ("", "0:0"),
    ],
)
def test_whose_the_writable_folders_are(user: str, owner: str, backend: Recording) -> None:
    run(backend, Verify(runs=(VerifyRun(cmd=("-V",), where=WHERE),)), user=user)
    assert {limits.owner for limits in backend.limits} == {owner}


def named(*names: str) -> tuple[Text, ...]:
    return tuple(Text(text=name, where=WHERE) for name in names)


def test_every_extension_of_the_standard_library_is_imported(backend: Recording) -> None:
    found = run(backend, Verify(imports=named("psycopg2", "_ssl")), volumes=("/data",))
    assert found == {f"import {name}": Check(name=f"import {name}", ok=True) for name in ("_json", "_ssl", "psycopg2")}
    (limits,) = backend.limits
    assert limits.entrypoint == ("/usr/bin/python3",)
    assert limits.tmpfs == ("/tmp", "/dev/shm", "/data")
    assert limits.owner == "0:0"
    assert not limits.network


ANSWERS: list[tuple[Ran, dict[str, tuple[bool, str]]]] = [
    (
        Ran(
            exit=0,
            stdout="begin _json\nfailed _json ImportError: libz.so: cannot open\nbegin _ssl\nok _ssl\n",
            stderr="",
        ),
        {"import _json": (False, "ImportError: libz.so: cannot open"), "import _ssl": (True, "")},
    ),
    (
        Ran(exit=139, stdout="begin _json\nok _json\nbegin _ssl\n", stderr="Fatal Python error\n"),
        {
            "import _json": (True, ""),
            "import _ssl": (False, "ended the interpreter with status 139: Fatal Python error"),
        },
    ),
    (
        Ran(exit=None, stdout="begin _json\nok _json\nbegin _ssl\n", stderr=""),
        {"import _json": (True, ""), "import _ssl": (False, "ran out of time: it printed nothing")},
    ),
    (
        Ran(exit=127, stdout="", stderr="not found\n" * 20),
        {"import _json": (False, "status 127: " + "not found\n" * 11 + "not found")},
    ),
    (
        Ran(exit=0, stdout="noise\nbegin\nok\n", stderr=""),
        {"import _json": (False, "ended the interpreter with status 0")},
    ),
]


@pytest.mark.parametrize(("ran", "expected"), ANSWERS)
def test_how_imports_went(ran: Ran, expected: dict[str, tuple[bool, str]], backend: Recording) -> None:
    backend.answer = lambda _argv: ran
    found = run(backend, Verify())
    assert {name: check.ok for name, check in found.items()} == {name: ok for name, (ok, _) in expected.items()}
    for name, (_, detail) in expected.items():
        assert detail in found[name].detail


def command(**facts: Any) -> VerifyRun:
    return VerifyRun(cmd=("-c", "x"), where=WHERE, **facts)


COMMANDS: list[tuple[VerifyRun, Ran, bool, str]] = [
    (command(), Ran(exit=0, stdout="", stderr=""), True, ""),
    (
        command(),
        Ran(exit=1, stdout="", stderr="Traceback\nValueError"),
        False,
        "exit status 1, expected 0: Traceback\nValueError",
    ),
    (command(), Ran(exit=1, stdout="only out", stderr=""), False, "expected 0: only out"),
    (command(exit=3), Ran(exit=3, stdout="", stderr=""), True, ""),
    (command(exit=3), Ran(exit=0, stdout="", stderr=""), False, "exit status 0, expected 3: it printed nothing"),
    (command(timeout=2.5), Ran(exit=None, stdout="", stderr=""), False, "still running after 2.5 s"),
    (command(stdout="^hel+o$"), Ran(exit=0, stdout="hello\n", stderr=""), True, ""),
    (
        command(stdout="^hello$"),
        Ran(exit=0, stdout="oh hello\n", stderr=""),
        False,
        "stdout does not match '^hello$': 'oh hello'",
    ),
    (command(stdout=""), Ran(exit=0, stdout="x", stderr=""), True, ""),
]


@pytest.mark.parametrize(("given", "ran", "ok", "detail"), COMMANDS)
def test_commands(given: VerifyRun, ran: Ran, ok: bool, detail: str, backend: Recording) -> None:
    def answer(argv: Sequence[str]) -> Ran:
        return ran if argv == ("-c", "x") else imports_all(argv)

    backend.answer = answer
    found = run(backend, Verify(runs=(given,)))["run -c x"]
    assert (found.ok, found.where) == (ok, WHERE)
    assert detail in found.detail
    assert backend.limits[-1].entrypoint is None
    assert backend.limits[-1].timeout == given.timeout


def test_what_this_machine_cannot_run_is_skipped(backend: Recording) -> None:
    backend.answer = lambda _argv: NotRun(reason="no namespaces")
    found = run(backend, Verify(runs=(command(),)))
    assert {(check.ok, check.skipped) for check in found.values()} == {(False, "no namespaces")}
    assert list(found) == ["import _json", "import _ssl", "run -c x"]
    raise_failed(tuple(found.values()))
    (warning,) = untried(tuple(found.values()))
    assert warning == "3 checks skipped, not ok: no namespaces"


def test_all_that_failed_is_said_at_once() -> None:
    checks = [
        Check(name="a", ok=True),
        Check(name="b", ok=False, detail="one"),
        Check(name="c", ok=False, detail="two", where=WHERE),
    ]
    with pytest.raises(VerifyFailed, match=r"^b: one\nc: two \(x.yaml:7:3\)$") as caught:
        raise_failed(checks)
    assert caught.value.where == WHERE
    raise_failed(checks[:1])


MODULES = {
    "good": "",
    "talker": "import os; print('failed good no'); os.write(1, b'ok broken\\nbegin later\\n'); os.system('echo ok broken')",
    "broken": "raise ValueError('two\\nlines \\udcff é')",
    "quitter": "raise SystemExit(0)",
    "later": "",
    "dies": "import os; os._exit(9)",
    "json": "raise RuntimeError('not even json is needed')",
}


def test_the_importer_itself(tmp_path: Path) -> None:
    """By this interpreter; a module that prints the importer's own words fools nobody."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    names = ["good", "talker", "broken", "quitter", "later", "json", "none.such", "dies", "never"]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTER, *names], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "LC_ALL": "C"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 9
    assert done.stdout.decode().splitlines() == [
        "begin good", "ok good", "begin talker", "ok talker", "begin broken", "failed broken ValueError: two lines \\udcff é",
        "begin quitter", "failed quitter SystemExit: 0", "begin later", "ok later", "begin json",
        "failed json RuntimeError: not even json is needed", "begin none.such",
        "failed none.such ModuleNotFoundError: No module named 'none'", "begin dies",
    ]  # fmt: skip
    assert b"ok broken" in done.stderr


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "ok"),
    [
        (("/usr/bin/python3",), (), True),
        ((), ("/usr/bin/python3",), True),
        (("python3",), (), True),
        (("./python3",), (), True),
        ((), (), True),
        (("/nope",), (), False),
        (("nope",), (), False),
        (("/etc/data",), (), False),
        (("/usr",), (), False),
    ],
)
def test_the_entrypoint_must_be_a_program(entrypoint: tuple[str, ...], cmd: tuple[str, ...], ok: bool) -> None:
    tree_ = Tree({"/usr/bin/python3": file(b"x", mode=0o755), "/etc/data": file(b"x")})
    config = Config(
        architecture="amd64", env=(("PATH", "/bin:/usr/bin"),), workdir="/usr/bin", entrypoint=entrypoint, cmd=cmd
    )
    assembled = Assembled(config=config, layers=(), tree=tree_, whys=(), base_why=WHY)
    pruned = Pruned(layers=(), whys=(), removed=(), roots=(), closure=Closure(), interpreter=INTERPRETER)
    checks, _ = static_checks(assembled, pruned, Verify(), Facts())
    assert [check.name for check in checks if not check.ok] == ([] if ok else ["entrypoint"])
