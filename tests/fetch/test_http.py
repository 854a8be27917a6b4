"""Downloads against a real server: what is checked, what is tried again, what stops."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
import requests
from loopback import Answer, Site, until

from slimrun.errors import DownloadFailed, IndexUnreachable, SlimrunError
from slimrun.events import Event, Progress, silent
from slimrun.fetch import http
from slimrun.fetch.http import Wanted, download, read
from slimrun.fetch.network import MEANINGS, Network, meaning_of, meaning_of_status, public

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache

BODY = b"wheel" * 4096
SHA = hashlib.sha256(BODY).hexdigest()


def get(url: str, cache: Cache, network: Network, *, sha256: str = SHA, size: int = len(BODY)) -> Path:
    (path,) = download([Wanted(url=url, sha256=sha256, size=size)], network=network, cache=cache, emit=silent)
    return path


def staged(cache: Cache) -> list[Path]:
    return list(cache.scratch().iterdir())


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([Answer(body=BODY)], 1),
        ([Answer(status=500), Answer(body=BODY)], 2),
        ([Answer(status=503, headers=(("Retry-After", "0"),)), Answer(status=429), Answer(body=BODY)], 3),
        ([Answer(body=BODY, cut=100), Answer(body=BODY)], 2),
        ([Answer(body=BODY[:100]), Answer(body=BODY)], 2),
        ([Answer(body=BODY, drip=0.001)], 1),
    ],
    ids=["ok", "500", "503 and 429", "cut off", "short with a true length", "slow"],
)
def test_bytes_arrive(answers: list[Answer], asked: int, site: Site, cache: Cache, network: Network) -> None:
    path = get(site.serve("/f", *answers), cache, network)
    assert path.read_bytes() == BODY
    assert path == cache.blob_path(SHA)
    assert len(site.asked) == asked
    assert staged(cache) == []


def test_redirects_are_followed(site: Site, cache: Cache, network: Network) -> None:
    to = site.serve("/f", BODY)
    url = site.serve("/old", Answer(status=302, headers=(("Location", to),)))
    assert get(url, cache, network).read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "error", "says", "asked"),
    [
        (Answer(body=b"x" * len(BODY)), DownloadFailed, "has sha256", 1),
        (Answer(body=BODY + b"x"), DownloadFailed, "is longer than", 1),
        (Answer(body=BODY, cut=7), DownloadFailed, "broke off after 3 tries", 3),
        (Answer(status=404), DownloadFailed, "answers 404", 1),
        (Answer(status=410), DownloadFailed, "answers 410", 1),
        (Answer(status=401), IndexUnreachable, "refuses access (401)", 1),
        (Answer(status=502), IndexUnreachable, "answers 502 after 3 tries", 3),
    ],
)
def test_what_is_refused(
    answer: Answer, error: type[SlimrunError], says: str, asked: int, site: Site, cache: Cache, network: Network
) -> None:
    with pytest.raises(error) as caught:
        get(site.serve("/f.whl", answer), cache, network)
    assert says in caught.value.message
    assert caught.value.hint
    assert len(site.asked) == asked
    assert not cache.has_blob(SHA)
    assert staged(cache) == []


def test_redirects_in_a_circle(site: Site, cache: Cache, network: Network) -> None:
    url = site.serve("/f", Answer(status=302, headers=(("Location", "/f"),)))
    with pytest.raises(DownloadFailed, match="circle"):
        get(url, cache, network)


def test_nobody_listens(cache: Cache, network: Network) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/f"
        with pytest.raises(IndexUnreachable, match="no connection after 3 tries") as caught:
            get(url, cache, network)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("patience", "asked"), [(0.1, 1), (0.5, 2), (9.0, 3)])
def test_silence_is_not_waited_for_again_and_again(patience: float, asked: int, site: Site, network: Network) -> None:
    url = site.serve("/f", Answer(body=BODY, before=9))
    with pytest.raises(IndexUnreachable, match="no answer in time") as caught:
        read(url, network=replace(network, read_timeout=0.3, patience=patience))
    assert len(site.asked) == asked
    assert caught.value.exit_code == 4


def test_what_stalls_midway_is_tried_again(site: Site, cache: Cache, network: Network) -> None:
    """It was not silent: as long as something arrives, no time is too long."""
    url = site.serve("/f", Answer(body=BODY, drip=2.0), Answer(body=BODY))
    assert get(url, cache, replace(network, read_timeout=0.3, patience=0.1)).read_bytes() == BODY


def test_no_answer_in_time(site: Site, cache: Cache) -> None:
    url = site.serve("/f", Answer(body=BODY, before=5))
    with pytest.raises(IndexUnreachable, match="no answer in time"):
        get(url, cache, Network(retries=0, read_timeout=0.1))


def test_what_is_cached_is_not_asked_for(site: Site, cache: Cache, network: Network) -> None:
    url = site.serve("/f", BODY)
    wanted = [Wanted(url=url, sha256=SHA, size=len(BODY))] * 3
    assert len(set(download(wanted, network=network, cache=cache, emit=silent))) == 1
    download(wanted, network=network, cache=cache, emit=silent)
    assert site.asked == ["/f"]


def test_many_at_once_keep_their_order_and_report_progress(site: Site, cache: Cache, network: Network) -> None:
    bodies = [bytes([number]) * 50_000 for number in range(20)]
    wanted = [
        Wanted(
            url=site.serve(f"/{number}", Answer(body=body, drip=0.0001)),
            sha256=hashlib.sha256(body).hexdigest(),
            size=len(body),
        )
        for number, body in enumerate(bodies)
    ]
    events: list[Event] = []
    thread = threading.current_thread()

    def emit(event: Event) -> None:
        assert threading.current_thread() is thread
        events.append(event)

    paths = download(wanted, network=network, cache=cache, emit=emit)
    assert [path.read_bytes() for path in paths] == bodies
    assert events[-1] == Progress(what="20 files", done=1_000_000, total=1_000_000)


def test_one_failure_stops_the_others(site: Site, cache: Cache, network: Network) -> None:
    slow = [Wanted(url=site.serve(f"/{n}", Answer(body=BODY * 50, drip=0.05)), sha256=f"{n:064}") for n in range(5)]
    bad = Wanted(url=f"{site.url}/missing.whl", sha256="f" * 64)
    start = time.monotonic()
    with pytest.raises(DownloadFailed, match=r"missing\.whl"):
        download([*slow, bad], network=network, cache=cache, emit=silent)
    assert time.monotonic() - start < 2
    assert until(lambda: staged(cache) == [])


def test_ctrl_c_stops_promptly(site: Site, cache: Cache, network: Network) -> None:
    """The server sends a few bytes and then nothing; no read would end for a minute."""
    url = site.serve("/f", Answer(body=BODY, drip=60))
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        get(url, cache, replace(network, read_timeout=60))
    assert time.monotonic() - start < 3
    assert until(lambda: staged(cache) == [])


def test_mirrors_only_change_where_is_asked(site: Site, cache: Cache, network: Network) -> None:
    site.serve("/mirror/x/f.whl", BODY)
    mirrored = replace(
        network,
        mirrors=(("https://files.example/", f"{site.url}/no/"), ("https://files.example/x/", f"{site.url}/mirror/x/")),
    )
    assert get("https://files.example/x/f.whl", cache, mirrored).read_bytes() == BODY
    assert site.asked == ["/mirror/x/f.whl"]


def test_credentials_go_to_their_host_and_nowhere_else(site: Site, cache: Cache, network: Network) -> None:
    url = site.serve("/f", Answer(status=404))
    secret = url.replace("http://", "http://me:s%20ecret@")
    knowing = network.knowing([secret, url])
    for address, used in ((secret, network), (url, knowing)):
        with pytest.raises(DownloadFailed) as caught:
            get(address, cache, used)
        assert "ecret" not in caught.value.render()
    assert {headers["Authorization"] for headers in site.headers} == {"Basic bWU6cyBlY3JldA=="}
    assert "ecret" not in repr(knowing)
    with pytest.raises(DownloadFailed):
        get(url, cache, replace(network, credentials=(("http://elsewhere", "me:secret"),)))
    assert "Authorization" not in site.headers[-1]
    assert public(secret) == url


def test_read_small_answers(site: Site, network: Network) -> None:
    url = site.serve("/page", Answer(status=500), Answer(body=b"hello", headers=(("Content-Type", "text/html"),)))
    assert read(url, network=network) == (b"hello", "text/html")
    with pytest.raises(DownloadFailed, match="longer than 3 bytes"):
        read(url, network=network, limit=3)


def test_the_table_of_failures_is_complete() -> None:
    kinds = {
        kind
        for kind in vars(requests.exceptions).values()
        if isinstance(kind, type) and issubclass(kind, requests.RequestException)
    }
    assert len(kinds) >= 22
    # JSONDecodeError exists for .json(), which we do not call; its parent stands for it.
    assert {kind.__name__ for kind in kinds - MEANINGS.keys()} <= {"JSONDecodeError"}
    for kind in kinds:
        error = kind("no", "", 0) if kind.__name__ == "JSONDecodeError" else kind("no")
        assert issubclass(meaning_of(error).error, SlimrunError)
    assert all(meaning_of_status(status).hint for status in range(400, 600))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("3", 3, 3),
        ("100000", 60, 60),
        ("", 0, 0),
        ("soon", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_retry_after(text: str, least: float, most: float) -> None:
    assert least <= http._retry_after(text) <= most


def test_retry_after_a_time_of_day() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    assert 20 <= http._retry_after(later) <= 50
