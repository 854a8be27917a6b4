"""What slim.yaml gives build containers of this machine's network: files in a volume, and environment; no image holds any of it.

The volume is mounted over a folder and is no part of what is committed; the environment belongs to one command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.debian.archive import MAIN, SECURITY
from slimrun.fetch.authorities import read_authorities
from slimrun.tree.entry import Kind, file
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.settings import Settings

    Pairs = tuple[tuple[str, str], ...]

FOLDER = "/run/slimrun"
AUTHORITIES = f"{FOLDER}/ca.pem"
_APT = f"{FOLDER}/apt"
_SOURCES = "/etc/apt/sources.list"
# Each program has a name of its own for the file of authorities.
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO")
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_NO_PROXY = ("no_proxy", "NO_PROXY")
_ALWAYS = (
    'APT::Update::Error-Mode "any";',  # else lists that cannot be had look like packages that do not exist
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'Dpkg::Options:: "--force-unsafe-io";',
    'Dpkg::Use-Pty "false";',
)


def surroundings(settings: Settings, apt: Tree) -> tuple[Tree, Pairs]:
    """Files below FOLDER, and environment, for a step that has network; `apt` is the builder's own /etc/apt.

    Raises RequirementNotMet where build.ca_certificates cannot be read.
    """
    files: dict[str, bytes] = {}
    env: dict[str, str] = {"APT_CONFIG": f"{_APT}/apt.conf", "DEBIAN_FRONTEND": "noninteractive"}
    lines = list(_ALWAYS)
    if settings.build.ca_certificates is not None:
        files[AUTHORITIES] = read_authorities(settings.build.ca_certificates)
        env |= dict.fromkeys(_BUNDLES, AUTHORITIES)
        lines.append(f'Acquire::https::CaInfo "{AUTHORITIES}";')
    if settings.build.proxy:
        env |= dict.fromkeys(_PROXIES, settings.build.proxy) | dict.fromkeys(_NO_PROXY, "localhost,127.0.0.1,::1")
    if settings.mirrors.debian:
        files |= _mirrored(apt, settings.mirrors.debian)
        lines += [
            f'Dir::Etc::SourceList "{_APT}/sources.list";',
            f'Dir::Etc::SourceParts "{_APT}/sources.list.d";',
        ]
    files[f"{_APT}/apt.conf"] = ("\n".join(lines) + "\n").encode()
    return Tree({path: file(data) for path, data in files.items()}), tuple(sorted(env.items()))


def _mirrored(apt: Tree, mirror: str) -> dict[str, bytes]:
    """The builder's own lists of archives, Debian's addresses replaced; as for `debian:`, security's neighbour too."""
    root = mirror.rstrip("/")
    pairs = [(MAIN, root)]
    if root.endswith("/debian"):
        pairs += [(SECURITY, f"{root}-security"), ("http://security.debian.org/debian-security", f"{root}-security")]
    # The longer first: MAIN is the beginning of SECURITY.
    pairs.sort(key=lambda pair: -len(pair[0]))
    found = {f"{_APT}/sources.list": b"", f"{_APT}/sources.list.d/none.list": b""}
    for path, entry in apt.items():
        if entry.kind is not Kind.FILE or not (path == _SOURCES or path.startswith(f"{_SOURCES}.d/")):
            continue
        text = entry.read().decode("utf-8", "surrogateescape")
        for canonical, replacement in pairs:
            for address in (canonical, canonical.replace("http://", "https://")):
                text = _replaced(text, address, replacement)
        found[_APT + path.removeprefix("/etc/apt")] = text.encode("utf-8", "surrogateescape")
    return found


def _replaced(text: str, address: str, replacement: str) -> str:
    """Whole addresses only: /debian is the beginning of /debian-security."""
    for end in ("/", " ", "\t", "\n"):
        text = text.replace(address + end, replacement + end)
    return text
