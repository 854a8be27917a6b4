"""Every recipe in examples/invalid gives exactly the text beside it; every one in examples/valid loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import RecipeInvalid
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "tests" / "examples"
INVALID = sorted(path.name for path in (EXAMPLES / "invalid").glob("*.yaml"))
VALID = sorted(path.name for path in (EXAMPLES / "valid").glob("*.yaml"))
SHIPPED = sorted(path.name for path in (ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES / "invalid")
    with pytest.raises(RecipeInvalid) as caught:
        load_recipe(Path(name), slim=Slim())
    golden((EXAMPLES / "invalid" / name).with_suffix(".txt"), caught.value.render() + "\n")


def test_there_are_enough_bad_examples() -> None:
    assert len(INVALID) >= 24


@pytest.mark.parametrize("name", INVALID)
def test_problems_are_in_file_order_and_show_their_line(name: str) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        load_recipe(EXAMPLES / "invalid" / name, slim=Slim())
    problems = caught.value.problems
    assert list(problems) == sorted(problems, key=lambda problem: problem.where)
    assert len(set(problems)) == len(problems)
    for problem in problems:
        assert problem.rule
        assert problem.text
        assert problem.source or not problem.where.line or name in ("not-utf-8.yaml", "billion-laughs.yaml")


@pytest.mark.parametrize("name", VALID)
def test_valid(name: str) -> None:
    recipe = load_recipe(EXAMPLES / "valid" / name, slim=Slim())
    assert recipe.name == ("12" if name == "scalars.yaml" else "bom" if name == "bom-crlf.yaml" else name[:-5])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str) -> None:
    slim = load_slim(ROOT / "slim.yaml")
    assert load_recipe(ROOT / "recipes" / name, slim=slim).name == name.removesuffix(".yaml")
