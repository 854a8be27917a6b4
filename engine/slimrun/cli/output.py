"""Events as text: Ansible's words, a progress line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from slimrun.events import Event, Note, PlayStarted, Progress, Recap, Status, TaskEnded, TaskStarted, Warned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from slimrun.settings import Output

WIDTH = 100
HEARTBEAT = 10.0
_Task = tuple[str, str, str]
# A task that takes so many seconds says how long it took.
_WORTH_SAYING = 10.0
_COLOURS: dict[Status, str] = {
    "ok": "green",
    "changed": "yellow",
    "skipping": "cyan",
    "failed": "red",
    "unreachable": "red",
    "unknown": "cyan",
}


class Renderer:
    """The Emit of the command line; a context manager, so that the terminal is left as it was found."""

    def __init__(self, output: Output, verbosity: int) -> None:
        self._output = "ansible" if output == "auto" else output
        self._verbosity = verbosity
        self._console = (
            _console() if sys.stdout is not None and sys.stdout.isatty() else None
        )  # rich takes 0.05 s to load
        self._bars: Bars | None = None
        self._tasks: dict[_Task, TaskID] = {}
        self._titles: dict[tuple[str, str], list[str]] = {}
        self._shown = ""
        self._spoke = time.monotonic()
        self._recaps: dict[str, Recap] = {}
        self._later: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        if self._console is not None and self._output != "json":
            self._bars = _bars(self._console)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event, /) -> None:
        """Render one event."""
        if self._output == "json":
            print(json.dumps({"event": type(event).__name__, **asdict(event)}), flush=True)
            return
        match event:
            case PlayStarted(image=image):
                self._header(f"PLAY [{image}]")
            case TaskStarted():
                self._begin(event)
            case TaskEnded():
                self._end(event)
            case Progress():
                self._progress(event)
            case Note(text=text, level=level):
                self.line(text, level=level)
            case Warned(text=text, hint=hint):
                self._print(f"[WARNING]: {text}" + (f"\n    hint: {hint}" if hint else ""), "yellow")
            case Recap(image=image):
                self._recaps[image] = event

    def line(self, text: str, *, level: int = 0) -> None:
        """A line of its own, where the verbosity allows it; nothing in JSON output."""
        if level <= self._verbosity and self._output != "json":
            self._print(text)

    def later(self, text: str, *, level: int = 0) -> None:
        """A line that is printed below the RECAP."""
        self._later.append((text, level))

    def finish(self, images: Sequence[str]) -> None:
        """The RECAP of all images in this order, however they came to their ends, and what was kept for below it."""
        if self._output != "json":
            self._header("PLAY RECAP")
            for image in images:
                if image in self._recaps:
                    self._recap(self._recaps[image])
            left = [image for image in images if image not in self._recaps]
            if left:
                self._print(f"not run after this failure: {', '.join(left)} (--keep-going goes on)", "yellow")
        if any(level <= self._verbosity for _, level in self._later):
            self.line("")
        for text, level in self._later:
            self.line(text, level=level)

    def _header(self, text: str) -> None:
        """A headline, not twice in a row: below one TASK stand all images that came to it, as hosts do in Ansible."""
        if self._output == "ansible" and text != self._shown:
            self._shown = text
            self._print(f"\n{text} {'*' * max(3, WIDTH - len(text) - 1)}")

    def _begin(self, event: TaskStarted) -> None:
        title = f"TASK [{event.stage} : {event.what}]"
        self._titles.setdefault((event.image, event.stage), []).append(title)
        self._header(title)
        if self._bars is not None:
            self._bar(Progress(what=event.stage, done=0, image=event.image, stage=event.stage))

    def _progress(self, event: Progress) -> None:
        if self._bars is not None:
            self._bar(event)
        elif time.monotonic() - self._spoke > HEARTBEAT:
            count = _count(event)
            self._print(f"... {event.what}: {count}" if count else f"... {event.what}")

    def _bar(self, event: Progress) -> None:
        if self._bars is not None:
            task, total = (event.image, event.stage, event.what), event.total or None
            if task not in self._tasks:
                self._tasks[task] = self._bars.add_task(event.what, total=total, count="")
            self._bars.update(self._tasks[task], completed=event.done, total=total, count=_count(event))

    def _end(self, event: TaskEnded) -> None:
        if self._bars is not None:
            for task in [key for key in self._tasks if key[:2] in ((event.image, event.stage), ("", ""))]:
                self._bars.remove_task(self._tasks.pop(task))
        titles = self._titles.get((event.image, event.stage))
        if titles:
            self._header(titles.pop())
        colour = _COLOURS[event.status]
        if event.status in ("failed", "unreachable"):
            word = "FAILED" if event.status == "failed" else "UNREACHABLE"
            self._print(f"fatal: [{event.image}]: {word}! => {event.message}", colour)
        elif self._output == "ansible":
            why = f"; {event.why}" if event.why and self._verbosity else ""
            told = self._verbosity or event.seconds >= _WORTH_SAYING
            took = f" ({event.seconds:.1f} s{why})" if told else ""
            self._print(f"{event.status}: [{event.image}]{took}", colour)

    def _recap(self, event: Recap) -> None:
        counts = dict(event.counts)
        words: tuple[tuple[str, Status], ...] = (
            ("ok", "ok"),
            ("changed", "changed"),
            ("unreachable", "unreachable"),
            ("failed", "failed"),
            ("skipped", "skipping"),
        )
        # As Ansible counts, ok includes changed.
        counts["ok"] = counts.get("ok", 0) + counts.get("changed", 0)
        text = " ".join(f"{word}={counts.get(status, 0)}" for word, status in words)
        text += f" unknown={counts['unknown']}" if counts.get("unknown") else ""
        why = f" ({event.why})" if event.why else ""
        size = f" size={bytes_text(event.size)}" if event.size else ""
        colour = "red" if counts.get("failed") or counts.get("unreachable") else "green"
        self._print(f"{event.image} : {text}{size} time={event.seconds:.1f}s{why}", colour)
        if event.digest:
            self.line(f"digest: sha256:{event.digest}", level=1)

    def _print(self, text: str, style: str = "") -> None:
        self._spoke = time.monotonic()
        if self._console is not None:
            self._console.print(text, style=style)
        else:
            print(text, flush=True)


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, markup=False, highlight=False, soft_wrap=True, emoji=False)  # heeds NO_COLOR


def _bars(console: Console) -> Bars:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    text = TextColumn("{task.description}", markup=False)
    count = TextColumn("{task.fields[count]}", markup=False)
    return Bars(text, BarColumn(), count, TimeElapsedColumn(), console=console, transient=True)


def _count(event: Progress) -> str:
    """`4.1MB of 9.0MB`, `120 lines`; nothing of what has only begun."""
    if not event.done and not event.total:
        return ""
    count = bytes_text if event.unit == "B" else str
    of = f" of {count(event.total)}" if event.total else ""
    return f"{count(event.done)}{of}{'' if event.unit == 'B' else f' {event.unit}'}"


def bytes_text(count: int) -> str:
    """A size as people read it: `43.1MB`, by powers of ten."""
    if count < 1000:
        return f"{count}B"
    value, unit = count / 1000, "kB"
    for bigger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{value:.1f}{unit}"
