"""Catalogs: which images they stand for, what counts where several say it, and what is said of a bad one."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import BadCommandLine, Invalid, RecipeInvalid, Where
from slimrun.recipe.catalog import Member, clashes, load_members
from slimrun.recipe.document import parse_document
from slimrun.recipe.load import load_recipe
from slimrun.recipe.matrix import MOST, combinations
from slimrun.recipe.model import PythonImage
from slimrun.recipe.nodes import Mapping, Sequence, plain
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
INVALID = sorted(path.name for path in (EXAMPLES / "invalid/catalog").glob("*.yaml"))
TEAM = EXAMPLES / "valid/catalog/team.yaml"
RECIPE = 'python: {image: "python:3.11-slim"}\n'


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("app.yaml").write_text(RECIPE)
    return tmp_path


def load(text: str, *sets: str, slim: str = "", **extra: str) -> tuple[Member, ...]:
    Path("all.yaml").write_text(text)
    Path("slim.yaml").write_text(slim or "lock: use\n")
    return load_members(Path("all.yaml"), sets=sets, extra_vars=extra, slim=load_slim(Path("slim.yaml")))


def names(text: str, *sets: str, **extra: str) -> list[str]:
    return [member.recipe.name for member in load(text, *sets, **extra)]


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES / "invalid/catalog")
    with pytest.raises(RecipeInvalid) as caught:
        load_members(Path(name), slim=Slim())
    golden((EXAMPLES / "invalid/catalog" / name).with_suffix(".txt"), caught.value.render() + "\n")
    problems = caught.value.problems
    assert list(problems) == sorted(set(problems), key=lambda problem: problem.where)
    assert all(problem.source and problem.rule and problem.where.column for problem in problems)


def test_there_are_enough_bad_examples() -> None:
    assert len(INVALID) >= 12


def test_what_a_catalog_makes() -> None:
    members = load_members(TEAM, slim=Slim())
    assert [member.recipe.name for member in members] == [
        "app-py3.10-busybox", "app-py3.11-busybox", "app-py3.11-scratch", "job", "app",
    ]  # fmt: skip
    assert {member.catalog for member in members} == {"team"}
    assert [member.groups for member in members] == [("web", "nightly")] * 3 + [(), ()]
    first, _, _, job, app = (member.recipe for member in members)
    assert first.python == PythonImage(image="python:3.10-slim")
    assert dict(first.image.env) == {"MODE": "catalog", "PORT": "9000", "RUNTIME": "busybox"}
    assert dict(first.image.labels) == {"from": "recipe"}, "null in 'set' removes what 'defaults' says"
    assert first.wheels == ()
    assert dict(app.image.labels) == {"from": "recipe", "team": "platform"}
    assert [wheel.text for wheel in app.wheels] == ["click"]
    assert (app.runtime, job.runtime) == ("busybox:glibc", "scratch")
    assert job.source.name == "job.yaml"


def test_a_recipe_is_one_image(repo: Path) -> None:
    (member,) = load_members(Path("app.yaml"), slim=Slim())
    assert member == Member(recipe=load_recipe(Path("app.yaml"), slim=Slim()), where=Where("app.yaml", 1, 1))
    Path("app.yaml").write_text("name: other\n" + RECIPE)
    (member,) = load_members(Path("app.yaml"), slim=Slim())
    assert (member.recipe.name, member.where) == ("other", Where("app.yaml", 1, 1))
    assert repo.is_dir()


def test_a_catalog_is_no_recipe(repo: Path) -> None:
    Path("all.yaml").write_text("catalog: all\nimages: [{recipe: app.yaml}]\n")
    with pytest.raises(Invalid, match="is a catalog, where a recipe is wanted") as caught:
        load_recipe(Path("all.yaml"), slim=Slim())
    assert caught.value.where == Where("all.yaml", 2, 1)
    assert caught.value.exit_code == 3
    assert repo.is_dir()


LAYERS = ("sets", "image", "recipe", "parent", "defaults", "slim", "built-in")
LEVEL = {"sets": "none", "image": "safe", "recipe": "tiny", "parent": "safe", "defaults": "none", "slim": "tiny"}


@pytest.mark.parametrize("strongest", LAYERS)
@pytest.mark.usefixtures("repo")
def test_precedence(strongest: str) -> None:
    """A key that stands in some layers comes from the strongest; the layers are tried from each one down."""
    there = LAYERS[LAYERS.index(strongest) :]

    def level(layer: str) -> str:
        return f"prune: {{level: {LEVEL[layer]}}}" if layer in there else "wheels: []"

    Path("parent.yaml").write_text(RECIPE + level("parent"))
    Path("app.yaml").write_text("extends: parent.yaml\n" + level("recipe"))
    catalog = f"defaults: {{{level('defaults')}}}\nimages:\n  - recipe: app.yaml\n    set: {{{level('image')}}}\n"
    sets = [f"prune.level={LEVEL['sets']}"] if "sets" in there else []
    (member,) = load(catalog, *sets, slim=f"defaults: {{{level('slim')}}}\n")
    origin = member.recipe.origin("prune", "level")
    assert origin is not None
    files = {
        "sets": "--set prune.level", "image": "all.yaml", "recipe": "app.yaml", "parent": "parent.yaml",
        "defaults": "all.yaml", "slim": "slim.yaml", "built-in": "built-in",
    }  # fmt: skip
    assert member.recipe.prune.level == LEVEL.get(strongest, "small")
    assert origin.where.file == files[strongest]
    assert origin.where.line == {"image": 4, "defaults": 1}.get(strongest, origin.where.line)


@pytest.mark.usefixtures("repo")
def test_variables_come_from_the_strongest_too() -> None:
    Path("app.yaml").write_text("vars: {v: recipe}\npython: {image: 'x:${v}'}\n")
    defaults = "defaults: {vars: {v: defaults, w: defaults}}\n"
    one = "images: [{recipe: app.yaml, name: 'a-${w}'%s}]\n"

    def image(text: str, **extra: str) -> str:
        (member,) = load(text, **extra)
        assert isinstance(member.recipe.python, PythonImage)
        return f"{member.recipe.name} {member.recipe.python.image}"

    assert image(defaults + one % "") == "a-defaults x:recipe"
    assert image(defaults + one % ", vars: {v: image}") == "a-defaults x:image"
    assert image(defaults + one % ", matrix: {v: [row]}") == "a-defaults x:row"
    assert image(defaults + one % ", matrix: {v: [row]}", v="line", w="e") == "a-e x:line"


@pytest.mark.usefixtures("repo")
def test_order_of_a_matrix() -> None:
    text = "images: [{recipe: app.yaml, name: '${b}${a}', matrix: {b: [2, 1], a: [y, x]}%s}]\n"
    assert names(text % "") == ["2y", "2x", "1y", "1x"]
    assert names(text % ", exclude: [{b: 1, a: y}, {a: x, b: 2}]") == ["2x".replace("x", "y"), "1x"]
    assert names(text % ", exclude: [{b: 2}]") == ["1y", "1x"]
    assert names(text % ", exclude: [], groups: null, vars: null, set: null") == ["2y", "2x", "1y", "1x"]


@pytest.mark.usefixtures("repo")
def test_values_stay_what_was_written() -> None:
    text = "images: [{recipe: app.yaml, name: 'a${v}', matrix: {v: [3.10, 012, 1, true, 'x']}, exclude: [{v: 1}]}]\n"
    assert names(text) == ["a3.10", "a012", "atrue", "ax"]


def test_every_exclude_takes_out_exactly_what_it_names() -> None:
    """Over all subsets of a small matrix: what is left is the product less the named rows, in the same order."""
    text = "matrix: {p: [a, b], q: [x, y, z]}\nexclude: [%s]\n"
    rows = list(product("ab", "xyz"))
    for mask in range(2 ** len(rows) - 1):
        out = [row for bit, row in enumerate(rows) if mask >> bit & 1]
        root = parse_document(text % ", ".join(f"{{p: {p}, q: {q}}}" for p, q in out), file="f").root
        matrix, exclude = root["matrix"], root["exclude"]
        assert isinstance(matrix, Mapping)
        assert isinstance(exclude, Sequence)
        left, problems = combinations(matrix, exclude.items, matrix.where)
        assert [tuple(plain(entry.value) for entry in row) for row in left] == [row for row in rows if row not in out]
        assert problems == ()


@pytest.mark.usefixtures("repo")
def test_paths_start_from_the_file_they_stand_in() -> None:
    Path("deep/recipes").mkdir(parents=True)
    Path("deep/src").mkdir()
    Path("deep/recipes/here").mkdir()
    Path("deep/recipes/app.yaml").write_text(RECIPE + "files: [{from: here, to: /a}]\n")
    Path("deep/all.yaml").write_text(
        "images:\n  - recipe: recipes/app.yaml\n  - {recipe: recipes/app.yaml, name: b, set: {files: [{from: src, to: /b}]}}\n"
    )
    first, second = load_members(Path("deep/all.yaml"), slim=Slim())
    assert [str(copy.base) for copy in first.recipe.files] == ["deep/recipes"]
    assert [str(copy.base) for copy in second.recipe.files] == ["deep"]


@pytest.mark.usefixtures("repo")
def test_a_missing_python_is_missed_in_the_recipe() -> None:
    Path("empty.yaml").write_text("description: nothing\n")
    with pytest.raises(RecipeInvalid) as caught:
        load("images: [{recipe: empty.yaml}]\n")
    (problem,) = caught.value.problems
    assert (problem.rule, str(problem.where)) == ("missing-key", "empty.yaml:1:1")
    (member,) = load("defaults: {python: {image: x}}\nimages: [{recipe: empty.yaml}]\n")
    assert member.recipe.python == PythonImage(image="x")


@pytest.mark.usefixtures("repo")
def test_one_name_for_all_on_the_command_line() -> None:
    with pytest.raises(RecipeInvalid) as caught:
        load("images: [{recipe: app.yaml, name: a}, {recipe: app.yaml, name: b}]\n", "name=c")
    assert [problem.rule for problem in caught.value.problems] == ["duplicate-name"]
    with pytest.raises(BadCommandLine):
        load("images: [{recipe: app.yaml}]\n", "nme=c")


@pytest.mark.usefixtures("repo")
def test_clashes_between_files() -> None:
    Path("again.yaml").write_text("name: app\n" + RECIPE)
    Path("tagged.yaml").write_text(RECIPE + "image: {tags: ['docker.io/library/app:latest']}\n")
    members = [load_members(Path(f"{name}.yaml"), slim=Slim())[0] for name in ("app", "again", "tagged")]
    assert [(problem.rule, str(problem.where)) for problem in clashes(members)] == [
        ("duplicate-name", "again.yaml:1:1"),
        ("duplicate-tag", "tagged.yaml:2:9"),
    ]
    assert list(clashes(members[:1])) == []


@pytest.mark.usefixtures("repo")
def test_the_largest_matrix() -> None:
    values = ", ".join(str(number) for number in range(MOST + 1))
    with pytest.raises(RecipeInvalid) as caught:
        load(f"images: [{{recipe: app.yaml, name: 'a${{n}}', matrix: {{n: [{values}]}}}}]\n")
    assert [problem.rule for problem in caught.value.problems] == ["too-much"]


@pytest.mark.usefixtures("repo")
def test_a_hundred_images_are_read_in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe that they share is parsed once."""
    read: list[str] = []
    original = Path.open

    def opened(path: Path, *words: object, **more: object) -> object:
        read.append(path.name)
        return original(path, *words, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", opened)
    values = ", ".join(str(number) for number in range(100))
    assert len(names(f"images: [{{recipe: app.yaml, name: 'a${{n}}', matrix: {{n: [{values}]}}}}]\n")) == 100
    assert read.count("app.yaml") == 1


@pytest.mark.usefixtures("repo")
def test_what_a_name_cannot_hold_becomes_a_dash() -> None:
    text = (
        "images: [{recipe: app.yaml, name: 'a-${v}', matrix: {v: ['busybox:glibc', 'X//Y', '1.2_3', 'é-', '3.11']}}]\n"
    )
    assert names(text) == ["a-busybox-glibc", "a-x-y", "a-1.2_3", "a", "a-3.11"]
    assert names("images: [{recipe: app.yaml, name: 'a-${v:-x y}'}]\n", v="b:c") == ["a-b-c"]
    with pytest.raises(RecipeInvalid) as caught:
        load("images: [{recipe: app.yaml, name: 'a${v}', matrix: {v: ['b c', 'b:c']}}]\n")
    assert [problem.rule for problem in caught.value.problems] == ["matrix-name"]
    with pytest.raises(RecipeInvalid) as caught:
        load("images: [{recipe: app.yaml, name: '${v}', matrix: {v: [':']}}]\n")
    assert [problem.rule for problem in caught.value.problems] == ["bad-value"]
    Path("app.yaml").write_text("name: 'r:${v}'\nvars: {v: 1}\n" + RECIPE)
    with pytest.raises(RecipeInvalid):
        load("images: [{recipe: app.yaml}]\n")  # a recipe's own name is held to the letter


def test_the_example_of_the_documentation() -> None:
    folder = EXAMPLES.parents[1] / "docs/example"
    members = load_members(folder / "catalog.yaml", slim=load_slim(folder / "slim.yaml"))
    assert [member.recipe.name for member in members] == [
        "notes-py3.11-busybox-glibc", "notes-py3.11-scratch", "notes-py3.7-busybox-glibc", "notes-py3.7-scratch", "sales",
    ]  # fmt: skip
    for recipe in sorted((folder / "recipes").glob("*.yaml")):
        assert load_recipe(recipe, slim=load_slim(folder / "slim.yaml")).name == recipe.stem
