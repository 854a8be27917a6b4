"""A recipe and its parents, read one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import Invalid, Problem, RecipeInvalid
from slimrun.recipe.document import Document, read_document
from slimrun.recipe.nodes import Scalar
from slimrun.recipe.places import recipe_file
from slimrun.recipe.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The recipe, its parent, the parent's parent…; a problem means that the chain ends early."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


def read_chain(path: Path, read: Callable[[Path], Document] = read_document) -> Chain:
    """The files that make up a recipe; raises Invalid for one that is not there, RecipeInvalid for bad YAML in it."""
    documents = [read(recipe_file(path))]
    _refuse_catalog(documents[0])
    seen = [path.resolve()]
    while (link := _parent_of(documents[-1])) is not None:
        parent = (link.base or path.parent) / link.text
        try:
            recipe_file(parent)
            if parent.resolve() in seen:
                return _broken(documents, link, f"{quoted(link.text)} extends this file in turn", "extends-cycle")
            documents.append(read(parent))
        except RecipeInvalid as error:
            return Chain(documents=tuple(documents), problems=error.problems)
        except Invalid as error:
            text = f"the parent {quoted(link.text)}: {error.message}"
            return _broken(documents, link, text, "extends", error.hint)
        seen.append(parent.resolve())
    return Chain(documents=tuple(documents), problems=())


def _parent_of(document: Document) -> Scalar | None:
    entry = document.root.find("extends")
    value = entry.value if entry is not None else None
    return value if isinstance(value, Scalar) and isinstance(value.value, str) and value.text else None


def _broken(documents: list[Document], link: Scalar, text: str, rule: str, hint: str = "") -> Chain:
    problem = Problem(where=link.where, text=text, rule=rule, hint=hint)
    return Chain(documents=tuple(documents), problems=(problem,))


def is_catalog(document: Document) -> bool:
    """Whether the file lists images rather than being the recipe of one."""
    return document.root.find("images") is not None


def _refuse_catalog(document: Document) -> None:
    entry = document.root.find("images")
    if entry is not None:
        message = "a file with 'images' is a catalog, where a recipe is wanted"
        raise Invalid(message, hint="name one of its recipes", where=entry.where)
