"""Whatever stands in a file or on the command line, only errors of ours come out, and each can be shown."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from slimrun.errors import RecipeInvalid, SlimrunError
from slimrun.recipe.document import parse_document
from slimrun.recipe.load import load_recipe
from slimrun.recipe.reference import parse_reference
from slimrun.recipe.schema import load_schema
from slimrun.recipe.sets import sets_layer
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim
from slimrun.recipe.variables import parse_extra_vars

KEYS = [*load_schema("recipe")["properties"], *load_schema("recipe")["properties"]["prune"]["properties"], "from", "x"]
WORDS = ["${a}", "${", "$$", "3.10", "null", "true", "12", "/a/**", "[", "{", "*a", "&a b", "!x y", "<<", "- ", "80MB"]
text = st.text(max_size=40) | st.sampled_from(WORDS)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | text, inner, max_size=4),
    max_leaves=12,
)
recipes = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
lines = st.lists(
    st.builds("{}{}: {}".format, st.sampled_from(["", "  ", "\t", "- "]), st.sampled_from(KEYS), text), max_size=8
)


def survives(folder: Path, data: bytes) -> None:
    path = folder / "recipe.yaml"
    path.write_bytes(data)
    for load in (lambda: load_recipe(path, slim=Slim()), lambda: load_slim(path)):
        try:
            load()
        except SlimrunError as error:
            error.render()
            if isinstance(error, RecipeInvalid):
                for problem in error.problems:
                    problem.render().encode()
                    assert "\n" not in problem.text


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes(data: bytes) -> None:
    try:
        parse_document(data, file="f")
    except RecipeInvalid as error:
        error.render()


def test_any_file(tmp_path: Path) -> None:
    @settings(deadline=None, max_examples=60)
    @given(lines=lines)
    def any_lines(lines: list[str]) -> None:
        survives(tmp_path, "\n".join(lines).encode("utf-8", "surrogatepass"))

    @settings(deadline=None, max_examples=60)
    @given(recipe=recipes)
    def any_values(recipe: dict[str, object]) -> None:
        survives(tmp_path, json.dumps(recipe).encode())

    any_lines()
    any_values()


@settings(deadline=None, max_examples=100)
@given(word=text)
def test_any_command_line(word: str) -> None:
    schema = load_schema("recipe")
    for attempt in (
        lambda: sets_layer((word,), schema, Path()),
        lambda: sets_layer((f"image.env.{word}",), schema, Path()),
        lambda: sets_layer((f"prune.keep={word}",), schema, Path()),
        lambda: parse_extra_vars((word,)),
    ):
        try:
            attempt()
        except SlimrunError as error:
            error.render()


@settings(deadline=None)
@given(text=st.text(max_size=60) | st.from_regex(r"[a-z./:@-]{0,30}"))
def test_any_reference(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(reference)) == parse_reference(str(parse_reference(str(reference))))
