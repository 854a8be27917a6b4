"""A project of one's own: what of its folder is sources, the same whatever was built or run beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.treetext import content

from slimrun.errors import BadSource, Where
from slimrun.python import project
from slimrun.python.project import keep_project, read_project

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.tree.tree import Tree

PLACE = Where("r.yaml", 4, 5)


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    write(root, "pyproject.toml", "src/x/__init__.py", "src/x/data/build/keep.txt", "run.sh")
    (root / "run.sh").chmod(0o775)
    return root


def test_sources_and_nothing_that_was_built_or_run(folder: Path) -> None:
    clean = read_project(folder)
    assert sorted(path for path, entry in clean.files()) == [
        "/pyproject.toml",
        "/run.sh",
        "/src/x/__init__.py",
        "/src/x/data/build/keep.txt",
    ]
    assert clean["/run.sh"].mode == 0o755
    assert clean["/src"].mode == 0o755
    write(
        folder,
        *(".git/config", "src/x/__pycache__/x.pyc", "build/lib/x.py", "dist/x.whl", "src/x.egg-info/SOURCES.txt"),
        *("env/pyvenv.cfg", "env/lib/big.py", ".mypy_cache/CACHEDIR.TAG", ".mypy_cache/3.11/x.json"),
    )
    assert read_project(folder) == clean


def test_a_worktree_keeps_git_in_a_file(folder: Path) -> None:
    clean = read_project(folder)
    write(folder, ".git")
    assert read_project(folder) == clean


def test_umask_and_owner_do_not_matter(folder: Path) -> None:
    before = read_project(folder).digest()
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
    assert read_project(folder).digest() == before
    (folder / "pyproject.toml").chmod(0o700)
    assert read_project(folder).digest() != before


def test_links_stay_inside(folder: Path) -> None:
    (folder / "src/link").symlink_to("../run.sh")
    assert content(read_project(folder))["/src/link"] == "symlink ../run.sh"
    for target in ("../../secret", "/etc/passwd"):
        (folder / "out").symlink_to(target)
        with pytest.raises(BadSource, match="a link out of the project") as caught:
            read_project(folder, PLACE)
        assert caught.value.where == PLACE
        (folder / "out").unlink()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match=r"gone cannot be read: No such file"):
        read_project(tmp_path / "gone", PLACE)


def test_kept_bytes_are_the_cache_s_own(folder: Path, cache: Cache) -> None:
    kept = keep_project(folder, cache, PLACE)
    assert kept.digest() == read_project(folder).digest()
    (folder / "run.sh").write_text("changed")
    assert kept.read("/run.sh") == b"run.sh"


def test_a_file_that_changes_meanwhile(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    real = read_project

    def slow(root: Path, where: Where | None = None) -> Tree:
        tree = real(root, where)
        (root / "run.sh").write_text("RUN.SH")
        return tree

    monkeypatch.setattr(project, "read_project", slow)
    with pytest.raises(BadSource, match="changed while it was read"):
        keep_project(folder, cache, PLACE)
