"""Files by address into the cache by digest, several at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event as Flag
from typing import TYPE_CHECKING

import requests

from slimrun.errors import DownloadFailed
from slimrun.fetch.crew import Crew
from slimrun.fetch.network import USER_AGENT, Network, meaning_of, meaning_of_status, public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from slimrun.cache.store import Cache
    from slimrun.events import Emit

CHUNK = 1 << 17
MAX_DOWNLOAD = 16 << 30
MAX_WAIT = 60.0
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to have: `url` is canonical, `sha256` bare hex, `size` 0 where it is not known, `name` for messages."""

    url: str
    sha256: str
    size: int = 0
    name: str = ""

    @property
    def label(self) -> str:
        """The name, else the last part of the address."""
        return self.name or public(self.url).rstrip("/").rpartition("/")[2]


def download(wanted: Sequence[Wanted], *, network: Network, cache: Cache, emit: Emit) -> tuple[Path, ...]:
    """The files as blobs of the cache, in the order given; what is there already is not asked for.

    Size and digest are checked while the bytes arrive. `emit` is called from the caller's thread only. The
    first failure, DownloadFailed or IndexUnreachable, is raised; on any exception, Ctrl-C too, every transfer stops.
    """
    missing = list({item.sha256: item for item in wanted if not cache.has_blob(item.sha256)}.values())
    if missing:
        what = missing[0].label if len(missing) == 1 else f"{len(missing)} files"
        total = sum(item.size for item in missing) if all(item.size for item in missing) else 0
        crew = Crew(network.parallel, what=what, total=total, emit=emit)
        crew.run([_transfer(item, network, cache, crew) for item in missing])
    return tuple(cache.blob_path(item.sha256) for item in wanted)


def read(
    url: str,
    *,
    network: Network,
    accept: str = "*/*",
    limit: int = 64 << 20,
    auth: Auth | None = None,
    form: Mapping[str, str] | None = None,
) -> tuple[bytes, str]:
    """A small answer and its Content-Type; raises DownloadFailed (too long, too) or IndexUnreachable."""
    found: list[tuple[bytes, str]] = []

    def attempt() -> None:
        with asking(url, network, accept, lambda _: None, auth=auth, form=form) as answer:
            found.append((whole(answer, limit), answer.headers.get("Content-Type", "")))

    again(attempt, url, network, Flag())
    return found[-1]


def whole(answer: requests.Response, limit: int) -> bytes:
    """All bytes of an answer; raises DownloadFailed where they are more than `limit`."""
    parts, size = [], 0
    for chunk in answer.iter_content(CHUNK):
        size += len(chunk)
        if size > limit:
            msg = f"{public(answer.url)} is longer than {limit} bytes"
            raise DownloadFailed(msg, hint="check the address in the recipe or in slim.yaml")
        parts.append(chunk)
    return b"".join(parts)


class Refused(Exception):
    """An answer whose status is an error; `wait` is its Retry-After in seconds."""

    def __init__(self, answer: requests.Response) -> None:
        self.meaning = meaning_of_status(answer.status_code)
        super().__init__(self.meaning.text)
        self.status, self.headers = answer.status_code, answer.headers
        self.wait = _retry_after(answer.headers.get("Retry-After", ""))


def _transfer(item: Wanted, network: Network, cache: Cache, crew: Crew) -> Callable[[], None]:
    counted = 0

    def attempt() -> None:
        nonlocal counted
        crew.advance(-counted)
        counted = 0
        with asking(item.url, network, "*/*", crew.holds) as answer, cache.new_blob() as blob:
            for chunk in answer.iter_content(CHUNK):
                crew.check()
                blob.write(chunk)
                counted += len(chunk)
                crew.advance(len(chunk))
                if blob.size > (item.size or MAX_DOWNLOAD):
                    raise _wrong(item, f"is longer than the {item.size or MAX_DOWNLOAD} bytes that it should have")
            if item.size and blob.size != item.size:
                raise requests.exceptions.ChunkedEncodingError
            if blob.digest != item.sha256:
                raise _wrong(item, f"has sha256 {blob.digest}, expected {item.sha256}")

    return lambda: again(attempt, item.url, network, crew.stop)


def _wrong(item: Wanted, text: str) -> DownloadFailed:
    hint = "run again; if it stays, the file was changed after it was pinned: do not use it"
    return DownloadFailed(f"{item.label} from {public(item.url)} {text}", hint=hint)


def again(attempt: Callable[[], None], url: str, network: Network, stop: Flag) -> None:
    """Try, and try again where that may help, waiting longer each time or as long as the server asks.

    What breaks off is tried again at any time; silence is added up, so that nobody waits for minutes to read of it.
    """
    silent = 0.0
    for count in range(network.retries + 1):
        wait, begun = min(network.backoff * 2**count, MAX_WAIT), time.monotonic()
        try:
            return attempt()
        except Refused as refused:
            meaning, wait = refused.meaning, max(wait, refused.wait)
            cause: Exception | None = None
        except requests.RequestException as error:
            meaning, cause = meaning_of(error), error
            if isinstance(error, requests.exceptions.Timeout):
                silent += time.monotonic() - begun
        if not meaning.again or count == network.retries or silent >= network.patience:
            break
        if stop.wait(wait):
            break
    tries = "" if count == 0 else f" after {count + 1} tries"
    msg = f"cannot get {public(network.mirrored(url))}: {meaning.text}{tries}"
    raise meaning.error(msg, hint=meaning.hint) from cause


@contextmanager
def asking(
    url: str,
    network: Network,
    accept: str,
    opened: Callable[[requests.Response], None],
    *,
    auth: Auth | None = None,
    form: Mapping[str, str] | None = None,
    method: str = "",
    body: Callable[[], BinaryIO] | None = None,
    kind: str = "",
) -> Iterator[requests.Response]:
    """An answer to be read within the block; `auth` stands in for the network's logins and ~/.netrc. Raises Refused.

    With a `form` it is a POST of it. A `body` is opened for the request and closed after it; `kind` is its media type.
    """
    address = network.mirrored(url)
    # identity: sizes and digests are those of the file, not of a transport's encoding.
    headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    if kind:
        headers["Content-Type"] = kind
    with (
        requests.Session() as session,
        body() if body else nullcontext() as sent,
        session.request(
            method or ("GET" if form is None else "POST"),
            public(address),
            headers=headers,
            data=form if sent is None else sent,
            auth=auth or network.login(address),
            stream=True,
            timeout=(network.connect_timeout, network.read_timeout),
            verify=str(network.ca_bundle) if network.ca_bundle else None,
            proxies=network.proxies(address),
        ) as answer,
    ):
        opened(answer)
        if answer.status_code >= 400:
            raise Refused(answer)
        yield answer


def _retry_after(text: str) -> float:
    """RFC 9110 10.2.3: seconds or a date; more than MAX_WAIT is not waited for."""
    if text.strip().isdigit():
        return min(float(text), MAX_WAIT)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), MAX_WAIT)
