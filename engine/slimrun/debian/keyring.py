"""Debian's archive keys, which ship as data: each with when it may sign.

The files of keys/ are those of the package debian-archive-keyring, byte for byte, without its debian-archive- in their names.
A keyring is trusted as a whole, so the signatures inside it are read for expiry and not verified.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from slimrun.debian.packets import (
    ED25519,
    EDDSA_LEGACY,
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    RSA,
    SIGNATURE,
    USER_ID,
    Damaged,
    numbers,
    packets,
    signature,
)
from slimrun.errors import BadSignature

if TYPE_CHECKING:
    from collections.abc import Iterable

# RFC 9580 section 9.2, with its length, as a version 4 EdDSA key has it.
_ED25519_OID = bytes.fromhex("092b06010401da470f01")
# RFC 9580 section 5.2.1: certifications of user IDs, and subkey bindings. Debian's direct key signatures only name revokers.
_CERTIFIES = (0x10, 0x11, 0x12, 0x13, 0x18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key or subkey; `rsa` is (n, e), `point` an Ed25519 key's 32 bytes, of which one is empty.

    Times in seconds since 1970; `expires` 0 means never.
    """

    fingerprint: str
    owner: str
    created: int
    expires: int = 0
    rsa: tuple[int, int] = (0, 0)
    point: bytes = b""


def debian_keyring() -> tuple[Key, ...]:
    """The keys that ship with slimrun."""
    folder = files("slimrun.debian") / "keys"
    names = sorted((item for item in folder.iterdir() if item.name.endswith(".gpg")), key=lambda item: item.name)
    return tuple(key for item in names for key in read_keyring(item.read_bytes()))


def read_keyring(data: bytes) -> tuple[Key, ...]:
    """The keys of a binary keyring that can sign in a way we verify; raises BadSignature where it is damaged."""
    found: list[Key] = []
    primary: Key | None = None
    latest = 0
    try:
        for kind, body in packets(data):
            if kind in (PUBLIC_KEY, PUBLIC_SUBKEY) and (key := _key(body)) is not None:
                primary = key if kind == PUBLIC_KEY else primary
                found.append(replace(key, owner=primary.owner if primary else ""))
                latest = 0
            elif kind == USER_ID and primary is not None and not primary.owner:
                primary = replace(primary, owner=body.decode("utf-8", "replace"))
                found[-1] = replace(found[-1], owner=primary.owner)
            elif kind == SIGNATURE and primary is not None:
                said = signature(body)
                if said is None or said.kind not in _CERTIFIES or said.created < latest:
                    continue
                if said.issuer and primary.fingerprint.endswith(said.issuer):
                    latest = said.created
                    until = found[-1].created + said.key_expires if said.key_expires else 0
                    found[-1] = replace(found[-1], expires=until)
    except (Damaged, IndexError) as error:
        msg = f"a keyring cannot be read: {error}"
        raise BadSignature(msg, hint="install slimrun anew: its keys are damaged") from error
    return tuple(found)


def find_key(keyring: Iterable[Key], issuer: str) -> Key | None:
    """The key with this fingerprint, or whose fingerprint ends so."""
    return next((key for key in keyring if len(issuer) >= 16 and key.fingerprint.endswith(issuer)), None)


def _key(body: bytes) -> Key | None:
    """RFC 9580 section 5.5.2; the fingerprint is that of section 5.5.4."""
    if len(body) < 6 or body[0] != 4:
        return None
    key = Key(
        fingerprint=hashlib.sha1(b"\x99" + len(body).to_bytes(2) + body, usedforsecurity=False).hexdigest().upper(),
        owner="",
        created=int.from_bytes(body[1:5]),
    )
    algorithm, material = body[5], body[6:]
    if algorithm == RSA:
        n, e = (int.from_bytes(number) for number in numbers(material, 2))
        return replace(key, rsa=(n, e))
    if algorithm == ED25519:
        return replace(key, point=material[:32])
    if algorithm == EDDSA_LEGACY and material.startswith(_ED25519_OID):
        (point,) = numbers(material[len(_ED25519_OID) :], 1)
        return replace(key, point=point[1:]) if point[:1] == b"\x40" else None
    return None
