"""Parents, variables, slim.yaml and the command line: which value counts, and what is said when none can."""

from __future__ import annotations

import pickle
from itertools import permutations
from pathlib import Path

import pytest

from slimrun.errors import BadCommandLine, Invalid, RecipeInvalid, Where
from slimrun.recipe.load import load_recipe
from slimrun.recipe.model import Glob, PythonDebian, PythonGit, PythonImage, Recipe
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim
from slimrun.recipe.variables import parse_extra_vars

IMAGE = "python: {image: python:3.11-slim}\n"


@pytest.fixture(autouse=True)
def _in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


def write(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")


def load(name: str = "r", *sets: str, slim: str = "", **extra: str) -> Recipe:
    Path("slim.yaml").write_text(slim or "lock: use\n")
    return load_recipe(Path(f"{name}.yaml"), sets=sets, extra_vars=extra, slim=load_slim(Path("slim.yaml")))


def problems(*sets: str, slim: str = "", **extra: str) -> list[str]:
    with pytest.raises(RecipeInvalid) as caught:
        load("r", *sets, slim=slim, **extra)
    return [f"{problem.where} {problem.rule}" for problem in caught.value.problems]


LAYERS = {
    "sets": "--set",
    "recipe": "r.yaml",
    "parent": "p.yaml",
    "grandparent": "g.yaml",
    "slim": "slim.yaml",
}


@pytest.mark.parametrize("strongest", range(len(LAYERS) + 1))
def test_precedence(strongest: int) -> None:
    """A key that stands in some layers comes from the strongest; the layers are tried from each one down."""
    there = list(LAYERS)[strongest:]
    level = {"sets": "none", "recipe": "safe", "parent": "tiny", "grandparent": "small", "slim": "none"}

    def lines(layer: str) -> str:
        return f"prune: {{level: {level[layer]}}}\n" if layer in there else ""

    write(
        r="extends: p.yaml\n" + lines("recipe"),
        p="extends: g.yaml\n" + lines("parent"),
        g=IMAGE + lines("grandparent"),
    )
    sets = [f"prune.level={level['sets']}"] if "sets" in there else []
    slim = f"defaults:\n  prune: {{level: {level['slim']}}}\n" if "slim" in there else ""
    recipe = load("r", *sets, slim=slim)
    origin = recipe.origin("prune", "level")
    assert origin is not None
    if there:
        assert recipe.prune.level == level[there[0]]
        assert origin.where.file.startswith(LAYERS[there[0]])
    else:
        assert (recipe.prune.level, origin.where) == ("small", Where("built-in"))


def test_maps_merge_lists_replace_null_removes() -> None:
    write(
        p=IMAGE + "wheels: [a, b]\nimage:\n  env: {A: 1, B: 2}\n  cmd: [x]\n  labels: {l: m}\nruntime: scratch\n",
        r="extends: p.yaml\nwheels: [c]\nimage:\n  env: {B: 3, A: null}\n  cmd:\n  labels: null\nruntime: ~\n",
    )
    recipe = load()
    assert [wheel.text for wheel in recipe.wheels] == ["c"]
    assert recipe.image.env == (("B", "3"),)
    assert recipe.image.cmd == ()
    assert recipe.image.labels == ()
    assert recipe.runtime == "busybox:glibc"


def test_a_removed_key_does_not_come_back_from_further_up() -> None:
    write(g=IMAGE + "runtime: scratch\n", p="extends: g.yaml\nruntime: null\n", r="extends: p.yaml\n")
    assert load().runtime == "busybox:glibc"


@pytest.mark.parametrize("first", ["image: python:3.12", "git: {ref: main}", "debian: {suite: trixie}"])
def test_python_is_replaced_whole(first: str) -> None:
    write(p=f"python:\n  {first}\n", r="extends: p.yaml\npython: {debian: {suite: bookworm}}\n")
    assert load().python == PythonDebian(suite="bookworm")
    assert load("r", "python.image=x").python == PythonImage(image="x")


def test_python_can_come_from_anywhere() -> None:
    write(r="name: x\n")
    assert problems() == ["r.yaml:1:1 missing-key"]
    assert load("r", slim=f"defaults:\n  {IMAGE}").python_where.file == "slim.yaml"
    assert load("r", "python.image=a").python_where.file == "--set python.image"


def test_wheels_know_their_place_and_folder() -> None:
    Path("sub").mkdir()
    Path("sub/req.txt").touch()
    write(**{"sub/p": IMAGE + "wheels:\n  - click\n  - -r req.txt\n"}, r="extends: sub/p.yaml\n")
    click, file = load().wheels
    assert (click.text, click.where) == ("click", Where("sub/p.yaml", 3, 5))
    assert (file.text, file.base) == ("-r req.txt", Path("sub"))


def test_everything_knows_its_place() -> None:
    write(r=IMAGE + "prune:\n  keep:\n    - /a/**\nruntime: scratch\nverify:\n  imports: [os]\n  max_size: 1.5MiB\n")
    recipe = load()
    assert recipe.python_where == Where("r.yaml", 1, 1)
    assert recipe.runtime_where == Where("r.yaml", 5, 1)
    assert recipe.prune.keep == (Glob(text="/a/**", where=Where("r.yaml", 4, 7)),)
    assert recipe.verify.imports[0].where == Where("r.yaml", 7, 13)
    assert recipe.verify.max_size == 3 * 2**19
    origin = recipe.origin("runtime")
    assert origin is not None
    assert origin.source == "runtime: scratch"
    assert recipe.origin("debian") is None


def test_a_recipe_can_be_sent_to_another_process() -> None:
    write(r=IMAGE)
    recipe = load()
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert hash(recipe) == hash(load())


def test_tags() -> None:
    write(r=IMAGE)
    assert load().image.tags == ("r:latest",)
    assert load("r", slim="registry: {prefix: registry.example.org/team}\n").image.tags == (
        "registry.example.org/team/r:latest",
    )
    assert load("r", "image.tags=[a:1, b:2]").image.tags == ("a:1", "b:2")


def test_name_of_the_file() -> None:
    write(**{"My App": IMAGE})
    with pytest.raises(RecipeInvalid) as caught:
        load("My App")
    assert "'My App'" in caught.value.problems[0].text
    assert load("My App", "name=app").name == "app"


# Variables ------------------------------------------------------------------------------------------------------------

VALUES = {
    "${a}": "1",
    "x${a}y${b}": "x1ytwo",
    "${c:-}": "",
    "${c:-d e}": "d e",
    "${a:-other}": "1",
    "$$": "$",
    "$${a}": "${a}",
    "$$$${a}": "$${a}",
    "$$${a}": "$1",
    "$a": "$a",
    "5$": "5$",
    "^\\$$": "^\\$",
    "$(x)": "$(x)",
    "${e}": "$5 $$",
}


@pytest.mark.parametrize("written", VALUES)
def test_variables(written: str) -> None:
    write(r=IMAGE + f"vars: {{a: 1, b: two, e: $5 $$}}\ndescription: '{written}'\n")
    assert load().description == VALUES[written]


def test_variables_stand_everywhere_but_in_keys() -> None:
    write(
        r="vars: {v: 3.10, d: /data, p: prune}\npython: {image: 'python:${v}'}\nfiles: [{to: '${d}'}]\n"
        "image: {env: {'${v}': x}}\n"
    )
    assert problems() == ["r.yaml:4:15 bad-name"]
    write(r="vars: {v: 3.10, d: /data}\npython: {image: 'python:${v}'}\nfiles: [{to: '${d}'}]\n")
    recipe = load()
    assert (recipe.python, recipe.files[0].to) == (PythonImage(image="python:3.10"), "/data")


def test_a_variable_is_as_it_was_written() -> None:
    write(r=IMAGE + "vars: {a: 012, b: no, c: 3.10, d: true}\ndescription: ${a} ${b} ${c} ${d}\n")
    assert load().description == "012 no 3.10 true"
    assert load(a="${b}").description == "${b} no 3.10 true"


def test_extra_variables_come_first() -> None:
    write(p=IMAGE + "vars: {a: p, b: p}\n", r="extends: p.yaml\nvars: {b: r}\ndescription: ${a} ${b} ${c:-c}\n")
    assert load().description == "p r c"
    assert load(b="e", c="e").description == "p e e"
    assert load("r", "vars.b=s", b="e").description == "p e c"


@pytest.mark.parametrize(
    ("text", "column", "rule"),
    [
        ("${nme}", 14, "undefined"),
        ("x ${nme}", 16, "undefined"),
        ("'x ${nme}'", 17, "undefined"),
        ('"\\x41 ${nme}"', 14, "undefined"),
        ("'${}'", 15, "bad-variable"),
        ("'${a'", 15, "bad-variable"),
        ("'${a-b}'", 15, "bad-variable"),
        ("'${1a}'", 15, "bad-variable"),
    ],
)
def test_bad_variables(text: str, column: int, rule: str) -> None:
    write(r=IMAGE + f"vars: {{name: x}}\ndescription: {text}\n")
    assert problems() == [f"r.yaml:3:{column} {rule}"]


def test_an_undefined_variable_offers_the_near_miss() -> None:
    write(r=IMAGE + "vars: {version: x}\ndescription: ${verison}\n")
    with pytest.raises(RecipeInvalid) as caught:
        load()
    assert caught.value.problems[0].hint == "did you mean 'version'?"


def test_variables_cannot_grow_without_bound() -> None:
    write(r=IMAGE + f"vars: {{a: {'x' * 100_000}}}\ndescription: '{'${a}' * 10_000}'\n")
    assert [rule.split()[1] for rule in problems()] == ["too-much"]


def test_parse_extra_vars(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("a: 3.10\nb: no\nc: 1\n")
    assert parse_extra_vars(("x=1", "y=a=b", "x=2", "z=")) == {"x": "2", "y": "a=b", "z": ""}
    assert parse_extra_vars(("a=1", f"@{tmp_path}/v.yaml", "c=d")) == {"a": "3.10", "b": "no", "c": "d"}


@pytest.mark.parametrize("word", ["x", "=1", "a-b=1", "", "1=2", "@bad.yaml"])
def test_bad_extra_vars(word: str) -> None:
    write(bad="a: [1]\n")
    with pytest.raises(BadCommandLine):
        parse_extra_vars((word,))


# --set ----------------------------------------------------------------------------------------------------------------


def test_sets() -> None:
    write(r=IMAGE + "vars: {a: x}\n")
    recipe = load("r", "image.env.A=1", "prune.level=none", "image.labels.org.x.y=${a}", "prune.level=safe")
    assert recipe.prune.level == "safe"
    assert recipe.image.env == (("A", "1"),)
    assert recipe.image.labels == (("org.x.y", "x"),)


def test_a_path_of_set_reaches_into_the_base_build() -> None:
    write(r="python: {git: {ref: main, libpython: shared, configure: [--a]}}\n")
    recipe = load("r", "python.git.jobs=2", "python.git.configure=[--b]")
    assert recipe.python == PythonGit(ref="main", libpython="shared", configure=("--b",), jobs=2)
    assert recipe.python_where.file == "r.yaml"
    assert load("r", "python.image=python:3.11").python == PythonImage(image="python:3.11")
    assert load("r", "python={git: {ref: other}}").python == PythonGit(ref="other"), "a whole map replaces one"


def test_order_of_different_sets_means_nothing() -> None:
    write(r=IMAGE)
    words = ("prune.level=safe", "image.env.B=0644", "image.env.A=no")
    found = {(load("r", *some).image, load("r", *some).prune) for some in permutations(words)}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("prune.levl=safe", "'prune.level'"),
        ("level=safe", "'prune.level'"),
        ("max_size=1MB", "'verify.max_size'"),
        ("prune.level", "--set prune.level=safe"),
        ("=x", "--set prune.level=safe"),
        ("name.x=1", "'name'"),
        ("extends=x.yaml", "slimrun schema"),
        ("wheels.0=x", "'wheels'"),
        ("zzzzz=1", "slimrun schema"),
        ("prune..level=1", "'prune.level'"),
    ],
)
def test_bad_set(word: str, hint: str) -> None:
    write(r=IMAGE)
    with pytest.raises(BadCommandLine) as caught:
        load("r", word)
    assert hint in caught.value.hint


def test_bad_values_of_set() -> None:
    write(r=IMAGE)
    assert problems("prune.level=saef") == ["--set prune.level:1:1 choice"]
    assert problems("prune.keep=[") == ["--set prune.keep:1:2 yaml-syntax"]
    assert problems("wheels=click") == ["--set wheels:1:1 wrong-type"]


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("helo.yaml", "'hello.yaml'"),
        ("hello.yml", "'hello.yaml'"),
        ("hello", "'hello.yaml'"),
        ("none/hello.yaml", "not there"),
        ("folder", "'a.yaml', 'b.yml'"),
        ("void", "no .yaml"),
    ],
)
def test_a_file_that_is_none(name: str, hint: str) -> None:
    write(hello=IMAGE)
    for folder in ("folder", "void"):
        Path(folder).mkdir()
    Path("folder/b.yml").touch()
    Path("folder/a.yaml").touch()
    with pytest.raises(Invalid) as caught:
        load_recipe(Path(name), slim=Slim())
    assert hint in caught.value.hint
    assert caught.value.where == Where(name)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(Invalid):
        load_recipe(Path(name), slim=Slim())


def test_extends() -> None:
    write(r="extends: r.yaml\n")
    assert problems() == ["r.yaml:1:10 extends-cycle"]
    write(r="extends: p.yaml\n", p="extends: r.yaml\n")
    assert problems() == ["p.yaml:1:10 extends-cycle"]
    Path("q.yaml").symlink_to("r.yaml")
    write(r="extends: q.yaml\n")
    assert problems() == ["r.yaml:1:10 extends-cycle"]
    write(r="extends: none.yaml\nnmae: ${x}\n")
    assert problems() == ["r.yaml:1:10 extends", "r.yaml:2:1 unknown-key"]
    write(r="extends: [a]\n")
    assert problems() == ["r.yaml:1:1 missing-key", "r.yaml:1:10 wrong-type"]


def test_problems_of_parents_come_too() -> None:
    write(r="extends: p.yaml\nwheel: [a]\n", p=IMAGE + "nmae: x\nprune: {level: x}\n")
    assert problems("prune.level=safe") == [
        "p.yaml:2:1 unknown-key",
        "p.yaml:3:16 choice",
        "r.yaml:2:1 unknown-key",
    ]


def test_a_misspelt_key_is_seen_even_when_it_is_null() -> None:
    write(r=IMAGE + "wheel: null\nprune: {levle: }\n")
    assert problems() == ["r.yaml:2:1 unknown-key", "r.yaml:3:9 unknown-key"]


def test_paths() -> None:
    outside = Path("..").resolve() / "outside"
    outside.mkdir(exist_ok=True)
    Path("link").symlink_to(outside)
    Path("loop").symlink_to("loop")
    Path("app").mkdir()
    Path("x.whl").touch()
    write(
        r=IMAGE
        + "files:\n"
        + "".join(f"  - {{from: {name}, to: /x}}\n" for name in ("app", ".", "ap", "link", "../outside", "loop"))
        + f"  - {{from: {'x' * 300}, to: /x}}\n"
        + "wheels: [./x.whl, ./y.whl, ./app/, ./none/, -r none.txt]\npip: {constraints: none.txt}\n"
    )
    assert problems() == [
        "r.yaml:5:12 path-missing",
        "r.yaml:6:12 path-outside",
        "r.yaml:7:12 path-outside",
        "r.yaml:8:12 path-unreadable",
        "r.yaml:9:12 path-unreadable",
        "r.yaml:10:19 path-missing",
        "r.yaml:10:36 path-missing",
        "r.yaml:10:45 path-missing",
        "r.yaml:11:20 path-missing",
    ]


def test_files_may_come_from_elsewhere_in_the_repository() -> None:
    Path("recipes").mkdir()
    Path("app").mkdir()
    write(**{"recipes/r": IMAGE + "files: [{from: ../app, to: /app}]\n"})
    assert load("recipes/r").files[0].base == Path("recipes")
