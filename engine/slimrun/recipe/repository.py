"""The repository around a file: how far up we look, and what a path in a recipe may not leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def folders_up(start: Path) -> tuple[Path, ...]:
    """`start` and its parents, up to the folder that holds `.git`; `start` alone where none does.

    Without a repository nothing above counts: a slim.yaml that somebody left in /tmp must not steer a build.
    """
    here = start.absolute()
    folders = (here, *here.parents)
    for count, folder in enumerate(folders, start=1):
        if (folder / ".git").exists():
            return folders[:count]
    return (here,)


def repository_root(start: Path) -> Path:
    """The folder that holds `.git`, or `start` where none does."""
    return folders_up(start)[-1]
