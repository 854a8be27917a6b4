"""Signatures: right ones, and every way of being wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import CREATED, Signer, packet, signer

from slimrun.debian import ed25519
from slimrun.debian.keyring import debian_keyring, read_keyring
from slimrun.debian.openpgp import verify_clearsigned
from slimrun.errors import BadSignature

TEXT = "Suite: x\n- dash\n--- more\ntrailing \t \n\nend\n"
NOW = datetime.fromtimestamp(CREATED + 1000, UTC)


def check(data: bytes, *keys: Signer, now: datetime | None = NOW) -> str:
    ring = [key for one in keys or (signer(),) for key in read_keyring(one.keyring)]
    return verify_clearsigned(data, ring, what="the InRelease", now=now).text


def test_right() -> None:
    assert check(signer().clearsign(TEXT)) == TEXT.replace(" \t ", "")


def test_sha512() -> None:
    assert check(signer().clearsign(TEXT, digest=10)).startswith("Suite")


def test_one_known_key_of_two() -> None:
    other = signer("Other", seed=2)
    assert check(signer().clearsign(TEXT, other), other)
    assert check(signer().clearsign(TEXT, other), signer(), other)


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60))
def test_any_text(text: str) -> None:
    """What comes out is what was signed, whatever dashes, blanks and line ends it has."""
    signed = check(signer().clearsign(text))
    assert signed == "\n".join(line.rstrip(" \t") for line in text.removesuffix("\n").split("\n")) + "\n"


MESSAGE = signer().clearsign(TEXT)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (MESSAGE.replace(b"Suite: x", b"Suite: y"), "by Test Archive .* is wrong"),
        (MESSAGE.replace(b"end\n", b"end\nmore\n"), "is wrong"),
        (MESSAGE + b"Suite: evil\n", "and nothing else"),
        (b"Suite: evil\n" + MESSAGE, "and nothing else"),
        (b"\n" + MESSAGE, "and nothing else"),
        (MESSAGE.replace(b"Hash: SHA256\n", b"Hash: SHA256\nSuite: evil\n"), "and nothing else"),
        (MESSAGE.replace(b"- - dash", b"- dash").replace(b"- --- more", b"--- more"), "begins with a dash"),
        (MESSAGE.replace(b"-----END PGP SIGNATURE-----\n", b""), "not a signed message"),
        (MESSAGE[: len(MESSAGE) // 2], "not a signed message"),
        (b"", "not a signed message"),
        (b"\xff\xfe", "not a signed message"),
        (b"<html>log in first</html>", "not a signed message"),
        (re.sub(rb"(?s)(SIGNATURE-----\n\n).*(-----END)", rb"\1\2", MESSAGE), "no signature that can be verified"),
        (re.sub(rb"(?s)(SIGNATURE-----\n\n).*(-----END)", rb"\1!!!\n\2", MESSAGE), "damaged"),
        (re.sub(rb"(?s)(SIGNATURE-----\n\n).*(-----END)", rb"\1wv8AAA==\n\2", MESSAGE), "damaged"),
        (signer("Mallory", seed=2).clearsign(TEXT), "none of which is a known key"),
        (signer().clearsign(TEXT, digest=2), "is wrong"),
        (signer().clearsign(TEXT, created=CREATED - 1), "not valid at this time"),
        (signer().clearsign(TEXT, extra=b"\x05\x03\x00\x00\x00\x10"), "not valid at this time"),
        (signer().clearsign(TEXT, extra=b"\x02\xe4\x00"), "no signature that can be verified"),
    ],
)
def test_wrong(data: bytes, says: str) -> None:
    with pytest.raises(BadSignature, match=says) as caught:
        check(data)
    assert caught.value.hint


def test_a_wrong_signature_beside_a_right_one() -> None:
    """Whoever can add a right signature of one key to a text must not profit from it."""
    other = signer("Other", seed=2)
    ours = MESSAGE.decode().replace("Suite: x", "Suite: y")
    right = other.clearsign(TEXT.replace("Suite: x", "Suite: y")).decode()
    mixed = ours.replace("-----END PGP SIGNATURE-----\n", "") + right.split("SIGNATURE-----\n\n")[1]
    with pytest.raises(BadSignature):
        check(mixed.encode(), signer(), other)


def test_small_key_is_no_key() -> None:
    small = signer("Small", seed=4, bits=1024)
    with pytest.raises(BadSignature, match="is wrong"):
        check(small.clearsign(TEXT), small)


def test_expired_key() -> None:
    old = signer("Old", seed=2, expires_after=500)
    message = old.clearsign(TEXT)
    with pytest.raises(BadSignature, match="key expired on 2023-11-14"):
        check(message, old)
    assert check(message, old, now=None)
    with pytest.raises(BadSignature, match="expired"):
        check(old.clearsign(TEXT, created=CREATED + 600), old, now=None)


# RFC 8032 section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signed"), VECTORS)
def test_ed25519(public: str, message: str, signed: str) -> None:
    key, text, made = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signed)
    assert ed25519.verify(key, text, made)
    assert not ed25519.verify(key, text + b"x", made)
    assert not ed25519.verify(key, text, made[:40] + bytes([made[40] ^ 1]) + made[41:])
    assert not ed25519.verify(
        key, text, made[:32] + (int.from_bytes(made[32:], "little") + ed25519.ORDER).to_bytes(32, "little")
    )
    assert not ed25519.verify(key[:31], text, made)
    assert not ed25519.verify(b"\xff" * 32, text, made)


def test_our_keys() -> None:
    """Three a release: what signs by itself for both archives, and the release team's, Ed25519 since bookworm."""
    keys = debian_keyring()
    owners = {key.owner for key in keys}
    for name in ("11/bullseye", "12/bookworm", "13/trixie"):
        assert sum(name in owner for owner in owners) == 3
    assert all(key.expires > datetime(2029, 1, 1, tzinfo=UTC).timestamp() for key in keys)
    assert {len(key.point) for key in keys} == {0, 32}
    assert all(key.point or key.rsa[0].bit_length() == 4096 for key in keys)


def test_keys_are_those_of_the_package() -> None:
    here = Path("/usr/share/keyrings")
    if not (here / "debian-archive-trixie-stable.gpg").is_file():
        pytest.skip("cannot be had here: debian-archive-keyring")
    shipped = Path(__file__).parents[2] / "engine" / "slimrun" / "debian" / "keys"
    for file in shipped.glob("*.gpg"):
        assert file.read_bytes() == (here / f"debian-archive-{file.name}").read_bytes()


def test_damaged_keyring() -> None:
    for data in (b"\x00", signer().keyring[:-5], packet(6, b"\x04")[:3], b"\xc6\xe1"):
        with pytest.raises(BadSignature, match="keyring cannot be read"):
            read_keyring(data)


@pytest.mark.skipif(shutil.which("gpgv") is None, reason="cannot be had here: gpgv")
def test_gpgv_agrees(tmp_path: Path) -> None:
    """GnuPG takes what the test signer makes, and refuses what we refuse."""
    ring, message = tmp_path / "ring.gpg", tmp_path / "InRelease"
    ring.write_bytes(signer().keyring)
    for data, good in ((MESSAGE, True), (MESSAGE.replace(b"Suite: x", b"Suite: y"), False)):
        message.write_bytes(data)
        command = ["gpgv", "--homedir", str(tmp_path), "--keyring", str(ring), "--output", "-", str(message)]
        done = subprocess.run(command, capture_output=True, check=False)
        assert (done.returncode == 0) is good
        if good:
            assert done.stdout.decode().rstrip("\n") == check(data).rstrip("\n")
