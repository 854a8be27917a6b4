"""What a recipe or slim.yaml can say and this version cannot do yet; the table shrinks as the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun import machine
from slimrun.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.errors import Where
    from slimrun.recipe.model import Recipe
    from slimrun.recipe.slim_model import Slim

_HINT = "'--syntax-check' accepts the recipe; leave the key out to run it with this version"


def not_yet(recipe: Recipe, *, host: str | None = None) -> tuple[Problem, ...]:
    """A Problem for each use of a key whose work is not there, in file order; `host` None asks this machine."""
    sources = {origin.where: origin.source for origin in recipe.origins}
    found = [(where, what) for what, uses in PLANNED for where in uses(recipe)]
    found += [(where, "images for another machine") for where in _foreign(recipe, host or machine.host().platform)]
    return tuple(
        Problem(where=where, text=f"{what}: not done yet", rule="not-yet", hint=_HINT, source=sources.get(where, ""))
        for where, what in sorted(found)
    )


def _at(recipe: Recipe, used: bool, *key: str) -> tuple[Where, ...]:
    origin = recipe.origin(*key)
    return (origin.where if origin else recipe.python_where,) if used else ()


def _foreign(recipe: Recipe, host: str) -> tuple[Where, ...]:
    return _at(recipe, any(wanted != host for wanted in recipe.platforms), "platforms")


PLANNED: tuple[tuple[str, Callable[[Recipe], tuple[Where, ...]]], ...] = (
    ("level tiny", lambda r: _at(r, r.prune.level == "tiny", "prune", "level")),
    ("traces", lambda r: _at(r, r.prune.trace is not None, "prune", "trace")),
)

# What slim.yaml can say and this version does not heed; a key is named only where it would change something.
PLANNED_SLIM: tuple[tuple[str, tuple[str, ...], Callable[[Slim], bool]], ...] = (
    ("requiring a lock", ("lock",), lambda s: s.lock == "require"),
    ("a shared cache", ("cache", "registry"), lambda s: s.cache.registry is not None),
    ("Dask", ("run", "dask"), lambda s: s.run.dask is not None),
)


def slim_not_yet(slim: Slim) -> tuple[Problem, ...]:
    """A Problem for each key of slim.yaml that asks for work which is not there, in file order."""
    if slim.document is None:
        return ()
    places = slim.document.places()
    found = [(places[key][0], what) for what, key, used in PLANNED_SLIM if used(slim) and key in places]
    hint = "leave the key out to run with this version"
    return tuple(
        Problem(
            where=where,
            text=f"{what}: not done yet",
            rule="not-yet",
            hint=hint,
            source=slim.document.line(where),
        )
        for where, what in sorted(found)
    )
