"""Where the shipped data is: beside the package when installed, at the checkout's top level when run from a clone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def _folder(name: str) -> Traversable:
    for folder in (Path(__file__).parent, Path(__file__).resolve().parents[2]):
        if (folder / name).is_dir():
            return folder / name
    from importlib.resources import files  # out of a zip: to load it takes longer than all else here

    return files("slimrun") / name


def schema_text(kind: str) -> str:
    """The JSON Schema of `kind` (recipe, slim, report) as text; raises FileNotFoundError for another name."""
    return (_folder("schemas") / f"{kind}.schema.json").read_text(encoding="utf-8")


def schema_kinds() -> tuple[str, ...]:
    """The kinds of file that have a schema, sorted."""
    return _stems("schemas", ".schema.json")


def recipe_text(name: str) -> str:
    """A shipped recipe as text; raises FileNotFoundError for another name."""
    return (_folder("recipes") / f"{name}.yaml").read_text(encoding="utf-8")


def recipe_names() -> tuple[str, ...]:
    """The names of the shipped recipes, sorted."""
    return _stems("recipes", ".yaml")


def _stems(folder: str, ending: str) -> tuple[str, ...]:
    names = (item.name for item in _folder(folder).iterdir())
    return tuple(sorted(name.removesuffix(ending) for name in names if name.endswith(ending)))
