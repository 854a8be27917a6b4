"""Where a libcrypto looks for certificates, modules and its configuration, and what that configuration names."""

from __future__ import annotations

import re
from posixpath import join, normpath
from typing import NamedTuple

# What `openssl version -a` prints, compiled into libcrypto (crypto/cversion.c): OPENSSLDIR: "/usr/lib/ssl".
# The text that both begin with is all that a search through megabytes looks for.
_FOLDER = re.compile(rb'DIR: "(/[^"\0\n]{0,4095})"')
_SETTING = re.compile(r"^\s*(?:module|dynamic_path)\s*=\s*([^#\s]+)", re.MULTILINE)
_INCLUDE = re.compile(r"^\s*\.include\s*=?\s*([^#\s]+)", re.MULTILINE)


class Folders(NamedTuple):
    """Absolute paths, "" where the library does not say (OpenSSL 1.1.1 has no MODULESDIR)."""

    openssldir: str = ""
    modulesdir: str = ""

    def words(self) -> dict[str, str]:
        """As patterns of features name them."""
        return {"{openssldir}": self.openssldir, "{modulesdir}": self.modulesdir}


def folders_of(libcrypto: bytes) -> Folders:
    """The folders that a libcrypto, of which these are the bytes, was built for."""
    found: dict[bytes, str] = {}
    for match in _FOLDER.finditer(libcrypto):
        word = libcrypto[max(0, match.start() - len("OPENSSL")) : match.start()]
        found[word] = normpath(match[1].decode("utf-8", "surrogateescape"))
    return Folders(found.get(b"OPENSSL", ""), found.get(b"MODULES", ""))


def named_files(config: bytes, folders: Folders) -> tuple[str, ...]:
    """What an openssl.cnf names: modules of providers and engines, and files that it includes.

    A module by name alone is looked for in MODULESDIR; `fips` brings its own configuration by `.include`.
    """
    text = config.decode("utf-8", "replace")
    modules = (path if "." in path else f"{path}.so" for path in _SETTING.findall(text))
    return tuple(
        sorted(
            {
                *(join(folders.modulesdir, path) for path in modules if folders.modulesdir or path.startswith("/")),
                *(join(folders.openssldir, path) for path in _INCLUDE.findall(text)),
            }
        )
    )
