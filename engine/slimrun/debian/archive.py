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


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """How Debian's archive is reached; nothing is asked where `offline`.

    `mirror` stands for http://deb.debian.org/debian: `http://host/debian`, and for security its neighbour. One whose address does
    not end in `/debian` is asked for everything but security updates; most mirrors do not carry those, which are then read from
    Debian itself.
    """

    network: Network
    cache: Cache
    emit: Emit
    mirror: str | None = None
    offline: bool = False

    def read(self, url: str) -> bytes:
        """An InRelease; raises DownloadFailed, IndexUnreachable."""
        try:
            return read(url, network=self._mirrored(security=True))[0]
        except DownloadFailed:
            if not self._guesses(url):
                raise
            return read(url, network=self._mirrored(security=False))[0]

    def download(self, wanted: Sequence[Wanted]) -> None:
        """Files into the cache; raises DownloadFailed, IndexUnreachable."""
        try:
            self._download(wanted, security=True)
        except DownloadFailed:
            missing = [item for item in wanted if not self.cache.has_blob(item.sha256)]
            theirs = [item for item in missing if self._guesses(item.url)]
            if not theirs:
                raise
            self._download([item for item in missing if item not in theirs], security=True)
            self._download(theirs, security=False)

    def _download(self, wanted: Sequence[Wanted], *, security: bool) -> None:
        download(wanted, network=self._mirrored(security=security), cache=self.cache, emit=self.emit)

    def _mirrored(self, *, security: bool) -> Network:
        """The network that asks the mirror, and with `security` its neighbour for security updates."""
        pairs = [(f"{MAIN}/", f"{self._root}/")] if self.mirror else []
        if security and self._has_neighbour:
            pairs.append((f"{SECURITY}/", f"{self._root}-security/"))
        return replace(self.network, mirrors=(*self.network.mirrors, *pairs))

    def _guesses(self, url: str) -> bool:
        """Whether it is only a guess that the mirror has what stands at this address."""
        return self._has_neighbour and url.startswith(f"{SECURITY}/")

    @property
    def _root(self) -> str:
        return (self.mirror or "").rstrip("/")

    @property
    def _has_neighbour(self) -> bool:
        return self._root.endswith("/debian")
