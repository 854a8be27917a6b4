"""Files that recipes name: there or not, and what was probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.errors import Invalid, Where
from slimrun.recipe.words import names, near_miss, quoted

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".yaml", ".yml")


def recipe_file(path: Path) -> Path:
    """`path` if it is a file; raises Invalid that names the file which was probably meant."""
    where = Where(str(path))
    try:
        if path.is_dir():
            message = "a folder, where a recipe is wanted"
            raise Invalid(message, hint=_in_folder(path), where=where)
        if not path.exists():
            link = path.is_symlink()
            message = f"a link to {path.readlink()}, which leads to no file" if link else "there is no such file"
            raise Invalid(message, hint="" if link else siblings_hint(path), where=where)
    except (OSError, ValueError) as error:  # a name too long, a NUL, a folder that may not be read
        message = f"the file cannot be read: {reason(error)}"
        raise Invalid(message, where=where) from error
    return path


def reason(error: Exception) -> str:
    """An operating system's reason, without its number and path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def siblings_hint(path: Path) -> str:
    """`did you mean 'hello.yaml'?` by the names beside `path`, else what is there; empty for an empty folder."""
    for ending in ENDINGS:
        if path.suffix in (*ENDINGS, "") and path.with_suffix(ending).is_file():
            return f"did you mean {quoted(str(path.with_suffix(ending)))}?"
    beside = _listing(path.parent)
    close = near_miss(path.name, beside, cutoff=0.75)  # endings alone make names alike
    if close:
        return f"did you mean {quoted(str(path.parent / close))}?"
    return "" if beside else f"the folder {quoted(str(path.parent))} is empty or not there"


def _in_folder(folder: Path) -> str:
    recipes = [name for name in _listing(folder) if name.endswith(ENDINGS)]
    return f"name one of its files: {names(recipes[:8])}" if recipes else "it holds no .yaml file"


def _listing(folder: Path) -> list[str]:
    try:
        return sorted(item.name for item in folder.iterdir())
    except OSError:
        return []
