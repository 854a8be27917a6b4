"""Whom a network asks to trust: a file that is one, and what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from authority import make_authority

from slimrun.errors import RequirementNotMet
from slimrun.fetch.authorities import read_authorities, trusted

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bundle(tmp_path: Path) -> None:
    ca = make_authority(tmp_path).ca
    assert trusted(ca) == ca
    assert read_authorities(ca) == ca.read_bytes()
    twice = tmp_path / "two.pem"
    twice.write_bytes(b"# comment\n\n" + ca.read_bytes() * 2)
    assert trusted(twice) == twice
    assert trusted(None) is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "No such file or directory"),
        (b"", "holds no certificate"),
        (b"\0\xff binary", "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nxyz\n-----END CERTIFICATE-----\n", "holds no certificate"),
    ],
)
def test_what_is_none(tmp_path: Path, data: bytes | None, says: str) -> None:
    path = tmp_path / "ca.pem"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(RequirementNotMet) as caught:
        read_authorities(path)
    assert f"build.ca_certificates: {path}" in caught.value.message
    assert says in caught.value.message
    assert "name a PEM file" in caught.value.hint


def test_a_folder(tmp_path: Path) -> None:
    """requests would take one, uv and a builder would not."""
    with pytest.raises(RequirementNotMet, match="Is a directory"):
        trusted(tmp_path)
