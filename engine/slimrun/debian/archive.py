"""Where Debian publishes what: suites, their security and update companions, snapshots, mirrors."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from slimrun.errors import DownloadFailed, PackageNotFound
from slimrun.fetch.http import download, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.http import Wanted
    from slimrun.fetch.network import Network

MAIN = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
SNAPSHOT = "https://snapshot.debian.org/archive"
RELEASED = ("bullseye", "bookworm", "trixie")
_ALONE = ("sid", "unstable", "experimental")
_SNAPSHOT = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One suite of one archive; `root` is the archive's canonical address, `required` false where it may not exist."""

    suite: str
    root: str
    required: bool = True

    @property
    def folder(self) -> str:
        """The address of the suite's own folder."""
        return f"{self.root}/dists/{self.suite}"


def sources_of(suite: str, snapshot: str | None) -> tuple[Source, ...]:
    """A suite with its updates and security updates; raises PackageNotFound for what is not a suite or a time.

    Released suites must have both, so that nobody can hide security updates; sid has neither; of others, testing above all,
    they are taken where they exist.
    """
    if snapshot is not None and not _SNAPSHOT.fullmatch(snapshot):
        msg = f"{snapshot!r} is not a time of snapshot.debian.org"
        raise PackageNotFound(msg, hint="write it as 20250520T000000Z")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", suite) or suite.endswith(("-updates", "-security")):
        msg = f"{suite!r} is not the name of a Debian suite"
        raise PackageNotFound(msg, hint=near_suite(suite))
    main = MAIN if snapshot is None else f"{SNAPSHOT}/debian/{snapshot}"
    security = SECURITY if snapshot is None else f"{SNAPSHOT}/debian-security/{snapshot}"
    if suite in _ALONE:
        return (Source(suite=suite, root=main),)
    known = suite in RELEASED
    return (
        Source(suite=suite, root=main),
        Source(suite=f"{suite}-updates", root=main, required=known),
        Source(suite=f"{suite}-security", root=security, required=known),
    )


def near_suite(suite: str) -> str:
    """The hint for a suite that is not there."""
    known = (*RELEASED, *_ALONE)
    near = get_close_matches(suite.lower().partition("-")[0], known, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def with_mirror(network: Network, mirror: str | None) -> Network:
    """A network that asks the mirror instead of deb.debian.org: `http://host/debian`, and for security its neighbour.

    A mirror whose address does not end in `/debian` is asked for everything but security updates.
    """
    if mirror is None:
        return network
    root = mirror.rstrip("/")
    pairs = [(f"{MAIN}/", f"{root}/")]
    if root.endswith("/debian"):
        pairs.append((f"{SECURITY}/", f"{root}-security/"))
    return replace(network, mirrors=(*network.mirrors, *pairs))


def read_small(url: str, *, network: Network) -> bytes:
    """An InRelease; most mirrors do not carry security updates, which are then read from Debian itself."""
    try:
        return read(url, network=network)[0]
    except DownloadFailed:
        direct = _direct(network)
        if not url.startswith(f"{SECURITY}/") or direct == network:
            raise
        return read(url, network=direct)[0]


def download_all(wanted: Sequence[Wanted], *, network: Network, cache: Cache, emit: Emit) -> None:
    """Files into the cache; as `read_small` for security updates."""
    try:
        download(wanted, network=network, cache=cache, emit=emit)
    except DownloadFailed:
        direct = _direct(network)
        missing = [item for item in wanted if not cache.has_blob(item.sha256)]
        theirs = [item for item in missing if item.url.startswith(f"{SECURITY}/")]
        if not theirs or direct == network:
            raise
        ours = [item for item in missing if item not in theirs]
        download(ours, network=network, cache=cache, emit=emit)
        download(theirs, network=direct, cache=cache, emit=emit)


def _direct(network: Network) -> Network:
    """The network without what `with_mirror` says of security updates."""
    pairs = network.mirrors
    guessed = {(f"{SECURITY}/", f"{to[:-1]}-security/") for prefix, to in pairs if prefix == f"{MAIN}/"}
    return replace(network, mirrors=tuple(pair for pair in pairs if pair not in guessed))
