"""What the image's own environment names and the image does not have: warnings, for a volume may bring it."""

from __future__ import annotations

import re
from posixpath import join
from typing import TYPE_CHECKING

from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slimrun.tree.tree import Tree

# Variables that name a file or folder, and what happens where it is not there; the first is measured in ELF.md section 3.
PATHS = {
    "SSL_CERT_FILE": (Kind.FILE, "OpenSSL trusts nobody then, whatever else is there"),
    "SSL_CERT_DIR": (Kind.DIR, "OpenSSL looks nowhere else for authorities by hash"),
    "OPENSSL_CONF": (Kind.FILE, "OpenSSL goes without a configuration then"),
    "REQUESTS_CA_BUNDLE": (Kind.FILE, "requests raises OSError then"),
    "CURL_CA_BUNDLE": (Kind.FILE, "requests and curl fail then"),
}
LOCALES = ("LC_ALL", "LC_CTYPE", "LANG")
_FOLDER, _ARCHIVE = "/usr/lib/locale", "/usr/lib/locale/locale-archive"
_ZONES = "/usr/share/zoneinfo"
# Not a rule such as CET-1CEST, and not what every libc knows.
_ZONE = re.compile(r":?([A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+)")


def unfounded(tree: Tree, env: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that leads nowhere."""
    for name, (kind, then) in PATHS.items():
        value = env.get(name, "")
        found = tree.resolve(value) if value.startswith("/") else None
        if value and (found is None or found.entry.kind is not kind):
            yield f"{name} names {value}, which is not there: {then}"
    for name in LOCALES:
        value = env.get(name, "")
        if value not in ("", "C", "POSIX") and not _locale(tree, value):
            yield f"{name} names the locale {value}, which is not there: programs in C go on in C, and setlocale fails"
    zone = _ZONE.fullmatch(env.get("TZ", ""))
    if zone and tree.resolve(join(_ZONES, zone[1])) is None:
        yield f"TZ names {zone[1]}, of which there is nothing in {_ZONES}: the time is UTC without a word"


def _locale(tree: Tree, value: str) -> bool:
    """As glibc looks for it: by the name as it stands, then with its character set as `utf8`; an archive may hold any."""
    language, dot, rest = value.partition(".")
    charset, at, modifier = rest.partition("@")
    plain = f"{language}{dot}{re.sub('[^a-z0-9]', '', charset.lower())}{at}{modifier}"
    return any(tree.resolve(path) is not None for path in (f"{_FOLDER}/{value}", f"{_FOLDER}/{plain}", _ARCHIVE))
