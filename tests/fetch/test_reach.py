"""Whether an address answers: whatever a server says below 500 is an answer, and silence has a reason."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from tests.fetch.loopback import Answer

from slimrun.fetch.network import Network
from slimrun.fetch.reach import unreachable

if TYPE_CHECKING:
    from tests.fetch.loopback import Site


@pytest.mark.parametrize(
    ("status", "why"), [(200, ""), (401, ""), (404, ""), (500, "it answers 500"), (503, "it answers 503")]
)
def test_answers(status: int, why: str, site: Site) -> None:
    site.answers["/x"] = [Answer(status=status)]
    assert unreachable(f"{site.url}/x", Network()) == why
    assert site.asked == ["/x"], "one try"


def test_the_mirror_is_asked(site: Site) -> None:
    site.answers["/simple/"] = [Answer()]
    mirrored = Network(mirrors=(("https://pypi.org/", f"{site.url}/"),))
    assert unreachable("https://pypi.org/simple/", mirrored) == ""
    assert site.asked == ["/simple/"]


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert unreachable(f"http://127.0.0.1:{port}/", Network()).startswith("no connection; check the network")


def test_silence_is_given_up(site: Site) -> None:
    site.answers["/x"] = [Answer(before=30)]
    began = time.monotonic()
    assert unreachable(f"{site.url}/x", Network(), patience=0.3).startswith("no answer in time")
    assert time.monotonic() - began < 5
