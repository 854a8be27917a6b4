"""`files`: what a recipe copies; modes as a checkout has them mean nothing but the execute bit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.treetext import content

from slimrun.assemble.files import copy_files, keep_bytes
from slimrun.cache.store import Cache
from slimrun.errors import FileConflict, ImageFailed, Where
from slimrun.recipe.model import FileCopy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for name, mode in {
        "app/main.py": 0o664,
        "app/run.sh": 0o775,
        "app/build/x.o": 0o600,
        "app/sub/build": 0o644,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(mode)
    for name in ("app/.git/config", "app/__pycache__/x.pyc", "app/sub/__pycache__/y.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("never")
    (tmp_path / "app/in").symlink_to("sub/build")
    (tmp_path / "app/abs").symlink_to("/etc/ssl")
    return tmp_path


def copy(repo: Path, source: str | None, to: str, line: int = 1, **facts: Any) -> FileCopy:
    return FileCopy(source=source, to=to, where=Where("x.yaml", line, 3), base=repo, **facts)


APP = {
    "/app": "dir 0755",
    "/app/abs": "symlink /etc/ssl",
    "/app/build": "dir 0755",
    "/app/build/x.o": "file 0644",
    "/app/in": "symlink sub/build",
    "/app/main.py": "file 0644",
    "/app/run.sh": "file 0755",
    "/app/sub": "dir 0755",
    "/app/sub/build": "file 0644",
}
ROWS: list[tuple[str | None, str, dict[str, Any], dict[str, str]]] = [
    ("app", "/app", {}, APP),
    ("app/", "/app/", {}, APP),
    ("app", "/", {}, {path.removeprefix("/app"): row for path, row in APP.items() if path != "/app"}),
    ("app/main.py", "/srv/m.py", {}, {"/srv/m.py": "file 0644"}),
    ("app/main.py", "/srv/", {}, {"/srv/main.py": "file 0644"}),
    ("app/run.sh", "/run.sh", {"mode": "0600"}, {"/run.sh": "file 0600"}),
    ("app/in", "/x", {}, {"/x": "file 0644"}),
    ("app/main.py", "/x", {"owner": "5:6"}, {"/x": "file 0644 owner 5:6"}),
    (None, "/data", {}, {"/data": "dir 0755"}),
    (None, "/data/", {"mode": "1777", "owner": "7:8"}, {"/data": "dir 1777 owner 7:8"}),
]
EXCLUDED: list[tuple[tuple[str, ...], set[str]]] = [
    (("*.py",), {"/app/main.py"}),
    (("build",), {"/app/build", "/app/build/x.o", "/app/sub/build"}),
    (("build/",), {"/app/build", "/app/build/x.o"}),
    (("sub/build",), {"/app/sub/build"}),
    (("build/*.o",), {"/app/build/x.o"}),
    (("**/build",), {"/app/build", "/app/build/x.o", "/app/sub/build"}),
    (("main",), set()),
    (("{main,run}.*", "abs", "in"), {"/app/main.py", "/app/run.sh", "/app/abs", "/app/in"}),
    (("/",), set()),
]


def kinds(found: dict[str, str]) -> dict[str, str]:
    """dump() without digests."""
    words = {path: row.split(" ") for path, row in found.items()}
    return {path: " ".join([*row[:2], *row[3:]] if row[0] == "file" else row) for path, row in words.items()}


@pytest.mark.parametrize(("source", "to", "facts", "expected"), ROWS)
def test_copying(source: str | None, to: str, facts: dict[str, Any], expected: dict[str, str], repo: Path) -> None:
    part = copy_files([copy(repo, source, to, **facts)])
    assert kinds(part.tree.dump()) == dict(sorted(expected.items()))
    assert [path for path, _ in part.whys] == list(part.tree)
    assert {why.where for _, why in part.whys} == {Where("x.yaml", 1, 3)}


@pytest.mark.parametrize(("patterns", "gone"), EXCLUDED)
def test_exclude(patterns: tuple[str, ...], gone: set[str], repo: Path) -> None:
    found = copy_files([copy(repo, "app", "/app", exclude=patterns)]).tree
    assert set(APP) - set(found) == gone


def test_the_umask_of_a_checkout_means_nothing(repo: Path) -> None:
    first = copy_files([copy(repo, "app", "/app")]).tree.digest()
    for path in repo.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    os.utime(repo / "app/main.py", (0, 0))
    assert copy_files([copy(repo, "app", "/app")]).tree.digest() == first


def test_two_entries_of_one_path(repo: Path) -> None:
    with pytest.raises(
        FileConflict, match=r"two entries of files write /app/main.py: here and at x.yaml:1:3"
    ) as caught:
        copy_files([copy(repo, "app", "/app"), copy(repo, "app/run.sh", "/app/main.py", 2)])
    assert caught.value.where == Where("x.yaml", 2, 3)
    both = copy_files([copy(repo, "app", "/app"), copy(repo, None, "/app", 2, mode="0700")])
    assert both.tree["/app"].mode == 0o700, "a folder may be named again, for its mode"


@pytest.mark.parametrize("target", ["../x", "../../etc/passwd", "sub/../../x", ".."])
def test_links_out_of_the_folder(target: str, repo: Path) -> None:
    (repo / "app/out").symlink_to(target)
    with pytest.raises(ImageFailed, match="is a link out of the folder"):
        copy_files([copy(repo, "app", "/app")])
    assert "/app/main.py" in copy_files([copy(repo, "app", "/app", exclude=("out",))]).tree


def test_what_is_no_file(repo: Path) -> None:
    os.mkfifo(repo / "app/fifo")
    with pytest.raises(ImageFailed, match="neither a file"):
        copy_files([copy(repo, "app", "/app")])


@pytest.mark.parametrize("source", ["app/none", "none/x"])
def test_what_is_gone(source: str, repo: Path) -> None:
    with pytest.raises(ImageFailed, match="cannot be read: No such file or directory") as caught:
        copy_files([copy(repo, source, "/x")])
    assert caught.value.where == Where("x.yaml", 1, 3)


def test_bytes_are_kept_in_the_cache(repo: Path) -> None:
    part = copy_files([copy(repo, "app", "/app")])
    with Cache(repo / "cache").pack("key") as pack:
        kept = keep_bytes(part, pack)
    assert kept.tree.digest() == part.tree.digest()
    (repo / "app/main.py").unlink()
    assert content(kept.tree)["/app/main.py"] == "app/main.py"


def test_a_file_that_changes_meanwhile(repo: Path) -> None:
    part = copy_files([copy(repo, "app", "/app")])
    (repo / "app/main.py").write_text("APP/MAIN.PY")
    with pytest.raises(ImageFailed, match="changed while it was copied"), Cache(repo / "cache").pack("key") as pack:
        keep_bytes(part, pack)
