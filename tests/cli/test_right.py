"""What was right is not looked at again: by its content, whatever the file; and what is wrong is told each time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.cli.options import default_cache
from slimrun.errors import RecipeInvalid, RequirementNotMet, SlimrunError
from slimrun.recipe import problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.shop import Shop

    from slimrun.errors import Problem
    from slimrun.recipe.nodes import Mapping
    from slimrun.recipe.schema import Schema


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often jsonschema was asked since this was called last."""
    count, found = [0], problems._found

    def counted(root: Mapping, schema: Schema, *, formats: bool) -> tuple[Problem, ...]:
        count[0] += 1
        return found(root, schema, formats=formats)

    def since() -> int:
        before, count[0] = count[0], 0
        return before

    monkeypatch.setattr(problems, "_found", counted)
    return since


def test_once_for_each_content(shop: Shop, looks: Callable[[], int]) -> None:
    assert shop("app.yaml")[0] == 0
    assert looks() > 0
    assert shop("app.yaml")[0] == 0
    assert looks() == 0
    Path("same.yaml").write_text('# another place\n\npython:\n  image: "python:3.11"\n')
    assert shop("same.yaml", "-l", "same")[0] == 0
    assert looks() == 0
    Path("app.yaml").write_text('python: {image: "python:3.11"}\ndescription: another\n')
    assert shop("app.yaml")[0] == 0
    assert looks() > 0


def test_images_of_one_recipe_share_it(shop: Shop, looks: Callable[[], int]) -> None:
    images = "".join(f"  - recipe: app.yaml\n    name: app-{number}\n" for number in range(9))
    Path("one.yaml").write_text("images:\n  - recipe: app.yaml\n    name: app-0\n")
    Path("nine.yaml").write_text(f"images:\n{images}")
    shop("one.yaml", "--syntax-check")
    one = looks()
    shop("nine.yaml", "--syntax-check")
    assert looks() == one + 8, "the recipe's own text once; its whole has another name each time"


def test_what_is_wrong_is_told_each_time(shop: Shop) -> None:
    assert shop("app.yaml")[0] == 0
    Path("app.yaml").write_text('python: {image: "python:3.11"}\nno-such-key: 1\n')
    for _ in range(2):
        with pytest.raises(RecipeInvalid) as caught:
            shop("app.yaml")
        assert [problem.rule for problem in caught.value.problems] == ["unknown-key"]


def test_another_revision_looks_again(shop: Shop, looks: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    shop("app.yaml")
    looks()
    monkeypatch.setattr(problems, "REVISION", problems.REVISION + 1)
    shop("app.yaml")
    assert looks() > 0


def test_what_only_looks_writes_nothing(shop: Shop, tmp_path: Path) -> None:
    assert shop("app.yaml", "--syntax-check")[0] == 0
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null"])
def test_where_nothing_can_be_written(
    shop: Shop, looks: Callable[[], int], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    for _ in range(2):
        assert shop("app.yaml")[0] == 0
        assert looks() > 0


def test_in_the_cache_that_slim_yaml_names(shop: Shop, looks: Callable[[], int], tmp_path: Path) -> None:
    Path("slim.yaml").write_text("cache: {dir: here}\n")
    assert shop("app.yaml")[0] == 0
    assert looks() > 0
    assert shop("app.yaml")[0] == 0
    assert looks() == 0
    assert Path("here/records/right").is_dir()
    assert not (tmp_path / "home/slimrun/records/right").exists()


@pytest.mark.parametrize("name", ['"a\\0b"', "[]", "3", '""', "a" * 300])
def test_a_cache_with_a_name_that_is_none(shop: Shop, name: str) -> None:
    Path("slim.yaml").write_text(f"cache: {{dir: {name}}}\n")
    with contextlib.suppress(SlimrunError):
        shop("app.yaml")


def test_who_has_no_home(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """slim.yaml may name a cache all the same."""

    def nobody() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(RequirementNotMet, match="no folder for the cache"):
        default_cache()
    Path("slim.yaml").write_text("cache: {dir: here}\n")
    assert shop("app.yaml")[0] == 0
