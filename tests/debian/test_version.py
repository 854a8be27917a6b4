"""Debian's version order, against a table and against dpkg."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimrun.debian.version import version_key


@pytest.mark.parametrize(
    "ordered",
    [
        ("1.0~beta1", "1.0~rc1", "1.0", "1.0a", "1.0+b1", "1.0.1", "1:0.1"),
        ("1.2~~", "1.2~~a", "1.2~", "1.2", "1.2-0.1", "1.2-1~deb12u1", "1.2-1", "1.2-1+b1", "1.2-10"),
        ("3.11.2-6", "3.11.2-6+deb12u6", "3.11.2-6+deb12u9", "3.11.2-6.1"),
        ("0-0~", "0", "0a", "0.1", "00.2"),
    ],
)
def test_order(ordered: tuple[str, ...]) -> None:
    keys = [version_key(text) for text in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.0-0"), ("0:1", "1"), ("1.00", "1.0"), ("1.", "1.0"), ("1a", "1a0")]
)
def test_equal(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)


@pytest.mark.parametrize("text", ["", "1 2", "a:1", "1:", "1_2", "ü", "1" * 1001, "-1"])
def test_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="not the version"):
        version_key(text)


_PARTS = st.text("01209aZ.+~", min_size=1, max_size=6)
_VERSIONS = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "", "0:", "1:"]),
    _PARTS.map(lambda text: f"1{text}"),
    st.one_of(st.just(""), _PARTS.map(lambda text: f"-{text}")),
)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="cannot be had here: dpkg")
@settings(max_examples=60, deadline=None)
@given(_VERSIONS, _VERSIONS)
def test_as_dpkg(one: str, other: str) -> None:
    """One process a pair: whether dpkg says less, and if not whether it says equal."""
    script = 'dpkg --compare-versions "$1" lt "$2" && echo lt; dpkg --compare-versions "$1" eq "$2" && echo eq; true'
    done = subprocess.run(["sh", "-c", script, "sh", one, other], capture_output=True, text=True, check=True)
    a, b = version_key(one), version_key(other)
    assert done.stdout.strip() == ("lt" if a < b else "eq" if a == b else "")
