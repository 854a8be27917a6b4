"""No more than was agreed comes through, however it is read."""

from __future__ import annotations

import io

import pytest

from slimrun.errors import BadArchive
from slimrun.tree.limited import Limited

LONG = BadArchive("too long", hint="take another")


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_what_fits(size: int) -> None:
    with io.BufferedReader(Limited(io.BytesIO(b"x" * size), 10, LONG)) as stream:
        assert stream.read() == b"x" * size
        assert stream.read() == b""


@pytest.mark.parametrize("step", [1, 3, 11, 100])
def test_what_does_not(step: int) -> None:
    stream, got = Limited(io.BytesIO(b"x" * 11), 10, LONG), list[bytes]()
    with pytest.raises(BadArchive) as caught:
        got.extend(iter(lambda: stream.read(step), b""))
    assert caught.value is LONG
    assert len(b"".join(got)) <= 10
