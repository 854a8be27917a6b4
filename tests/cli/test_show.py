"""`slimrun show`: the recipe as it counts is a recipe, and every value has the place that it came from."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slimrun.cli import show
from slimrun.errors import BadCommandLine, Invalid, Where
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim

if TYPE_CHECKING:
    from slimrun.recipe.model import Recipe

ROOT = Path(__file__).resolve().parents[2]
VALID = ROOT / "tests/examples/valid"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(VALID, tmp_path / "valid")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "valid")
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)
    return tmp_path / "valid"


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert show.main(words) == 0
    return capsys.readouterr().out


def placeless(value: Any) -> Any:
    """The same value without places."""
    if isinstance(value, Where):
        return None
    if isinstance(value, tuple):
        return tuple(map(placeless, value))
    if dataclasses.is_dataclass(value):
        return tuple(placeless(getattr(value, field.name)) for field in dataclasses.fields(value))
    return value


def bare(recipe: Recipe) -> Any:
    return placeless(dataclasses.replace(recipe, origins=(), source=Path()))


NAMES = sorted(path.name for path in VALID.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_recipe_that_says_the_same(name: str, repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, text = load_recipe(Path(name), slim=Slim()), shown(capsys, name)
    (repo / name).write_text(text, encoding="utf-8")
    assert bare(load_recipe(Path(name), slim=Slim())) == bare(before)
    assert shown(capsys, name) == text, "showing it again changes nothing"


def test_dollars_come_back(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("$${x}", "$$$${x}", "$$$$", "a$b", "$", "$$", "${v}"):
        (repo / "d.yaml").write_text(
            f"vars: {{v: '$${{w}}'}}\npython: {{image: x}}\nimage: {{env: {{A: '{value}'}}}}\n".replace("$${w}", "w")
        )
        (repo / "again.yaml").write_text(shown(capsys, "d.yaml"))
        before, after = (load_recipe(Path(name), slim=Slim()) for name in ("d.yaml", "again.yaml"))
        assert before.image.env == after.image.env, value


def test_origins(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "slim.yaml").write_text("defaults:\n  runtime: scratch\n")
    (repo / "p.yaml").write_text("python:\n  image: x\nimage: {env: {A: 1}}\n")
    (repo / "r.yaml").write_text("extends: p.yaml\nimage:\n  env:\n    B: two\nwheels: [click]\n")
    lines = shown(capsys, "r.yaml", "--origin", "--set", "image.cmd=[a]", "-e", "v=1").splitlines()
    found = dict(line.split("  # ") for line in lines[1:] if "  # " in line)
    places = {key.strip(): place for key, place in found.items()}
    assert places["image: x"] == "p.yaml:2:3"
    assert places["runtime: scratch"] == f"{repo}/slim.yaml:2:3"
    assert places['A: "1"'] == "p.yaml:3:15"
    assert places["B: two"] == "r.yaml:4:5"
    assert places["- click"] == "r.yaml:5:10"
    assert places["- a"].startswith("--set image.cmd")
    assert places['v: "1"'] == "-e v"
    assert places["level: small"] == "built-in"
    assert [line for line in lines if line == "image:"], "a map has no place of its own"
    assert "# " not in "".join(shown(capsys, "r.yaml").splitlines()[1:])


def test_one_key(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "r.yaml").write_text("python: {image: x}\nimage: {labels: {A: 1, b.c: 2}}\nwheels: [click, flask]\n")
    assert shown(capsys, "r.yaml", "-k", "image.labels").splitlines()[1:] == [
        "image:",
        "  labels:",
        '    A: "1"',
        '    b.c: "2"',
    ]
    assert shown(capsys, "r.yaml", "-k", "wheels[1]", "-k", "runtime").splitlines()[1:] == [
        "wheels:", "  - flask", 'runtime: "busybox:glibc"',
    ]  # fmt: skip
    with pytest.raises(BadCommandLine) as caught:
        shown(capsys, "r.yaml", "-k", "prune.levle")
    assert caught.value.hint == "did you mean 'prune.level'?"


def test_images_of_a_catalog(capsys: pytest.CaptureFixture[str], repo: Path) -> None:
    assert repo.is_dir()
    text = shown(capsys, "catalog/team.yaml", "-l", "job,app", "--origin", "-k", "image.labels", "-k", "name")
    assert text.count("\n---\n") == 1
    heads = [line for line in text.splitlines() if line.startswith("# ")]
    assert heads == ["# job: catalog/recipes/job.yaml", "# app: catalog/recipes/app.yaml"]
    assert "team: platform  # catalog/team.yaml:6:14" in text


def test_what_is_not_valid_is_not_shown(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "r.yaml").write_text("wheelz: []\n")
    with pytest.raises(Invalid):
        shown(capsys, "r.yaml")
