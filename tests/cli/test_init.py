"""`slimrun init`: every file that it writes is valid as it is, and so is what it comments out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from slimrun.cli import init, run
from slimrun.cli.clean import main as clean
from slimrun.errors import BadCommandLine, RequirementNotMet
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim import find_slim, load_slim

FILES = (".github/workflows/images.yaml", ".pre-commit-config.yaml", "slim.yaml")


@pytest.fixture(autouse=True)
def _in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)


def test_what_is_written_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert init.main(["my-app.2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrote recipes/my-app.2.yaml",
        "wrote slim.yaml",
        "wrote .github/workflows/images.yaml",
        "wrote .pre-commit-config.yaml",
        "next: slimrun recipes/my-app.2.yaml",
    ]
    assert find_slim(Path("recipes")) == Path("slim.yaml").absolute()
    recipe = load_recipe(Path("recipes/my-app.2.yaml"), slim=load_slim(Path("slim.yaml")))
    assert recipe.name == "my-app.2"
    assert run.main(["recipes/my-app.2.yaml", "--syntax-check"]) == 0


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    for name in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("lock: use\n")
    assert init.main([]) == 0
    out = capsys.readouterr().out
    for name in FILES:
        assert f"left {name} as it is" in out
        assert Path(name).read_text() == "lock: use\n"
    assert Path("recipes/hello.yaml").is_file()
    with pytest.raises(BadCommandLine, match=r"recipes/hello\.yaml is there already"):
        init.main([])


def test_what_is_commented_out_is_valid_too() -> None:
    init.main(["x"])
    Path("src").mkdir()
    Path("requirements.txt").write_text("")
    lines = Path("recipes/x.yaml").read_text().splitlines()
    opened = [
        line[1:].removeprefix(" ") if line.startswith("# files") else line.removeprefix("#") for line in lines[1:]
    ]
    text = "\n".join(opened).replace("wheels: []", "wheels:")
    Path("recipes/x.yaml").write_text(text)
    recipe = load_recipe(Path("recipes/x.yaml"), slim=load_slim(Path("slim.yaml")))
    assert [wheel.text for wheel in recipe.wheels] == ["requests==2.32.3", "-r ../requirements.txt"]
    assert [copy.to for copy in recipe.files] == ["/app"]
    slim = Path("slim.yaml").read_text().splitlines()
    Path("slim.yaml").write_text(
        "\n".join(line.removeprefix("#").removeprefix(" ") if ":" in line else line for line in slim[1:])
    )
    opened_slim = load_slim(Path("slim.yaml"))
    assert opened_slim.mirrors.images
    assert opened_slim.policy.forbid_root
    assert opened_slim.cache.max_size == 20 * 10**9


def test_the_commands_of_ci_are_commands() -> None:
    init.main([])
    steps = yaml.safe_load(Path(FILES[0]).read_text())["jobs"]["images"]["steps"]
    commands = [step["run"].split() for step in steps if step.get("run", "").startswith("slimrun")]
    (made, cleaned) = commands
    words = run.parser().parse_intermixed_args([word.replace("*", "hello") for word in made[1:]])
    assert (words.files, words.keep_going, words.metadata_file) == (["recipes/hello.yaml"], True, "images.json")
    assert steps[-1]["with"]["path"] == words.metadata_file
    Path("slim.yaml").write_text("backend: local\n")
    assert clean(cleaned[2:]) == 0


def test_the_hook_looks_at_recipes_alone() -> None:
    init.main([])
    (hook,) = yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [name for name in ("recipes/hello.yaml", "recipes/a/b.yml", "slim.yaml", "recipes/x.txt", "x/recipes/a.yaml")
            if re.search(hook["files"], name)] == ["recipes/hello.yaml", "recipes/a/b.yml"]  # fmt: skip
    assert run.main([*hook["entry"].split()[1:], "recipes/hello.yaml"]) == 0


def test_outside_of_a_repository(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".git").rmdir()
    init.main([])
    assert "run `git init`" in capsys.readouterr().out


@pytest.mark.parametrize("blocked", ["recipes", ".github"])
def test_where_nothing_can_be_written(blocked: str) -> None:
    Path(blocked).write_text("a file")
    with pytest.raises(RequirementNotMet, match="cannot write"):
        init.main(["x"])
