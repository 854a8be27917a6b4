"""Events as text: Ansible's words and spellings, the same on every terminal that is none."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.cli import output
from slimrun.cli.output import Renderer, bytes_text
from slimrun.events import Event, Note, PlayStarted, Progress, Recap, TaskEnded, TaskStarted, Warned

if TYPE_CHECKING:
    from slimrun.settings import Output

EVENTS: list[Event] = [
    PlayStarted(image="app"),
    TaskStarted(image="app", stage="resolve", what="base [build]"),
    Note(text="level two", level=2),
    Note(text="level one"),
    Note(text="always", level=0),
    TaskEnded(image="app", stage="resolve", status="ok", seconds=1.25),
    TaskStarted(image="app", stage="python", what="x"),
    Progress(what="pull", done=10, total=20),
    TaskEnded(image="app", stage="python", status="changed", seconds=2.0),
    TaskEnded(image="app", stage="packages", status="skipping"),
    Warned(text="careful", hint="look"),
    Warned(text="just so"),
    TaskEnded(image="app", stage="verify", status="failed", message="error: no\n    hint: x"),
    TaskEnded(image="app", stage="resolve", status="unreachable", message="error: nobody"),
    Recap(
        image="app",
        counts=(("changed", 2), ("failed", 1), ("ok", 3), ("skipping", 4)),
        size=43_100_000,
        seconds=12.34,
        digest="ab",
    ),
    Recap(image="b", counts=()),
]
ANSIBLE = f"""
PLAY [app] {"*" * 89}

TASK [resolve : base [build]] {"*" * 70}
always
ok: [app]

TASK [python : x] {"*" * 82}
changed: [app]
skipping: [app]
[WARNING]: careful
    hint: look
[WARNING]: just so
fatal: [app]: FAILED! => error: no
    hint: x
fatal: [app]: UNREACHABLE! => error: nobody

PLAY RECAP {"*" * 89}
b : ok=0 changed=0 unreachable=0 failed=0 skipped=0 time=0.0s
app : ok=5 changed=2 unreachable=0 failed=1 skipped=4 size=43.1MB time=12.3s
not run after this failure: c (--keep-going goes on)

afterwards
"""
DENSE = """always
[WARNING]: careful
    hint: look
[WARNING]: just so
fatal: [app]: FAILED! => error: no
    hint: x
fatal: [app]: UNREACHABLE! => error: nobody
b : ok=0 changed=0 unreachable=0 failed=0 skipped=0 time=0.0s
app : ok=5 changed=2 unreachable=0 failed=1 skipped=4 size=43.1MB time=12.3s
not run after this failure: c (--keep-going goes on)

afterwards
"""


def rendered(capsys: pytest.CaptureFixture[str], kind: Output, verbosity: int = 0) -> str:
    with Renderer(kind, verbosity) as renderer:
        for event in EVENTS:
            renderer(event)
        renderer.later("afterwards")
        renderer.later("afterwards, in many words", level=1)
        renderer.finish(["b", "app", "c"])
    return capsys.readouterr().out


@pytest.mark.parametrize(("kind", "text"), [("ansible", ANSIBLE), ("auto", ANSIBLE), ("dense", DENSE)])
def test_text(kind: Output, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rendered(capsys, kind) == text


@pytest.mark.parametrize(("verbosity", "more"), [(0, []), (1, ["level one"]), (2, ["level one", "level two"])])
def test_verbosity(verbosity: int, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = rendered(capsys, "ansible", verbosity).splitlines()
    assert [line for line in ("level one", "level two") if line in lines] == more
    assert ("ok: [app] (1.2 s)" in lines) is (verbosity > 0)
    assert ("digest: sha256:ab" in lines) is (verbosity > 0)


def test_json_is_one_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in rendered(capsys, "json").splitlines()]
    assert [row["event"] for row in rows] == [type(event).__name__ for event in EVENTS]
    assert rows[5] == {
        "event": "TaskEnded",
        "image": "app",
        "stage": "resolve",
        "status": "ok",
        "message": "",
        "seconds": 1.25,
        "why": "",
    }


def test_a_heartbeat_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "HEARTBEAT", -1.0)
    with Renderer("dense", 0) as renderer:
        renderer(Progress(what="pull x", done=1_500_000, total=3_000_000))
        renderer(Progress(what="load", done=999))
        renderer(Progress(what="uv resolves", done=12, unit="s"))
        renderer(Progress(what="python [app]", done=0, image="app", stage="python"))
    lines = ["... pull x: 1.5MB of 3.0MB", "... load: 999B", "... uv resolves: 12 s", "... python [app]"]
    assert capsys.readouterr().out.splitlines() == lines


def task(image: str, stage: str, what: str, *more: Event) -> list[Event]:
    """What is said of one task, as it comes when several images are made at once."""
    return [
        TaskStarted(image=image, stage=stage, what=what),
        *more,
        TaskEnded(image=image, stage=stage, status="changed", seconds=1.0, why="wheels changed"),
    ]


TOGETHER = f"""
TASK [python : x] {"*" * 82}
changed: [a]
changed: [b]

TASK [python : y] {"*" * 82}
[WARNING]: careful
changed: [c]

TASK [python : x] {"*" * 82}
changed: [d]
"""


def test_images_stand_below_their_task_as_hosts_do(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "x", ()), ("b", "x", ()), ("c", "y", (Warned(text="careful"),)), ("d", "x", ())]
    with Renderer("ansible", 0) as renderer:
        for image, what, more in rows:
            for event in task(image, "python", what, *more):
                renderer(event)
    assert capsys.readouterr().out == TOGETHER


def test_a_stage_that_tells_of_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with Renderer("ansible", 1) as renderer:
        for event in task("a", "python", "compile", *task("a", "python", "configure"), *task("a", "python", "make")):
            renderer(event)
    lines = [line.partition(" **")[0] for line in capsys.readouterr().out.splitlines() if line]
    said = "changed: [a] (1.0 s; wheels changed)"
    titles = [f"TASK [python : {what}]" for what in ("compile", "configure", "make", "compile")]
    assert lines == [titles[0], titles[1], said, titles[2], said, titles[3], said]


def test_why_an_image_was_made(capsys: pytest.CaptureFixture[str]) -> None:
    with Renderer("ansible", 0) as renderer:
        renderer(Recap(image="a", counts=(), why="nothing changed"))
        renderer.finish(["a"])
    assert capsys.readouterr().out.splitlines()[-1].endswith(" time=0.0s (nothing changed)")


def test_lines_of_commands_stay_out_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("ansible", "json"):
        with Renderer(kind, 0) as renderer:
            renderer.line("use it")
            renderer.line("detail", level=1)
    assert capsys.readouterr().out == "use it\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"), (999, "999B"), (1000, "1.0kB"), (999_949, "999.9kB"), (1_000_000, "1.0MB"), (43_149_999, "43.1MB"),
        (1_000_000_000, "1.0GB"), (5_500_000_000_000, "5.5TB"), (10**16, "10000.0TB"),
    ],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert bytes_text(count) == text


SCRIPT = """
from slimrun.cli.output import Renderer
from slimrun.events import *
with Renderer("auto", 0) as renderer:
    renderer(TaskStarted(image="a", stage="python", what="[red]text[/red] :smile:"))
    renderer(Progress(what="pull [x]", done=1, total=2))
    renderer(TaskEnded(image="a", stage="python", status="changed"))
"""


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal(environ: dict[str, str], coloured: bool) -> None:
    """Text in brackets is not markup; NO_COLOR is heeded; the cursor is shown again."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"cannot be had here: a pseudo-terminal ({error})")
    env = {"TERM": "xterm-256color", "PATH": os.environ["PATH"], "COLUMNS": "120", **environ}
    done = subprocess.run([sys.executable, "-c", SCRIPT], stdout=theirs, stderr=subprocess.PIPE, env=env, check=True)
    os.close(theirs)
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.stderr == b""
    assert "TASK [python : [red]text[/red] :smile:] ***" in text
    assert ("\x1b[33mchanged: [a]" in text) is coloured
    assert "changed: [a]" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_rich_is_loaded_for_a_terminal_alone() -> None:
    script = SCRIPT + "\nimport sys; print('rich' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert done.stdout.splitlines()[-1] == "False"
