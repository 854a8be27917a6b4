"""docs/features.md out of the table of features, so that the page cannot fall behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.prune.features import FEATURES, When

if TYPE_CHECKING:
    from slimrun.prune.features import Feature

_HEAD = """\
# Run-time features

<!-- Made by slimrun.prune.reference from the table in prune/features.py; `pytest --update-golden` writes it anew. -->

What programs open at run time though no file says so. `prune.features` names the features that an image gets, and these alone:
`prune: {features: [ca, tz]}`. Without it an image gets each of the default ones where something in it asks for it. A default
feature whose files nothing has is a warning, one that a recipe names an error. `slimrun explain NAME PATH` says why a file is in.
"""
_WHEN = {
    When.ALWAYS: "every image",
    When.LOADED: "images that load {names}",
    When.IMPORTS: "images in which something imports {names}",
    When.EXTENSION: "images with the module {names}",
    When.ASKED: "recipes that name it",
}


def render_features() -> str:
    """The whole page, one section a feature."""
    return "\n".join([_HEAD, *map(_section, sorted(FEATURES, key=lambda each: each.name))]).rstrip() + "\n"


def _section(each: Feature) -> str:
    names = " or ".join(f"`{name}`" for name in each.names)
    who = _WHEN[each.when].format(names=names)
    switch = ", and no recipe can switch it off" if each.fixed else " (default)" if each.default else ""
    rows = [
        f"## `{each.name}`",
        "",
        f"{each.text}.",
        "",
        f"- For: {who}{switch}.",
        f"- Without it breaks: {each.breaks}.",
        f"- Seen: {each.evidence}.",
    ]
    if each.files:
        rows.append(f"- Files: {', '.join(f'`{pattern}`' for pattern in each.files)}.")
    if each.but:
        rows.append(f"- But not: {', '.join(f'`{pattern}`' for pattern in each.but)}.")
    if each.packages:
        rows.append(f"- Debian's packages: {', '.join(each.packages)}.")
    return "\n".join([*rows, ""])
