"""What builds print: all of it in a file, and of a failure what says why."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from slimrun.backend.buildlog import KEPT, TAIL, BuildLog
from slimrun.errors import BuildFailed, DiskFull, RequirementNotMet
from slimrun.events import Event, Note, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.errors import SlimrunError

GCC = """\
gcc -c -O2 -o Modules/x.o Modules/x.c
Modules/x.c: In function 'main':
Modules/x.c:12:5: warning: unused variable 'a' [-Wunused-variable]
Modules/x.c:14:9: error: expected ';' before 'return'
Modules/x.c:20:1: error: expected declaration
make: *** [Makefile:1900: Modules/x.o] Error 1
"""


def fail(tmp_path: Path, text: str, status: int = 2, argv: tuple[str, ...] = ("make",)) -> SlimrunError:
    path = tmp_path / "logs/1-make.log"
    with BuildLog.writing(path, "make", lambda _: None) as log:
        log.command(argv)
        log.write(text.encode())
        return log.failure(argv, status)


def test_all_of_it_is_in_the_file_as_it_came(tmp_path: Path) -> None:
    events: list[Event] = []
    path = tmp_path / "logs/x.log"
    with BuildLog.writing(path, "make", events.append) as log:
        log.command(("sh", "-c", "echo $HOME"))
        for piece in (b"one\ntw", b"o\r\n\xff\xfe thr", b"ee"):
            log.write(piece)
    assert path.read_bytes() == b"$ sh -c 'echo $HOME'\none\ntwo\r\n\xff\xfe three"
    lines = [event.text for event in events if isinstance(event, Note)]
    assert lines == [
        "make: $ sh -c 'echo $HOME'",
        "make: one",
        "make: two",
        "make: \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} three",
    ]
    assert {event.level for event in events if isinstance(event, Note)} == {3}
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last == Progress(what="make", done=4, unit="lines")


def test_a_log_begins_anew(tmp_path: Path) -> None:
    fail(tmp_path, "a long text\n" * 50)
    fail(tmp_path, "short\n")
    assert (tmp_path / "logs/1-make.log").read_text() == "$ make\nshort\n"


def test_the_first_error_of_a_compiler_and_the_last_lines(tmp_path: Path) -> None:
    error = fail(tmp_path, "before\n" * 300 + GCC)
    assert isinstance(error, BuildFailed)
    assert "make: make ended with status 2" in error.message
    assert "first error: Modules/x.c:14:9: error: expected ';' before 'return'" in error.message
    tail = [line for line in error.message.splitlines() if line.startswith("    | ")]
    assert len(tail) == TAIL
    assert tail[-1] == "    | make: *** [Makefile:1900: Modules/x.o] Error 1"
    assert error.hint == f"all that it printed is in {tmp_path / 'logs/1-make.log'}"
    assert error.log == str(tmp_path / "logs/1-make.log")
    assert (error.step, error.status, len(error.lines)) == ("make", 2, KEPT)
    again = pickle.loads(pickle.dumps(error))
    assert (again.render(), again.lines) == (error.render(), error.lines)


@pytest.mark.parametrize(
    "line",
    [
        "./x.c:3:10: fatal error: ffi.h: No such file or directory",
        "x.c:3: error: old gcc names no column",
        "/usr/bin/ld: x.o: in function `main': x.c:(.text+0x5): undefined reference to `nothing'",
        "configure: error: no acceptable C compiler found in $PATH",
        "E: Unable to locate package libnothing-dev",
        "error: command '/usr/bin/gcc' failed with exit code 1",
        "make: *** No rule to make target 'nothing'.  Stop.",
    ],
)
def test_lines_that_are_errors(tmp_path: Path, line: str) -> None:
    error = fail(tmp_path, f"checking for error: no\n0 error: found\n{line}\nlater.c:1:1: error: second\n")
    assert f"first error: {line}" in error.message


def test_where_configure_stands_is_no_error(tmp_path: Path) -> None:
    error = fail(
        tmp_path, "configure: error: in `/usr/src/python':\nconfigure: error: no acceptable C compiler found\n"
    )
    assert "first error: configure: error: no acceptable C compiler found" in error.message


def test_no_error_is_made_up(tmp_path: Path) -> None:
    error = fail(tmp_path, "checking for strerror... yes\nerrors: 0\n")
    assert "first error" not in error.message


def test_a_line_without_an_end_counts(tmp_path: Path) -> None:
    assert "first error: a.c:1:1: error: last words" in fail(tmp_path, "a.c:1:1: error: last words").message


@pytest.mark.parametrize(
    "line",
    [
        "/usr/bin/ld: final link failed: No space left on device",
        "E: You don't have enough free space in /var/cache/apt/archives/.".replace("don't have", "have not"),
        "cc1: error: /tmp/x.s: Disk quota exceeded",
    ],
)
def test_a_full_disk_is_its_own_error(tmp_path: Path, line: str) -> None:
    error = fail(tmp_path, f"x.c:1:1: error: other\n{line}\nmore\n" + "after\n" * 500)
    assert isinstance(error, DiskFull)
    assert line in error.message
    assert "docker system df" in error.hint
    assert str(tmp_path / "logs/1-make.log") in error.hint


def test_who_is_killed_may_have_wanted_too_much_memory(tmp_path: Path) -> None:
    assert "out of memory" in fail(tmp_path, "", status=137).message
    assert "out of memory" not in fail(tmp_path, "", status=2).message


def test_a_host_that_cannot_keep_the_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "full.log").symlink_to("/dev/full")
    wanted = pytest.raises(DiskFull, match="no space left while writing below")
    with wanted, BuildLog.writing(tmp_path / "full.log", "make", lambda _: None) as log:
        log.write(b"x")
    (tmp_path / "file").write_text("a file, where a folder is wanted")
    refused = pytest.raises(RequirementNotMet, match="cannot write below")
    with refused, BuildLog.writing(tmp_path / "file/x.log", "make", lambda _: None):
        pytest.fail("the log was opened")
