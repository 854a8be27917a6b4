"""The schemas, the dataclasses and the documentation say the same."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from slimrun import errors, settings
from slimrun.recipe import model, slim_model
from slimrun.recipe.docs import render_reference
from slimrun.recipe.document import parse_document
from slimrun.recipe.formats import FORMATS
from slimrun.recipe.load import load_recipe
from slimrun.recipe.problems import check
from slimrun.recipe.schema import Schema, choices, load_schema, strict, types_of
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim
from slimrun.resources import schema_kinds, schema_text
from slimrun.settings import BuildSettings, DockerSettings, Mirrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
RECIPE = load_schema("recipe")
SLIM = load_schema("slim")
KINDS = [kind for kind in schema_kinds() if kind in ("recipe", "slim", "catalog")]


def inner(schema: Schema, *keys: str) -> Schema:
    for key in keys:
        schema = schema["items"] if key == "[]" else schema["properties"][key]
    return schema


# (schema, dataclass, {key of the schema: field}, fields that no key has)
PAIRS: list[tuple[Schema, type, dict[str, str], set[str]]] = [
    (RECIPE, model.Recipe, {}, {"source", "python_where", "runtime_where", "origins"}),
    (inner(RECIPE, "python", "image"), model.PythonImage, {}, {"image"}),
    (inner(RECIPE, "python", "git"), model.PythonGit, {}, set()),
    (inner(RECIPE, "python", "debian"), model.PythonDebian, {}, set()),
    (inner(RECIPE, "pip"), model.Pip, {}, {"base"}),
    (inner(RECIPE, "debian"), model.Debian, {}, set()),
    (inner(RECIPE, "files", "[]"), model.FileCopy, {"from": "source"}, {"where", "base"}),
    (inner(RECIPE, "prune"), model.Prune, {}, set()),
    (inner(RECIPE, "image"), model.Image, {}, set()),
    (inner(RECIPE, "image", "healthcheck"), model.Healthcheck, {}, set()),
    (inner(RECIPE, "verify"), model.Verify, {}, set()),
    (inner(RECIPE, "verify", "run", "[]"), model.VerifyRun, {}, {"where"}),
    (SLIM, slim_model.Slim, {}, {"document"}),
    (inner(SLIM, "docker"), DockerSettings, {}, set()),
    (inner(SLIM, "registry"), slim_model.Registry, {}, set()),
    (inner(SLIM, "mirrors"), Mirrors, {}, set()),
    (inner(SLIM, "build"), BuildSettings, {}, set()),
    (inner(SLIM, "cache"), slim_model.Cache, {}, set()),
    (inner(SLIM, "run"), slim_model.Run, {}, set()),
    (inner(SLIM, "report"), slim_model.Reports, {}, set()),
    (inner(SLIM, "lint"), slim_model.Lint, {}, set()),
    (inner(SLIM, "policy"), slim_model.Policy, {}, set()),
]
NO_FIELD = {"$schema", "extends", "vars"}
BY_NAME = [pytest.param(*pair, id=pair[1].__name__) for pair in PAIRS]


@pytest.mark.parametrize(("schema", "kind", "renamed", "extra"), BY_NAME)
def test_fields(schema: Schema, kind: type, renamed: dict[str, str], extra: set[str]) -> None:
    keys = {renamed.get(key, key) for key in schema.get("properties", {}) if key not in NO_FIELD}
    assert keys | extra == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(("schema", "kind", "renamed", "extra"), BY_NAME)
def test_enumerations(schema: Schema, kind: type, renamed: dict[str, str], extra: set[str]) -> None:
    names = vars(errors) | vars(model) | vars(slim_model) | {"Literal": typing.Literal, "Path": Path}
    names |= {"Document": object}
    hints = typing.get_type_hints(kind, globalns={**vars(settings), **names, **_literals(settings)})
    for key, below in schema.get("properties", {}).items():
        if key not in NO_FIELD and choices(below):
            assert list(typing.get_args(hints[renamed.get(key, key)])) == choices(below), key
    assert extra.isdisjoint(key for key in renamed)


def _literals(module: Any) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if typing.get_origin(value) is typing.Literal}


REQUIRED_PARTS = [
    (model.PythonGit, {"ref"}),
    (model.PythonDebian, {"suite"}),
    (model.Debian, {"packages"}),
    (model.FileCopy, {"to", "where"}),
    (model.Healthcheck, {"cmd"}),
    (model.VerifyRun, {"cmd", "where"}),
    (model.Recipe, {"name", "source", "python", "python_where", "runtime_where"}),
]


@pytest.mark.parametrize(("kind", "required"), REQUIRED_PARTS)
def test_required(kind: type, required: set[str]) -> None:
    missing = dataclasses.MISSING
    found = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is missing and field.default_factory is missing
    }
    assert found == required


def test_defaults_of_a_recipe(tmp_path: Path) -> None:
    """What the schema's defaults make of the smallest recipe is what the dataclasses' defaults are."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "python:\n  git: {ref: main}\nfiles: [{to: /x}]\n"
        "image: {healthcheck: {cmd: [a]}}\nverify: {run: [{cmd: [a]}]}\n"
    )
    recipe = load_recipe(path, slim=Slim())
    assert recipe.python == model.PythonGit(ref="main")
    assert recipe.prune == model.Prune()
    assert recipe.pip == model.Pip(base=tmp_path)
    (copied,) = recipe.files
    assert copied == model.FileCopy(to="/x", where=copied.where, base=tmp_path)
    (run,) = recipe.verify.run
    assert run == model.VerifyRun(cmd=("a",), where=run.where)
    assert recipe.image == model.Image(tags=("x:latest",), healthcheck=model.Healthcheck(cmd=("a",)))
    whole = model.Recipe(
        name="x",
        source=path,
        python=recipe.python,
        python_where=recipe.python_where,
        runtime_where=recipe.runtime_where,
        files=recipe.files,
        image=recipe.image,
        verify=recipe.verify,
        pip=recipe.pip,
        origins=recipe.origins,
    )
    assert recipe == whole


def test_defaults_of_debian(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("python: {debian: {suite: bookworm}}\ndebian: {packages: [libpq5]}\n")
    recipe = load_recipe(path, slim=Slim())
    assert recipe.python == model.PythonDebian(suite="bookworm")
    assert recipe.debian == model.Debian(packages=recipe.debian.packages if recipe.debian else ())


def test_defaults_of_slim(tmp_path: Path) -> None:
    path = tmp_path / "slim.yaml"
    path.write_text("lock: use\n")
    slim = load_slim(path)
    reports = slim_model.Reports(dir=tmp_path / "build/reports")
    assert slim == Slim(document=slim.document, recipes=(tmp_path / "recipes",), report=reports)


def schemas_in(schema: Schema) -> Iterator[Schema]:
    """Every schema of a property, at any depth."""
    for below in schema.get("properties", {}).values():
        yield below
        yield from schemas_in(below)
    if "items" in schema:
        yield from schemas_in(schema["items"])


def everything(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield key, below
            if key not in ("properties", "default", "examples"):
                yield from everything(below)
        for below in value.get("properties", {}).values():
            yield from everything(below)


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_draft_07_and_complete(kind: str) -> None:
    schema = load_schema(kind)
    jsonschema.Draft7Validator.check_schema(schema)
    assert '"oneOf"' not in schema_text(kind)
    assert '"anyOf"' not in schema_text(kind)
    for below in schemas_in(schema):
        assert below["description"].endswith(".")
        assert below["examples"]
        if "properties" in below:
            assert below["additionalProperties"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_examples_and_defaults_pass_their_own_schema(kind: str) -> None:
    tight = strict(load_schema(kind))
    for loose, below in zip(schemas_in(load_schema(kind)), schemas_in(tight), strict=True):
        values = [*below["examples"], *([below["default"]] if below.get("default") is not None else [])]
        for value in values:
            for schema in (loose,) if kind == "catalog" else (loose, below):  # a catalog's strings are never merged
                assert list(jsonschema.Draft7Validator(schema).iter_errors(value)) == [], (value, below)
            if isinstance(value, str) and "format" in below:
                assert FORMATS[below["format"]](value) is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_required_has_a_default(kind: str) -> None:
    def look(schema: Schema) -> None:
        exactly_one = schema.get("maxProperties") == 1
        for key, below in schema.get("properties", {}).items():
            wanted = key in schema.get("required", ()) or exactly_one or (kind, key) == ("recipe", "python")
            assert ("default" in below) is not wanted, key
            look(below)
            look(below.get("items", {}))

    look(load_schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_and_keyword_is_known(kind: str) -> None:
    """Each keyword that can fail has its own sentence in problems._sentence; each format its function."""
    said = {"type", "required", "minProperties", "maxProperties", "pattern", "format", "minimum", "maximum"}
    said |= {"minItems", "minLength", "propertyNames", "additionalProperties"}
    silent = {"$schema", "title", "description", "default", "examples", "properties", "items"}
    found = list(everything(load_schema(kind)))
    assert {key for key, _ in found} - silent <= said
    assert {value for key, value in found if key == "format"} <= set(FORMATS)


def test_every_format_is_used() -> None:
    used = {value for kind in KINDS for key, value in everything(load_schema(kind)) if key == "format"}
    assert used == set(FORMATS)


def test_published_recipe_schema_admits_variables_null_and_parents() -> None:
    """An editor, which sees one file and knows no variables, never marks a valid one."""
    published = jsonschema.Draft7Validator(json.loads(schema_text("recipe")))
    good = {
        "extends": "base.yaml",
        "wheels": None,
        "name": "${stem}-x",
        "prune": {"level": "${level}", "keep": None},
        "platforms": ["linux/${arch}"],
        "image": {"env": {"A": None, "B": 3.1}, "user": 0},
        "debian": {"packages": ["a"], "suite": "${suite}"},
    }
    assert list(published.iter_errors(good)) == []
    assert [error.validator for error in published.iter_errors({"name": "x"})] == ["required"]


def test_every_pattern_admits_variables() -> None:
    for key, value in everything(RECIPE):
        if key == "pattern":
            assert isinstance(value, str)
            assert re.search(value, "${x}") or value == "^(?:[A-Za-z_][A-Za-z0-9_]*)$", value


def test_strict_is_strict() -> None:
    root = parse_document('name: "a\\n"\nprune: {level: "${x}"}\nwheels:\npython: {image: x}\n', file="f").root
    rules = [problem.rule for problem in check(root, strict(RECIPE, required=("python",)), formats=True)]
    assert rules == ["bad-value", "choice", "wrong-type"]
    assert types_of(RECIPE["properties"]["wheels"]) == ["array"]


@pytest.mark.parametrize("kind", KINDS)
def test_documentation_is_current(kind: str, golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / f"{kind}.md", render_reference(kind))


def test_shipped_slim_yaml_is_valid() -> None:
    slim = load_slim(ROOT / "slim.yaml")
    assert slim.recipes == (ROOT / "recipes",)
    assert slim.requires == ">=0.1"
