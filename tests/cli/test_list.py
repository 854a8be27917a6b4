"""`slimrun list`: every image of a repository on one line, without asking anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.cli import list as command
from slimrun.errors import BadCommandLine, RecipeInvalid

if TYPE_CHECKING:
    from tests.cli.shop import Shop


@pytest.fixture
def listed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Listed:
    return Listed(shop, capsys)


class Listed:
    """The table as rows; asking a backend anything is an error."""

    def __init__(self, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        self.shop, self._capsys = shop, capsys

    def __call__(self, *words: str) -> dict[str, list[str]]:
        self.shop.backend.calls.clear()
        assert command.main(words) == 0
        assert self.shop.backend.calls == []
        lines = self._capsys.readouterr().out.splitlines()
        heads = lines[0].split()
        starts = [lines[0].index(head) for head in heads]
        rows = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in lines[1:]]
        assert heads == ["NAME", "GROUPS", "SIZE", "STATE", "FILE"]
        return {row[0]: row[1:] for row in rows}


def test_before_anything_was_made(listed: Listed) -> None:
    assert listed("all.yaml") == {
        "app-b": ["web", "", "never made", "all.yaml"],
        "app-a": ["web", "", "never made", "all.yaml"],
        "gone": ["web,odd", "", "never made", "all.yaml"],
        "last": ["nightly", "", "never made", "all.yaml"],
    }


def test_states(listed: Listed) -> None:
    listed.shop("all.yaml")
    rows = listed("all.yaml")
    assert {name: row[2].partition(":")[0] for name, row in rows.items()} == {
        "app-b": "made", "app-a": "made", "gone": "failed", "last": "made",
    }  # fmt: skip
    assert "there is no image python:gone" in rows["gone"][2]
    assert rows["last"][1].endswith("kB")
    Path("src").mkdir()
    Path("src/x").write_text("1")
    Path("app.yaml").write_text('python: {image: "python:3.11"}\nfiles: [{from: src, to: /app}]\n')
    assert listed("all.yaml")["last"][2] == "changed: files: it was not made before"
    listed.shop("all.yaml", "-l", "last")
    assert listed("all.yaml", "-l", "last")["last"][2] == "made"
    Path("src/x").write_text("2")
    assert listed("all.yaml")["last"][2] == "changed: files: file /app/x changed"
    Path("src/x").unlink()
    Path("src").rmdir()
    assert listed("all.yaml", "app.yaml")["all"][2].startswith("invalid: app.yaml:2:")


def test_it_says_what_a_run_would_do(listed: Listed) -> None:
    """After each change the listing says `changed` exactly where the next run makes something."""
    listed.shop("all.yaml", "-l", "last,app-a")
    text = Path("app.yaml").read_text()
    for change in ("", "description: new\n", "verify: {imports: [ssl]}\n", "prune: {level: safe}\n", "# a comment\n"):
        Path("app.yaml").write_text(text + change)
        said = listed("all.yaml", "-l", "last")["last"][2]
        _, out = listed.shop("all.yaml", "-l", "last")
        assert said.startswith("changed") is ("changed: [last]" in out), change


def test_the_folders_of_slim_yaml(listed: Listed) -> None:
    Path("recipes").mkdir()
    Path("more").mkdir()
    Path("recipes/b.yaml").write_text(Path("app.yaml").read_text())
    Path("recipes/a.yml").write_text("python: {image: 3\n")
    Path("recipes/notes.txt").write_text("no recipe")
    Path("more/all.yaml").write_text("images: [{recipe: ../app.yaml, name: z, groups: [g]}]\n")
    assert list(listed()) == ["b", "a"]
    assert listed()["a"][2].startswith("invalid: recipes/a.yml:")
    Path("slim.yaml").write_text("recipes: [more, recipes, none]\n")
    assert list(listed()) == ["z", "b", "a"]
    assert list(listed("-l", "@g")) == ["z"]
    with pytest.raises(BadCommandLine, match="fits none of 2 images"):
        listed("-l", "nothing")


def test_an_empty_repository(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop.settings == []
    assert command.main([]) == 0
    assert capsys.readouterr().out == "no recipes here: `slimrun init` writes a first one\n"


def test_an_image_of_another_repository_is_not_this_one(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed.shop("app.yaml")
    assert listed("app.yaml")["app"][2] == "made"
    Path("other/.git").mkdir(parents=True)
    Path("other/app.yaml").write_text(Path("app.yaml").read_text())
    monkeypatch.chdir("other")
    assert listed("app.yaml")["app"][1:3] == ["", "never made"]


def test_a_bad_slim_yaml_is_an_error(listed: Listed) -> None:
    Path("slim.yaml").write_text("recipess: [x]\n")
    with pytest.raises(RecipeInvalid):
        listed()
