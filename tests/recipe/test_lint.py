"""The rules of lint: what each finds, where, and what it must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from slimrun.recipe.lint import RULES, lint, unknown_rules
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Lint, Slim

HEAD = "python:\n  image: python:3.11-slim\n"
GOOD = HEAD + "description: a\nwheels: [click==8.1]\nverify: {imports: [ssl], max_size: 80MB}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(text: str, rule: str) -> list[str]:
    """The places of what one rule finds; every finding has its line and what to do."""
    Path("r.yaml").write_text(text)
    problems = [problem for problem, _ in lint(load_recipe(Path("r.yaml"), slim=Slim()), Lint(profile="strict"))]
    assert all(problem.hint and problem.source and problem.text for problem in problems)
    return [f"{problem.where.line}:{problem.where.column}" for problem in problems if problem.rule == rule]


CASES: dict[str, list[tuple[str, list[str]]]] = {
    "floating-tag": [
        ("python:\n  image: python\n", ["2:3"]),
        ("python:\n  image: python:latest\nruntime: busybox\n", ["2:3", "3:1"]),
        ("python:\n  image: r.example.org:5000/python\nruntime: scratch\n", ["2:3"]),
        (f"python:\n  image: python@sha256:{'a' * 64}\n", []),
        ("python:\n  image: 'oci:layout'\nruntime: 'docker-archive:x.tar'\n", []),
        ("python:\n  git: {ref: main, builder: debian}\n", ["2:20"]),
        ("python:\n  debian: {suite: bookworm}\n", []),
        (HEAD, []),
    ],
    "no-digest": [
        (HEAD, ["1:1", "2:3"]),
        (f"python:\n  image: python:3@sha256:{'a' * 64}\nruntime: scratch\n", []),
    ],
    "unpinned-wheel": [
        (HEAD + "wheels: [click, 'a>=1', 'b==1.*', 'c==1', 'd===1', './', '-r r.txt', 'e~=1.0', 'f==1,<2']\n",
         ["3:10", "3:17", "3:25", "3:70"]),
        (HEAD + "wheels: ['a==1; python_version>\"3\"']\n", []),
    ],
    "no-verify": [
        (HEAD, ["1:1"]),
        (HEAD + "verify: {max_size: 1MB}\n", ["3:1"]),
        (HEAD + "verify: {imports: [ssl]}\n", []),
        (HEAD + "verify: {run: [{cmd: [-V]}]}\n", []),
    ],
    "no-max-size": [(HEAD, ["1:1"]), (HEAD + "verify: {max_size: 1MB}\n", [])],
    "root-user": [
        (HEAD + "image:\n  user: root\n", ["4:3"]),
        (HEAD + "image: {user: '0:5'}\n", ["3:9"]),
        (HEAD + "image: {user: 1000}\n", []),
        (HEAD, []),
    ],
    "level-none": [(HEAD + "prune: {level: none}\n", ["3:9"]), (HEAD + "prune: {level: safe}\n", [])],
    "keep-and-drop": [
        (HEAD + "prune:\n  keep: [/a, /b]\n  drop: [/b, /c]\n", ["5:10"]),
        (HEAD + "prune: {keep: [/a], drop: [/b]}\n", []),
    ],
    "secret": [
        (HEAD + "image:\n  env: {DB_PASSWORD: x, TOKENIZERS_PARALLELISM: 1, API_KEY: k, MY_TOKEN: ''}\n", ["4:9", "4:52"]),
        (HEAD + "image:\n  labels: {github_token: x, tokens: y}\n", ["4:12"]),
    ],
    "no-description": [(HEAD, ["1:1"]), (HEAD + "description: x\n", [])],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "places"), [(rule, *case) for rule, cases in CASES.items() for case in cases])
def test_rule(rule: str, text: str, places: list[str]) -> None:
    Path("r.txt").touch()
    assert found(text, rule) == places


def test_every_rule_has_a_test_in_which_it_finds_something() -> None:
    assert set(CASES) == set(RULES)
    assert all(any(places for _, places in cases) for cases in CASES.values())


def rules(settings: Lint, text: str = HEAD) -> set[str]:
    Path("r.yaml").write_text(text)
    return {problem.rule for problem, _ in lint(load_recipe(Path("r.yaml"), slim=Slim()), settings)}


def test_profiles_hold_each_other() -> None:
    text = "python: {image: python}\nimage: {user: 0, env: {TOKEN: x}}\nprune: {keep: [/a], drop: [/a]}\n"
    minimal, default, strict = (rules(Lint(profile=profile), text) for profile in ("minimal", "default", "strict"))
    assert minimal == {"keep-and-drop", "secret"}
    assert minimal < default < strict
    assert rules(Lint(profile="strict"), GOOD) == {"no-digest"}


def test_skip_and_warn() -> None:
    assert rules(Lint(skip=("no-verify",))) == set()
    Path("r.yaml").write_text(HEAD + "wheels: [click]\n")
    graded = lint(load_recipe(Path("r.yaml"), slim=Slim()), Lint(warn=("no-verify",)))
    assert [(problem.rule, warns) for problem, warns in graded] == [("no-verify", True), ("unpinned-wheel", False)]


def test_rules_that_slim_yaml_names_and_that_are_none() -> None:
    Path("slim.yaml").write_text("lint:\n  skip: [no-verfy, secret]\n  warn:\n    - zzz\n")
    problems = unknown_rules(load_slim(Path("slim.yaml")))
    assert [(str(problem.where), problem.hint) for problem in problems] == [
        ("slim.yaml:2:10", "did you mean 'no-verify'?"),
        ("slim.yaml:4:7", "`slimrun lint --rules` lists them"),
    ]
    assert unknown_rules(Slim()) == ()


def test_a_default_of_slim_yaml_is_found_where_it_stands() -> None:
    Path("slim.yaml").write_text("defaults:\n  runtime: debian\n")
    Path("r.yaml").write_text(HEAD)
    problems = lint(load_recipe(Path("r.yaml"), slim=load_slim(Path("slim.yaml"))), Lint())
    assert ("floating-tag", "slim.yaml:2:3") in {(problem.rule, str(problem.where)) for problem, _ in problems}
