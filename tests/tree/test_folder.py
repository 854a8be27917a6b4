"""Folders of this machine as trees: links stay links, owners are 0:0."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.treetext import content

from slimrun.errors import ImageFailed
from slimrun.tree.entry import file
from slimrun.tree.folder import read_entry, read_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "d/.git").mkdir(parents=True)
    (tmp_path / "d/.git/config").write_text("secret")
    (tmp_path / "d/x").write_text("X")
    (tmp_path / "d/x").chmod(0o4750)
    (tmp_path / "d").chmod(0o700)
    (tmp_path / "l").symlink_to("/etc/passwd")
    (tmp_path / "dl").symlink_to("d")
    return tmp_path


def test_reading(place: Path) -> None:
    found = read_folder(place, wanted=lambda path, is_folder: not (is_folder and path.endswith("/.git")))
    assert found.dump() == {
        "/d": "dir 0700",
        "/d/x": f"file 4750 {file(b'X').digest[:8]}",
        "/dl": "symlink d",
        "/l": "symlink /etc/passwd",
    }
    assert content(found)["/d/x"] == "X"
    assert content(read_folder(place))["/d/.git/config"] == "secret"


def test_wanted_is_told_what_is_a_folder(place: Path) -> None:
    asked = {}

    def wanted(path: str, is_folder: bool) -> bool:
        asked[path] = is_folder
        return True

    read_folder(place, wanted=wanted)
    folders = {path for path, is_folder in asked.items() if is_folder}
    assert folders == {"/d", "/d/.git"}, "a link to a folder is a link"


def test_what_no_image_can_hold(place: Path) -> None:
    os.mkfifo(place / "d/fifo")
    with pytest.raises(ImageFailed, match="neither a file, a folder nor a link"):
        read_folder(place)
    assert read_entry(place / "l").dump() == "symlink /etc/passwd"
