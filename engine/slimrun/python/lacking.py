"""Extension modules that CPython can be built without: what `make` says of them, and which package brings each."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brings:
    """The Debian package that an extension module is compiled against, and the modules that cannot be imported without it."""

    package: str
    modules: tuple[str, ...] = ()


# From setup.py and configure.ac of CPython 3.7 to 3.14, and Debian's contents.
BRINGS: dict[str, Brings] = {
    "_bz2": Brings("libbz2-dev", ("bz2",)),
    "_crypt": Brings("libcrypt-dev", ("crypt",)),
    "_ctypes": Brings("libffi-dev", ("ctypes",)),
    "_curses": Brings("libncurses-dev", ("curses",)),
    "_curses_panel": Brings("libncurses-dev", ("curses.panel",)),
    "_dbm": Brings("libgdbm-compat-dev", ("dbm.ndbm",)),
    "_decimal": Brings("libmpdec-dev"),
    "_gdbm": Brings("libgdbm-dev", ("dbm.gnu",)),
    "_hashlib": Brings("libssl-dev"),
    "_lzma": Brings("liblzma-dev", ("lzma",)),
    "_sqlite3": Brings("libsqlite3-dev", ("sqlite3",)),
    "_ssl": Brings("libssl-dev", ("ssl",)),
    "_tkinter": Brings("tk-dev", ("tkinter", "turtle", "turtledemo", "idlelib")),
    "_uuid": Brings("uuid-dev"),
    "_zstd": Brings("libzstd-dev", ("compression.zstd",)),
    "nis": Brings("libnsl-dev"),
    "readline": Brings("libreadline-dev"),
    "zlib": Brings("zlib1g-dev"),
}
# setup.py until 3.11, Tools/build/check_extension_modules.py since; names in columns follow, then an empty line or words.
_HEADERS = (
    "The necessary bits to build these optional modules were not found:",
    "Failed to build these modules:",
    "Following modules built successfully but were removed because they could not be imported:",
)
_NAMES = re.compile(r"\w+(?:\s+\w+)*\s*")
_WORDS = re.compile(r"^(?:To|The|Could|Custom|Following|Failed|Checked|make|running|generating|building|copying)\b")


def lacking_in(log: str) -> tuple[str, ...]:
    """The extension modules that a log of `make` says were not built, sorted."""
    found: set[str] = set()
    lines = iter(log.splitlines())
    for line in lines:
        if line.strip() not in _HEADERS:
            continue
        for names in lines:
            if not _NAMES.fullmatch(names) or _WORDS.match(names):
                break
            found.update(names.split())
    return tuple(sorted(found))


def package_of(extension: str) -> str:
    """The package that usually brings an extension module, "" where none is known."""
    known = BRINGS.get(extension)
    return known.package if known else ""


def needed_by(module: str, extension: str) -> bool:
    """Whether a module that a person names cannot be imported without an extension module."""
    known = BRINGS.get(extension)
    return known is not None and any(module == name or module.startswith(f"{name}.") for name in known.modules)
