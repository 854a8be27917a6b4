"""Which files and folders of this machine the lines of `wheels` lead to: their content is part of what a result is cached by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.python.reqfile import logical_lines, read_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from slimrun.python.requirements import Line

_OPTIONS = ("-r", "--requirement", "-c", "--constraint")


def files_read(lines: Iterable[Line]) -> tuple[Path, ...]:
    """Local wheels and requirements files, those that other files name included; sorted. Ones that are not there are left out."""
    return tuple(sorted(path for path in _paths(lines) if path.is_file()))


def folders_read(lines: Iterable[Line]) -> tuple[Path, ...]:
    """The folders of which wheels are built, named here or in requirements files; sorted."""
    return tuple(sorted(path for path in _paths(lines) if path.is_dir()))


def _paths(lines: Iterable[Line]) -> dict[Path, None]:
    found: dict[Path, None] = {}
    todo = [path for line in lines for path in _named(line.text, line.base)]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found[path] = None
        if path.suffix in (".txt", ".in"):
            try:
                text = read_given(path)
            except (OSError, UnicodeDecodeError):
                continue  # whoever reads it for what it says has the words for that
            todo += [named for line, _ in logical_lines(text) for named in _named(line, path.parent)]
    return found


def _named(text: str, base: Path) -> Iterator[Path]:
    for option in _OPTIONS:
        if text.startswith(option) and (name := text.removeprefix(option).lstrip(" =")):
            yield base / name
            return
    if text.startswith((".", "/")):
        yield base / text.split(";")[0].partition("[")[0].strip()
