"""Where a file is named and something else is: nothing is waited for, and the message says what is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import Invalid, RecipeInvalid
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "python: {image: x}\n"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def socket(path: Path) -> None:
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX) as made:
        made.bind(str(path))


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("gone")


def load(path: Path) -> None:
    load_recipe(path, slim=Slim())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (pipe, "this is not a file"),
        (socket, "this is not a file"),
        (folder, "a folder, where a recipe is wanted"),
        (loop, "a link to r.yaml, which leads to no file"),
        (dangling, "a link to gone, which leads to no file"),
    ],
)
def test_as_recipe(repository: Path, make: Callable[[Path], None], says: str) -> None:
    make(repository / "r.yaml")
    with pytest.raises(Invalid, match=says) as caught:
        load(repository / "r.yaml")
    assert "did you mean" not in caught.value.hint


@pytest.mark.parametrize("make", [pipe, socket, folder])
@pytest.mark.parametrize(
    ("text", "where", "folder_too"),
    [
        ("wheels: [-r it.txt]\n", "2:10", True),
        ("wheels: [-r pylock.it.toml]\n", "2:10", True),
        ("wheels: [./it.whl]\n", "2:10", False),
        ("pip: {constraints: it.txt}\nwheels: [x]\n", "2:20", True),
        ("files: [{from: it.txt, to: /x}]\n", "2:16", False),
    ],
)
def test_as_what_a_recipe_names(
    repository: Path, make: Callable[[Path], None], text: str, where: str, folder_too: bool
) -> None:
    """A folder may be copied, and may hold a project that is built."""
    for name in ("it.txt", "it.whl", "pylock.it.toml"):
        make(repository / name)
    (repository / "r.yaml").write_text(HEAD + text)
    if make is folder and not folder_too:
        load(repository / "r.yaml")
        return
    with pytest.raises(RecipeInvalid) as caught:
        load(repository / "r.yaml")
    (problem,) = caught.value.problems
    kind = "a folder" if make is folder else "a pipe, a socket or a device"
    assert (problem.rule, str(problem.where)) == ("path-kind", f"{repository}/r.yaml:{where}")
    assert problem.text.endswith(f"is {kind}, not a file")


def test_a_device(repository: Path) -> None:
    """It would be read without end; and it lies outside the repository, as a link shows."""
    (repository / "zero.txt").symlink_to("/dev/zero")
    (repository / "r.yaml").write_text(HEAD + "wheels: [-r zero.txt]\n")
    with pytest.raises(RecipeInvalid, match=r"1 problem") as caught:
        load(repository / "r.yaml")
    assert caught.value.problems[0].rule == "path-outside"


def test_a_name_that_no_file_system_takes(repository: Path) -> None:
    with pytest.raises(Invalid, match="the file cannot be read: File name too long"):
        load(repository / f"{'x' * 5000}.yaml")
    assert not Path("x").exists()
