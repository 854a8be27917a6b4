"""`slimrun lint`: everything at once, in the form that is asked for, and an exit code that a hook can use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slimrun.cli import lint
from slimrun.cli.problems import FORMATS
from slimrun.errors import Problem, RecipeInvalid, Where

HEAD = "python: {image: 'python:3.11-slim'}\n"


@pytest.fixture(autouse=True)
def _in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    Path("recipes/good.yaml").write_text(HEAD + "verify: {imports: [ssl]}\n")


def linted(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = lint.main(words)
    return code, capsys.readouterr().out


def test_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert linted(capsys) == (0, "1 files: 0 errors, 0 warnings\n")
    assert linted(capsys, "--format", "github") == (0, "")
    assert linted(capsys, "--format", "json") == (0, "[]\n")


def test_all_kinds_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slim.yaml").write_text("policy: {forbid_root: true}\nlint: {warn: [no-verify, root-user], skip: [nope]}\n")
    Path("recipes/bad.yaml").write_text("wheelz: []\n" + HEAD)
    Path("recipes/poor.yaml").write_text(HEAD + "image: {user: root}\n")
    Path("recipes/all.yaml").write_text("images:\n  - {recipe: poor.yaml, name: a}\n  - {recipe: poor.yaml, name: b}\n")
    code, out = linted(capsys)
    heads = [line for line in out.splitlines() if line.startswith(("recipes/", "/"))]
    assert [head.rpartition(" [")[2] for head in heads] == [
        "unknown-rule]", "unknown-key]", "no-verify]", "policy-forbid-root]", "root-user]",
    ]  # fmt: skip
    assert [": warning: " in head for head in heads] == [False, False, True, False, True]
    assert code == 3
    assert out.endswith("4 files: 3 errors, 2 warnings\n")


def test_warnings_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slim.yaml").write_text("lint: {warn: [no-verify]}\n")
    Path("recipes/poor.yaml").write_text(HEAD)
    code, out = linted(capsys, "recipes/poor.yaml")
    assert code == 0
    assert "recipes/poor.yaml:1:1: warning: nothing says" in out


def test_in_github_actions(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    Path("recipes/poor.yaml").write_text(HEAD)
    code, out = linted(capsys, "recipes/poor.yaml")
    assert code == 3
    assert out == (
        "::error file=recipes/poor.yaml,line=1,col=1,title=no-verify::nothing says what the image must be able to do "
        "(name modules in verify.imports, or a command in verify.run)\n"
    )
    assert linted(capsys, "recipes/poor.yaml", "--format", "text")[1].endswith("1 files: 1 errors, 0 warnings\n")


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = linted(capsys, "recipes/god.yaml")
    assert code == 3
    assert "recipes/god.yaml: error: there is no such file [unreadable]" in out
    assert "did you mean 'recipes/good.yaml'?" in out


def test_a_bad_slim_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slim.yaml").write_text("lint: {profile: loud}\n")
    code, out = linted(capsys, "recipes/good.yaml")
    assert code == 3
    assert "[choice]" in out
    with pytest.raises(RecipeInvalid):
        linted(capsys)


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = linted(capsys, "--rules")
    assert code == 0
    assert "unpinned-wheel  default\n" in out


PROBLEM = Problem(where=Where("a,b.yaml", 3, 4), text="100% wrong:\nso", rule="r", hint="do x", source="x: y")
PLACELESS = Problem(where=Where("--set x"), text="no", rule="q")


def test_formats() -> None:
    found = [(PROBLEM, False), (PLACELESS, True)]
    assert FORMATS["github"](found) == (
        "::error file=a%2Cb.yaml,line=3,col=4,title=r::100%25 wrong:%0Aso (do x)\n::warning file=--set x,title=q::no"
    )
    rows = json.loads(FORMATS["json"](found))
    assert rows[0] == {
        "file": "a,b.yaml", "line": 3, "column": 4, "level": "error", "rule": "r", "text": "100% wrong:\nso", "hint": "do x",
    }  # fmt: skip
    run = json.loads(FORMATS["sarif"](found))["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["q", "r"]
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 4}
    assert "region" not in run["results"][1]["locations"][0]["physicalLocation"]
    assert FORMATS["text"](found).splitlines()[0] == "a,b.yaml:3:4: error: 100% wrong:"


def test_the_repository_s_own_recipes_are_clean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    code, out = linted(capsys)
    assert code == 0, out
    assert linted(capsys, "docs/example/catalog.yaml")[0] == 0
