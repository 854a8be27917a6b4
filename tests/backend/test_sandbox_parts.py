"""The parts of a sandbox that are plain functions: whom USER means, where a mount point really is, what is written to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.treetext import tree

from slimrun.backend.sandbox_root import Root, _real
from slimrun.backend.sandbox_user import User, find_user
from slimrun.errors import BadArchive, ImageFailed

if TYPE_CHECKING:
    from pathlib import Path

IDS = tree(
    {
        "/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nbroken\nb:x:no:1::/:\n"
        b"app:x:1000:1001::/home/app:\nfour:x:4:65534:four:/:/bin/sync\n",
        "/etc/group": b"root:x:0:\nstaff:x:50:app,other\nwheel:x:10:app\nnobody:x:65534:\n",
    }
)


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(uid=0, gid=0, home="/root")),
        ("0", User(uid=0, gid=0, home="/root")),
        ("app", User(uid=1000, gid=1001, groups=(50, 10), home="/home/app")),
        ("1000", User(uid=1000, gid=1001, groups=(50, 10), home="/home/app")),
        ("app:staff", User(uid=1000, gid=50, home="/home/app")),
        ("app:7", User(uid=1000, gid=7, home="/home/app")),
        ("77", User(uid=77, gid=0)),
        ("77:nobody", User(uid=77, gid=65534)),
        (":staff", User(uid=0, gid=50, home="/root")),
    ],
)
def test_whom_user_means(text: str, user: User) -> None:
    assert find_user(text, IDS) == user


@pytest.mark.parametrize(("text", "said"), [("none", "user 'none'"), ("app:none", "group 'none'")])
def test_a_name_that_the_image_does_not_know(text: str, said: str) -> None:
    with pytest.raises(ImageFailed, match=said):
        find_user(text, IDS)


def test_an_image_without_passwd() -> None:
    assert find_user("", tree({})) == User(uid=0, gid=0)
    assert find_user("5:6", tree({"/etc/passwd": "symlink /none"})) == User(uid=5, gid=6)


LINKS = tree(
    {
        "/var/run": "symlink /run",
        "/up": "symlink ../../../x",
        "/a/b": "symlink ../c/d",
        "/c/d": "symlink e",
        "/loop": "symlink loop",
        "/file": b"x",
        "/dot": "symlink .",
    }
)


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/", "/"),
        ("/new/er", "/new/er"),
        ("/var/run/app", "/run/app"),
        ("/up/y", "/x/y"),
        ("/a/b", "/c/e"),
        ("/dot/dot/z", "/z"),
        ("/q/../../r", "/r"),
    ],
)
def test_where_a_mount_point_is(path: str, real: str) -> None:
    assert _real(LINKS, path) == real


@pytest.mark.parametrize("path", ["/loop", "/loop/x", "/file", "/file/x"])
def test_where_none_can_be(path: str) -> None:
    with pytest.raises(BadArchive, match="is no folder"):
        _real(LINKS, path)


def test_a_path_below_a_link_is_refused_and_not_written_to_the_host(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with pytest.raises(BadArchive, match="below something that is no folder"):
        Root(tree({"/link": f"symlink {tmp_path}/outside", "/link/x": b"x"}), tmp_path, name="r-", owners=False)
    assert list((tmp_path / "outside").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["outside"], "what was begun is gone"


def test_modes_and_implied_folders(tmp_path: Path) -> None:
    root = Root(
        tree({"/a/b/c": "file 6640 x", "/d": "dir 0500", "/d/e": b"e", "/dev/sda": "block 8:0"}),
        tmp_path,
        name="r-",
        owners=False,
    )
    modes = {name: oct((root.path / name).stat().st_mode & 0o7777) for name in ("a/b", "a/b/c", "d")}
    assert modes == {"a/b": "0o755", "a/b/c": "0o640", "d": "0o500"}
    assert list((root.path / "dev").iterdir()) == []
    root.remove()
    assert list(tmp_path.iterdir()) == []
