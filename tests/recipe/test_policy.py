"""`policy` against what a recipe says: refused before anything runs, with both places."""

from __future__ import annotations

from pathlib import Path

import pytest

from slimrun.errors import Where
from slimrun.recipe.load import load_recipe
from slimrun.recipe.policy import Rule, image_rules, violations
from slimrun.recipe.reference import begins_with
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim

RECIPE = 'python: {image: "python:3.11-slim"}\n'


@pytest.fixture(autouse=True)
def _in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


def found(policy: str, recipe: str = RECIPE, defaults: str = "", *sets: str) -> list[str]:
    Path("slim.yaml").write_text(f"policy:\n  {policy}\n{defaults}")
    Path("r.yaml").write_text(recipe)
    slim = load_slim(Path("slim.yaml"))
    problems = violations(load_recipe(Path("r.yaml"), slim=slim, sets=sets), slim)
    for problem in problems:
        assert problem.hint
        assert f"policy.{problem.rule.removeprefix('policy-').replace('-', '_')} at slim.yaml:2:3" in problem.text
        assert problem.source or problem.where.file.startswith("--set")
    return [f"{problem.where} {problem.rule}: {problem.text.partition(':')[0]}" for problem in problems]


ROOTS = ["root", "0", "0:0", "root:adm", "00", "0:65532"]


@pytest.mark.parametrize("user", ROOTS)
def test_root(user: str) -> None:
    text = f"{RECIPE}image:\n  user: '{user}'\n"
    assert found("forbid_root: true", text) == ["r.yaml:3:3 policy-forbid-root: images may not run as root"]
    assert found("forbid_root: false", text) == []


@pytest.mark.parametrize("user", ["65532:65532", "1000", "app", "10", "1000:0"])
def test_not_root(user: str) -> None:
    assert found("forbid_root: true", f"{RECIPE}image: {{user: '{user}'}}\n") == []
    assert found("forbid_root: true") == []


ALLOWED = [
    ("[docker.io/library]", []),
    ("[docker.io]", []),
    ("[docker.io/]", []),
    ("[docker.io/library/python, docker.io/library/busybox]", []),
    ("[docker.io/library/python]", ["r.yaml:1:1 busybox"]),
    ("[docker.io/library/busybox]", ["r.yaml:1:10 python"]),
    ("[docker.io/library/pyth, docker.io/library/busy]", ["r.yaml:1:1 busybox", "r.yaml:1:10 python"]),
    ("[docker.i]", ["r.yaml:1:1 busybox", "r.yaml:1:10 python"]),
    ("[registry.example.org/team]", ["r.yaml:1:1 busybox", "r.yaml:1:10 python"]),
    ("[]", ["r.yaml:1:1 busybox", "r.yaml:1:10 python"]),
]


@pytest.mark.parametrize(("allowed", "refused"), ALLOWED)
def test_images(allowed: str, refused: list[str]) -> None:
    """The runtime is a built-in value here: its problem stands at the recipe's python."""
    names = {"busybox": "'docker.io/library/busybox", "python": "'docker.io/library/python"}
    lines = [f"{row.split()[0]} policy-allow-images: the image {names[row.split()[1]]}" for row in refused]
    assert found(f"allow_images: {allowed}") == lines


@pytest.mark.parametrize("builds", ["wheels: [./]\n", "wheels: [x]\npip: {from_source: [x]}\n"])
def test_the_image_that_debian_s_python_gets_for_builds(builds: str) -> None:
    text = f"python:\n  debian: {{suite: trixie}}\nruntime: scratch\n{builds}"
    said = ["r.yaml:2:3 policy-allow-images: the image 'docker.io/library/debian"]
    assert found("allow_images: [docker.io/library/python]", text) == said
    assert found("allow_images: [docker.io/library/debian]", text) == []


def test_images_of_other_kinds() -> None:
    git = "python:\n  git:\n    ref: main\n    builder: debian:trixie\nruntime: scratch\n"
    assert found("allow_images: [docker.io/library/python]", git) == [
        "r.yaml:4:5 policy-allow-images: the image 'docker.io/library/debian"
    ]
    debian = "python:\n  debian: {suite: bookworm}\nruntime: scratch\n"
    assert found("allow_images: []", debian) == [], "no image at all"
    file = "python: {image: 'oci:layout:3.11'}\nruntime: 'docker-archive:base.tar'\n"
    assert [row.split(":")[3] for row in found("allow_images: [docker.io]", file)] == [
        " the image 'oci",
        " the image 'docker-archive",
    ]


def test_a_default_is_refused_where_it_stands() -> None:
    Path("other.yaml").write_text(RECIPE)
    defaults = "defaults:\n  runtime: debian:sid\n  image: {user: root}\n"
    assert found("allow_images: [docker.io/library/python]", RECIPE, defaults) == [
        "slim.yaml:4:3 policy-allow-images: the image 'docker.io/library/debian"
    ]
    assert found("forbid_root: true", RECIPE, defaults) == [
        "slim.yaml:5:11 policy-forbid-root: images may not run as root"
    ]


def test_the_command_line_does_not_take_it_back() -> None:
    assert found("forbid_root: true", RECIPE, "", "image.user=0") == [
        "--set image.user policy-forbid-root: images may not run as root"
    ]


def test_size() -> None:
    text = RECIPE + "verify:\n  max_size: 80MB\n"
    assert found("max_size: 80MB", text) == []
    assert found("max_size: 79MB", text) == [
        "r.yaml:3:3 policy-max-size: 'verify.max_size' is 80.0 MB, and images may have at most 79.0 MB"
    ]
    assert found("max_size: 79MB") == []


def test_rules_for_the_image() -> None:
    Path("slim.yaml").write_text(
        "policy:\n  forbid_shell: true\n  forbid_setuid: true\n  max_size: 0MB\n  forbid_root: true\n"
    )
    assert image_rules(load_slim(Path("slim.yaml"))) == (
        Rule(name="max_size", where=Where("slim.yaml", 4, 3), limit=0),
        Rule(name="forbid_root", where=Where("slim.yaml", 5, 3)),
        Rule(name="forbid_setuid", where=Where("slim.yaml", 3, 3)),
        Rule(name="forbid_shell", where=Where("slim.yaml", 2, 3)),
    )
    Path("slim.yaml").write_text("policy: {forbid_shell: false}\n")
    assert image_rules(load_slim(Path("slim.yaml"))) == ()
    assert image_rules(Slim()) == ()


@pytest.mark.parametrize(
    ("prefix", "inside"),
    [
        ("docker.io", True),
        ("docker.io/", True),
        ("docker.io/library/python", True),
        ("docker.io/library/py", False),
        ("", False),
    ],
)
def test_begins_with(prefix: str, inside: bool) -> None:
    assert begins_with("docker.io/library/python:3", prefix) is inside
