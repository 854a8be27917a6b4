"""Imports point only to a lower rank (docs/design.md, rooms of engine/slimrun); read with `ast`, so also those inside functions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "engine" / "slimrun"

RANKS = {
    "__init__": 0, "errors": 0, "events": 0, "resources": 0, "machine": 0,
    "tree": 1, "settings": 1, "why": 1, "deadline": 1,
    "elf": 2, "recipe": 2, "cache": 2,
    "fetch": 3, "plan": 3,
    "python": 4, "debian": 4, "oci": 4, "lock": 4,
    "prune": 5, "backend": 5,
    "resolve": 6, "assemble": 6, "verify": 6,
    "report": 7, "outside": 7, "memo": 7, "given": 8, "pipeline": 9, "work": 10, "schedule": 11, "cli": 12, "__main__": 13,
}  # fmt: skip

FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
# One importer each for what others wrote; elf/reader.py gives out pyelftools' numbers.
IMPORTERS = {
    "docker": {"backend/docker.py"},
    "elftools": {"elf/reader.py"},
    "installer": {"python/install.py", "python/destination.py", "python/wheelfile.py", "python/inflate.py", "python/zipcheck.py"},
    "rich": {"cli/output.py"},
}  # fmt: skip
SAYING = {"print", "input", "breakpoint", "exit", "quit"}


@cache
def parsed(path: Path) -> ast.Module:
    """A module's syntax, which a dozen tests look at."""
    return ast.parse(path.read_text(encoding="utf-8"))


def room(file: str) -> str:
    return file.partition("/")[0].removesuffix(".py")


def imports(file: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, TYPE_CHECKING ones and those inside functions too."""
    for node in ast.walk(parsed(PACKAGE / file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            if node.module == "slimrun":
                yield from ((node.lineno, f"slimrun.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, str(node.module)


def wrong(file: str) -> Iterator[str]:
    """Imports of a file that point sideways or up."""
    own = room(file)
    for line, name in imports(file):
        if not name.startswith("slimrun."):
            continue
        other = name.split(".")[1]
        if other == "__version__":
            other = "__init__"
        if other != own and RANKS[other] >= RANKS[own] and RANKS[own] + RANKS[other] > 0:
            yield f"{file}:{line} imports {name}: {own} is of rank {RANKS[own]}, {other} of {RANKS[other]}"


def test_every_room_has_a_rank() -> None:
    assert {room(file) for file in FILES} <= set(RANKS)
    assert len(FILES) > 100, "the package was found"


@pytest.mark.parametrize("name", sorted({room(file) for file in FILES}))
def test_imports_point_down(name: str) -> None:
    assert [text for file in FILES if room(file) == name for text in wrong(file)] == []


def test_the_reader_sees_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/x.py").write_text("def f():\n    from slimrun.elf import image\n\nimport slimrun.settings\n")
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert [text.partition(":")[2] for text in wrong("tree/x.py")] == [
        "4 imports slimrun.settings: tree is of rank 1, settings of 1",
        "2 imports slimrun.elf: tree is of rank 1, elf of 2",
    ]


@pytest.mark.parametrize("package", IMPORTERS)
def test_foreign_packages_have_one_importer(package: str) -> None:
    found = {file for file in FILES for _, name in imports(file) if name.partition(".")[0] == package}
    assert found <= IMPORTERS[package]
    assert found, f"nothing imports {package} any more"


PROCESS = {f"os.{name}" for name in ("_exit", "abort", "chdir", "environ", "getenv", "putenv")} | {
    f"sys.{name}" for name in ("argv", "exit", "stderr", "stdin", "stdout")
}
ALLOWED = {
    "backend/sandbox_init.py",  # a process of its own, given to a bare python as text
    "python/pyc_maker.py",  # likewise, given to the interpreter of an image
    "python/hookdriver.py: os.chdir",  # a process of its own, given to the builder's Python as text
    "fetch/uv.py: os.environ",  # what the uv child inherits, cleaned
}


def process_uses(file: str) -> Iterator[str]:
    """What a file has to do with the process it runs in: printing, leaving, its environment and folder."""
    for node in ast.walk(parsed(PACKAGE / file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING:
            yield node.func.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in PROCESS:
                yield name


def test_only_the_command_line_speaks_and_exits() -> None:
    found = {(file, use) for file in FILES if room(file) != "cli" for use in process_uses(file)}
    assert {f"{file}: {use}" for file, use in found if not {file, f"{file}: {use}"} & ALLOWED} == set()


def test_every_module_says_what_it_is() -> None:
    silent = [file for file in FILES if not ast.get_docstring(parsed(PACKAGE / file))]
    assert silent == []


def test_sizes() -> None:
    """A file over 400 lines is to be split (STYLE: size)."""
    assert [file for file in FILES if len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) > 400] == []
