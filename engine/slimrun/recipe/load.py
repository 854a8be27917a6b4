"""A recipe's file, its parents, a catalog, slim.yaml and the command line → one Recipe, or all that is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import Problem, RecipeInvalid, Where
from slimrun.recipe.build import build_recipe
from slimrun.recipe.cascade import cascade, with_built_in
from slimrun.recipe.checks import check_paths
from slimrun.recipe.document import Document, read_document
from slimrun.recipe.expand import NOTHING, fit_name
from slimrun.recipe.extends import read_chain
from slimrun.recipe.nodes import Mapping, without_nulls
from slimrun.recipe.problems import check, in_order, line_at
from slimrun.recipe.read import mapping
from slimrun.recipe.schema import as_text, load_schema, strict
from slimrun.recipe.sets import sets_layer
from slimrun.recipe.variables import extra_vars_layer, interpolate
from slimrun.recipe.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as MappingOf
    from pathlib import Path

    from slimrun.recipe.model import Recipe
    from slimrun.recipe.problems import Memory
    from slimrun.recipe.slim_model import Slim

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a catalog says of one of its images: keys over the recipe's, keys under them, and the file that they stand in."""

    image: Mapping
    defaults: Mapping
    document: Document


def load_recipe(
    path: Path,
    *,
    sets: tuple[str, ...] = (),
    extra_vars: MappingOf[str, str] | None = None,
    slim: Slim,
    around: Around | None = None,
    read: Callable[[Path], Document] = read_document,
    memory: Memory | None = None,
) -> Recipe:
    """The recipe in `path`, complete and checked; `read` lets a caller parse a file once that many images share, and `memory`
    remembers what was right (`problems.check`).

    Raises RecipeInvalid with all problems, Invalid for a file that cannot be read or is a catalog, and BadCommandLine
    for a `--set` that is none.
    """
    schema = load_schema("recipe")
    chain = read_chain(path, read)
    layers = tuple(mapping(as_text(document.root, schema)) for document in chain.documents)
    command_line = mapping(as_text(sets_layer(sets, schema, path.parent), schema))
    # What a path of --set leaves out, a lower layer may have: whether it does shows in the whole.
    found = check(command_line, schema, formats=False, memory=memory)
    given = {problem for problem in found if problem.rule != "missing-key"}
    problems = {*chain.problems, *given}
    for layer in layers:
        problems |= {*check(layer, schema, formats=False, memory=memory)}
    whole = cascade(
        extra_vars=extra_vars_layer(extra_vars or {}),
        sets=command_line,
        catalog_image=around.image if around else NOTHING,
        recipe=layers[0],
        parents=layers[1:],
        catalog_defaults=around.defaults if around else NOTHING,
        slim_defaults=slim.defaults,
        schema=schema,
    )
    final = interpolate(mapping(without_nulls(whole)))
    root = fit_name(final.root, around.image) if around else final.root
    problems |= {problem for problem in _check_whole(root, path, memory) if problem.where not in final.unfinished}
    problems |= {*final.problems}
    if chain.problems:  # what a lost parent would have given cannot be missed
        problems = {problem for problem in problems if problem.rule not in ("missing-key", "undefined")}
    documents = (
        *chain.documents,
        *([around.document] if around else []),
        *([slim.document] if slim.document else []),
    )
    if problems:
        raise RecipeInvalid(in_order(problems, documents))
    complete = mapping(with_built_in(root, schema))
    return build_recipe(complete, path, slim.registry.prefix, lambda where: line_at(where, documents))


def _check_whole(whole: Mapping, path: Path, memory: Memory | None) -> Iterable[Problem]:
    yield from check(whole, strict(load_schema("recipe"), required=("python",)), formats=True, memory=memory)
    yield from check_paths(whole)
    if whole.find("name") is None and not _NAME.fullmatch(path.stem):
        text = f"the file's name {quoted(path.stem)} cannot be the image's name"
        yield Problem(where=Where(str(path), 1, 1), text=text, rule="bad-value", hint="write 'name: …' into it")
