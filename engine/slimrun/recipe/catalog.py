"""A catalog → its images, each a complete Recipe; or all that is wrong with it.

What an entry says (`set`, `name`, `vars`, a row of its matrix) is one layer over its recipe, and `defaults` one under it:
recipe/cascade.py has the whole order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import Invalid, Problem, RecipeInvalid, Where
from slimrun.recipe import read
from slimrun.recipe.document import Document, read_document
from slimrun.recipe.expand import Wanted, expand, misplaced, recipe_keys
from slimrun.recipe.extends import is_catalog
from slimrun.recipe.load import Around, load_recipe
from slimrun.recipe.nodes import Scalar, at
from slimrun.recipe.places import recipe_file
from slimrun.recipe.problems import check, in_order
from slimrun.recipe.reference import canonical
from slimrun.recipe.schema import as_text, load_schema
from slimrun.recipe.words import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Mapping as MappingOf
    from pathlib import Path

    from slimrun.recipe.model import Recipe
    from slimrun.recipe.problems import Memory
    from slimrun.recipe.slim_model import Slim


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One image to make, and how --limit finds it; `where` is the place that named it, `catalog` "" for a recipe given alone."""

    recipe: Recipe
    where: Where
    groups: tuple[str, ...] = ()
    catalog: str = ""


def load_members(
    path: Path,
    *,
    sets: tuple[str, ...] = (),
    extra_vars: MappingOf[str, str] | None = None,
    slim: Slim,
    memory: Memory | None = None,
) -> tuple[Member, ...]:
    """The images of a FILE: a catalog's in its order, or the one of a recipe; `memory` as `problems.check` has it.

    Raises what load_recipe raises; RecipeInvalid holds the problems of the catalog and of all its recipes.
    """
    reader = _once(read_document)
    document = reader(recipe_file(path))
    if not is_catalog(document):
        recipe = load_recipe(path, sets=sets, extra_vars=extra_vars, slim=slim, read=reader, memory=memory)
        name = recipe.origin("name")
        return (Member(recipe=recipe, where=name.where if name else Where(str(path), 1, 1)),)
    root = read.mapping(as_text(document.root, load_schema("catalog")))
    if shape := check(root, load_schema("catalog"), formats=False, memory=memory):
        raise RecipeInvalid(in_order(shape, (document,)))
    named = at(root, ("catalog",))
    catalog = named.text if isinstance(named, Scalar) and named.text else path.stem
    around = recipe_keys(at(root, ("defaults",)))
    wanted, problems = expand(root, path.parent, extra_vars or {})
    problems.update(dict.fromkeys(misplaced(root, memory)))
    members: list[tuple[Wanted, Member]] = []
    for item in wanted:
        within = Around(image=item.layer, defaults=around, document=document)
        try:
            recipe = load_recipe(
                item.path, sets=sets, extra_vars=extra_vars, slim=slim, around=within, read=reader, memory=memory
            )
        except RecipeInvalid as error:
            problems.update(dict.fromkeys(error.problems))
        except Invalid as error:
            text = f"the recipe {quoted(str(item.path))}: {error.message}"
            problems[Problem(where=item.recipe_place, text=text, rule="recipe", hint=error.hint)] = None
        else:
            members.append((item, Member(recipe=recipe, where=item.place, groups=item.groups, catalog=catalog)))
    problems.update(dict.fromkeys(_indistinct(members)))
    # Rows of one matrix that share a name have had their sentence.
    apart = {(item.matrix or item.place, member.recipe.name): member for item, member in members}
    problems.update(dict.fromkeys(clashes(apart.values())))
    if problems:
        raise RecipeInvalid(in_order(problems, (document,)))
    return tuple(member for _, member in members)


def clashes(members: Iterable[Member]) -> Iterator[Problem]:
    """A problem for every image whose name or tag another one before it has: the later would take the earlier's place."""
    names: dict[str, Where] = {}
    tags: dict[str, tuple[str, Where]] = {}
    for member in members:
        name = member.recipe.name
        if name in names:
            text = f"the name {quoted(name)} is taken: {names[name]} names an image so too"
            yield Problem(where=member.where, text=text, rule="duplicate-name", hint="give each image its own 'name'")
            continue
        names[name] = member.where
        for tag in member.recipe.image.tags:
            other, place = tags.setdefault(canonical(tag), (name, member.where))
            if other != name:
                text = f"{quoted(name)} has the tag {quoted(tag)}, and so has {quoted(other)} at {place}"
                where, line = _tag_place(member)
                hint = "a tag leads to one image: let it hold what tells them apart"
                yield Problem(where=where, text=text, rule="duplicate-tag", hint=hint, source=line)


def _tag_place(member: Member) -> tuple[Where, str]:
    origin = member.recipe.origin("image", "tags")
    return (origin.where, origin.source) if origin and origin.where.line else (member.where, "")


def _indistinct(members: list[tuple[Wanted, Member]]) -> Iterator[Problem]:
    """A problem for every matrix that makes several images of one name."""
    rows: dict[Where, list[str]] = {}
    for item, member in members:
        if item.matrix is not None:
            rows.setdefault(item.matrix, []).append(member.recipe.name)
    for where, found in rows.items():
        again = sorted({name for name in found if found.count(name) > 1})
        if again:
            text = f"this matrix makes {found.count(again[0])} images that are all named {quoted(again[0])}"
            hint = "write a 'name' that holds what tells them apart, such as 'service-${py}'"
            yield Problem(where=where, text=text, rule="matrix-name", hint=hint)


def _once(read: Callable[[Path], Document]) -> Callable[[Path], Document]:
    """`read`, which parses each file once: many images of a catalog share their recipe."""
    known: dict[Path, Document] = {}

    def reading(path: Path) -> Document:
        if path not in known:
            known[path] = read(path)
        return known[path]

    return reading
