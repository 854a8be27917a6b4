"""Which package indexes are asked, in which order, and what their addresses are called in pins."""

from __future__ import annotations

import re
from configparser import ConfigParser
from configparser import Error as BadConfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.fetch.network import public

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.fetch.network import Network, Pairs

PYPI = "https://pypi.org/simple"
PYPI_FILES = "https://files.pythonhosted.org/"
_PYPI_FILE = re.compile(re.escape(PYPI_FILES) + r"packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Simple indexes (PEP 503) in order: a name that one of them has is never looked for in a later one."""

    urls: tuple[str, ...] = (PYPI,)

    def __str__(self) -> str:
        return ", ".join(public(url) for url in self.urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipConfig:
    """The two of pip's settings that say where packages come from; everything else of pip's stays pip's."""

    index: str | None = None
    extra: tuple[str, ...] = ()


def choose_indexes(
    *, recipe: str | None, recipe_extra: Sequence[str] = (), settings: str | None = None, pip: PipConfig | None = None
) -> Indexes:
    """The first that is given of the recipe's, slim.yaml's and pip's index, else PyPI; then extras, the recipe's first.

    pip's extras count only where pip's configuration also decides the index: a recipe's index is the whole story.
    """
    pip = pip or PipConfig()
    first = recipe or settings or pip.index or PYPI
    extra = (*recipe_extra, *(() if recipe or settings else pip.extra))
    return Indexes(urls=tuple(dict.fromkeys(url.rstrip("/") for url in (first, *extra))))


def pip_config(environ: Mapping[str, str], *, etc: Path = Path("/etc")) -> PipConfig:
    """What pip would read from its configuration files and PIP_* variables; a damaged file counts as absent."""
    home = Path(environ.get("HOME") or "/nonexistent")
    folders = [Path(folder) for folder in environ.get("XDG_CONFIG_DIRS", str(etc / "xdg")).split(":") if folder]
    files = [
        *(folder / "pip" / "pip.conf" for folder in reversed(folders)),
        etc / "pip.conf",
        home / ".pip" / "pip.conf",
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
    ]
    if venv := environ.get("VIRTUAL_ENV"):
        files.append(Path(venv) / "pip.conf")
    if given := environ.get("PIP_CONFIG_FILE"):
        files = [] if given == "/dev/null" else [*files, Path(given)]
    found: dict[str, str] = {}
    for section in ("global", "install"):
        for file in files:
            found |= _section(file, section)
    index = environ.get("PIP_INDEX_URL") or found.get("index-url")
    extra = environ.get("PIP_EXTRA_INDEX_URL") or found.get("extra-index-url", "")
    return PipConfig(index=index, extra=tuple(extra.split()))


def pypi_mirror(address: str) -> Pairs:
    """`mirrors.pypi` as Network.mirrors: `https://host/pypi` and `https://host/pypi/simple` mean the same."""
    root = address.rstrip("/").removesuffix("/simple")
    return (PYPI, f"{root}/simple"), (PYPI_FILES, f"{root}/")


def canonical(url: str, network: Network) -> str:
    """The address that a pin holds: without credentials, and the original's where it came from a mirror.

    A mirror that lays out its files in its own way keeps its address: PyPI's cannot be told from it.
    """
    plain = public(url)
    for prefix, replacement in network.mirrors:
        here = public(replacement)
        if plain.startswith(here):
            original = prefix + plain[len(here) :]
            if prefix != PYPI_FILES or _PYPI_FILE.fullmatch(original):
                return original
    return plain


def _section(file: Path, section: str) -> dict[str, str]:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BadConfig):
        return {}
    if not parser.has_section(section):
        return {}
    return {name.lower().replace("_", "-"): value for name, value in parser.items(section)}
