"""OpenPGP packets (RFC 9580 section 4): framing, numbers, signatures of version 4, ASCII armor."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import BadSignature

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE, PUBLIC_KEY, USER_ID, PUBLIC_SUBKEY = 2, 6, 13, 14
RSA, EDDSA_LEGACY, ED25519 = 1, 22, 27
# RFC 9580 5.2.3.7. A critical subpacket that is not understood makes a signature worthless; these say nothing that matters here.
_CREATED, _EXPIRES, _KEY_EXPIRES, _ISSUER, _ISSUER_FINGERPRINT = 2, 3, 9, 16, 33
_HARMLESS = frozenset({4, 5, 7, 11, 12, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32, 34, 35, 39})


class Damaged(Exception):
    """Bytes that are no OpenPGP packet; callers say of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A version 4 signature (RFC 9580 section 5.2.3); `hashed` is what is hashed after the data, trailer excluded.

    Times in seconds since 1970; `expires` and `key_expires` are seconds after creation, 0 for never; `issuer` is a
    fingerprint or its last 16 digits; `values` the numbers, or for Ed25519 the 64 bytes as one.
    """

    kind: int
    algorithm: int
    digest: int
    hashed: bytes
    issuer: str
    created: int
    expires: int
    key_expires: int
    values: tuple[bytes, ...]


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each packet, old and new framing; raises Damaged."""
    at = 0
    while at < len(data):
        head = data[at]
        at += 1
        if head & 0xC0 == 0xC0:
            kind, (size, at) = head & 0x3F, _length(data, at)
        elif head & 0x80 and head & 3 != 3:
            kind, width = head >> 2 & 15, 1 << (head & 3)
            size, at = int.from_bytes(data[at : at + width]), at + width
        else:
            msg = f"byte {at - 1} begins no packet"
            raise Damaged(msg)
        if at + size > len(data):
            msg = "a packet is cut short"
            raise Damaged(msg)
        yield kind, data[at : at + size]
        at += size


def numbers(data: bytes, count: int) -> tuple[bytes, ...]:
    """That many multiprecision integers, big-endian, leading zeros gone (RFC 9580 section 3.2); raises Damaged."""
    found = []
    for _ in range(count):
        size = (int.from_bytes(data[:2]) + 7) // 8
        if len(data) < 2 + size:
            msg = "a number is cut short"
            raise Damaged(msg)
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return tuple(found)


def signature(body: bytes) -> Signature | None:
    """A signature packet's content; None for versions and algorithms that are not ours; raises Damaged."""
    if len(body) < 6 or body[0] != 4 or body[2] not in (RSA, EDDSA_LEGACY, ED25519):
        return None
    end = 6 + int.from_bytes(body[4:6])
    rest = end + 2 + int.from_bytes(body[end : end + 2])
    if rest + 2 > len(body):
        msg = "a signature is cut short"
        raise Damaged(msg)
    facts = {_ISSUER: b"", _ISSUER_FINGERPRINT: b"", _CREATED: b"", _EXPIRES: b"", _KEY_EXPIRES: b""}
    for kind, critical, value in _subpackets(body[6:end]):
        if kind in facts:
            facts[kind] = value
        elif critical and kind not in _HARMLESS:
            return None
    # Not covered by the signature: a hint of which key to try, no more.
    for kind, _, value in _subpackets(body[end + 2 : rest]):
        if kind in (_ISSUER, _ISSUER_FINGERPRINT) and not facts[kind]:
            facts[kind] = value
    values = body[rest + 2 :]
    return Signature(
        kind=body[1],
        algorithm=body[2],
        digest=body[3],
        hashed=body[:end],
        issuer=(facts[_ISSUER_FINGERPRINT][1:] or facts[_ISSUER]).hex().upper(),
        created=int.from_bytes(facts[_CREATED]),
        expires=int.from_bytes(facts[_EXPIRES]),
        key_expires=int.from_bytes(facts[_KEY_EXPIRES]),
        values=(values[:64],) if body[2] == ED25519 else numbers(values, 1 if body[2] == RSA else 2),
    )


def dearmored(lines: list[str], what: str) -> bytes:
    """The bytes between the armor's head and tail lines (RFC 9580 section 6); the optional checksum proves nothing."""
    while lines and lines[0].strip():
        lines = lines[1:]
    text = "".join(line.strip() for line in lines if not line.startswith("="))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        msg = f"{what}: its signature is damaged"
        raise BadSignature(msg, hint="run again; if it stays, look at what the mirror or proxy delivers") from error


def _length(data: bytes, at: int) -> tuple[int, int]:
    """RFC 9580 section 4.2.1; partial lengths are for data, which keys and signatures are not."""
    first = data[at : at + 1]
    if first < b"\xc0":
        return int.from_bytes(first), at + 1
    if first < b"\xe0":
        return (first[0] - 192 << 8) + int.from_bytes(data[at + 1 : at + 2]) + 192, at + 2
    if first == b"\xff":
        return int.from_bytes(data[at + 1 : at + 5]), at + 5
    msg = "a packet has no definite length"
    raise Damaged(msg)


def _subpackets(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    at = 0
    while at < len(data):
        first = data[at]
        if first < 192:
            size, at = first, at + 1
        elif first < 255:
            size, at = (first - 192 << 8) + int.from_bytes(data[at + 1 : at + 2]) + 192, at + 2
        else:
            size, at = int.from_bytes(data[at + 1 : at + 5]), at + 5
        if size == 0 or at + size > len(data):
            msg = "a part of a signature is cut short"
            raise Damaged(msg)
        yield data[at] & 0x7F, bool(data[at] & 0x80), data[at + 1 : at + size]
        at += size
