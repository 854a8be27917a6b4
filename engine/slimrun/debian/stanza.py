"""Paragraphs of `Field: value` lines (deb822(5)): Release, Packages, and a package's control file."""

from __future__ import annotations


def fields(text: str) -> dict[str, str]:
    """The fields of one paragraph by lower-case name; a value's further lines follow after line ends, their blank gone."""
    found: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):
            if name:
                found[name] += "\n" + line[1:]
        elif not line.startswith("#") and ":" in line:
            name, _, value = line.partition(":")
            name = name.lower()
            found[name] = value.strip()
    return found
