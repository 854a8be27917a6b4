"""How the world is reached, and what its refusals mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests import exceptions as failed

from slimrun.errors import DownloadFailed, IndexUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from slimrun.errors import SlimrunError

Pairs = tuple[tuple[str, str], ...]
USER_AGENT = "slimrun (+https://pypi.org/project/slimrun)"
_LOOPBACK = re.compile(r"127(?:\.\d{1,3}){3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Times in seconds; a server that does not answer at all is given up after `patience`, however many tries are left.

    `mirrors` are (canonical prefix, replacement), applied when a request is made and never stored.

    `credentials` are (scheme://host[:port], user:password), kept out of every address; ~/.netrc and the environment's
    proxies count too, as in requests. `ca_bundle` None means the environment's, else certifi's.
    """

    mirrors: Pairs = ()
    credentials: Pairs = field(default=(), repr=False)
    ca_bundle: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    patience: float = 30.0
    retries: int = 4
    backoff: float = 0.5
    parallel: int = 6

    def knowing(self, urls: Iterable[str]) -> Network:
        """The same network, which also sends what these addresses hold of user and password to their hosts."""
        return replace(self, credentials=(*self.credentials, *(pair for url in urls for pair in userinfo(url))))

    def proxies(self, url: str) -> dict[str, str] | None:
        """As requests takes them: None leaves the environment's; this machine itself is never asked through one."""
        if is_loopback(urlsplit(url).hostname or ""):
            return {"no_proxy": "localhost,127.0.0.0/8,::1"}
        return {"http": self.proxy, "https": self.proxy} if self.proxy else None

    def mirrored(self, url: str) -> str:
        """The address to ask instead of the canonical one: the longest matching prefix is replaced."""
        for prefix, replacement in sorted(self.mirrors, key=lambda pair: -len(pair[0])):
            if url.startswith(prefix):
                return replacement + url[len(prefix) :]
        return url

    def login(self, url: str) -> tuple[str, str] | None:
        """User and password for this address's host: from the address itself, else from `credentials`."""
        parts = urlsplit(url)
        if parts.username is not None:
            return unquote(parts.username), unquote(parts.password or "")
        known = dict(self.credentials).get(origin(url))
        if known is None:
            return None
        user, _, password = known.partition(":")
        return unquote(user), unquote(password)


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine, by its text alone: `localhost`, 127.0.0.0/8, ::1."""
    return host in ("localhost", "::1", "[::1]") or _LOOPBACK.fullmatch(host) is not None


def public(url: str) -> str:
    """The address without user and password: the only form that is printed or stored."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def origin(url: str) -> str:
    """`https://host:port`, which credentials belong to."""
    parts = urlsplit(public(url))
    return f"{parts.scheme}://{parts.netloc}"


def userinfo(url: str) -> Pairs:
    """What an address holds of user and password, as `Network.credentials`."""
    secret = urlsplit(url).netloc.rpartition("@")[0]
    return ((origin(url), secret),) if secret else ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a failure is to us: error class, words for a person, the next step, and whether asking again may help."""

    error: type[SlimrunError]
    text: str
    hint: str = ""
    again: bool = False


_DOWN = "check the network, the proxy, and `mirrors` in slim.yaml; then run again"
_CA = "give your network's CA bundle as build.ca_certificates in slim.yaml"
_PROXY = "check build.proxy in slim.yaml"
_LOGIN = "put user and password for this host in ~/.netrc"
_REMOVED = "the file may have been removed: run with --refresh, or lock anew"
_URL = "check the address in the recipe or in slim.yaml"
_CUT = Meaning(DownloadFailed, "the answer broke off", "run again", again=True)

# Nearest class of the exception's MRO; a test finds every class of requests.exceptions in here.
MEANINGS: dict[type[Exception], Meaning] = {
    failed.ProxyError: Meaning(IndexUnreachable, "the proxy does not answer", _PROXY, again=True),
    failed.SSLError: Meaning(IndexUnreachable, "its certificate is not trusted", _CA),
    failed.ConnectTimeout: Meaning(IndexUnreachable, "no connection in time", _DOWN, again=True),
    failed.ReadTimeout: Meaning(IndexUnreachable, "no answer in time", _DOWN, again=True),
    failed.Timeout: Meaning(IndexUnreachable, "no answer in time", _DOWN, again=True),
    failed.ConnectionError: Meaning(IndexUnreachable, "no connection", _DOWN, again=True),
    failed.RetryError: Meaning(IndexUnreachable, "no answer after several tries", _DOWN),
    failed.ChunkedEncodingError: _CUT,
    failed.ContentDecodingError: _CUT,
    failed.StreamConsumedError: _CUT,
    failed.UnrewindableBodyError: _CUT,
    failed.TooManyRedirects: Meaning(DownloadFailed, "it redirects in a circle", _URL),
    failed.MissingSchema: Meaning(DownloadFailed, "the address has no https://", _URL),
    failed.InvalidSchema: Meaning(DownloadFailed, "addresses begin with https:// or http://", _URL),
    failed.InvalidProxyURL: Meaning(DownloadFailed, "the proxy's address is not valid", _PROXY),
    failed.InvalidURL: Meaning(DownloadFailed, "the address is not valid", _URL),
    failed.URLRequired: Meaning(DownloadFailed, "the address is empty", _URL),
    failed.InvalidHeader: Meaning(DownloadFailed, "a header is not valid", _URL),
    failed.InvalidJSONError: Meaning(DownloadFailed, "the answer is not JSON", _URL),
    failed.HTTPError: Meaning(DownloadFailed, "the answer is not HTTP", _URL),
    failed.RequestException: Meaning(DownloadFailed, "the request failed", _URL),
}


def meaning_of(error: requests.RequestException) -> Meaning:
    """The table's row for the nearest class of an exception."""
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def meaning_of_status(status: int) -> Meaning:
    """What an HTTP status from 400 on is to us."""
    if status in (401, 403, 407):
        return Meaning(IndexUnreachable, f"it refuses access ({status})", _LOGIN)
    if status in (408, 425, 429) or status >= 500:
        return Meaning(IndexUnreachable, f"it answers {status}", _DOWN, again=True)
    return Meaning(DownloadFailed, f"it answers {status}", _REMOVED)
