"""Clearsigned messages (RFC 9580 section 7), verified in pure Python: gpgv need not be there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slimrun.debian import ed25519
from slimrun.debian.keyring import Key, find_key
from slimrun.debian.packets import RSA, SIGNATURE, Damaged, Signature, dearmored, packets, signature
from slimrun.errors import BadSignature

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEGIN, _SIGNATURE, _END = (
    "-----BEGIN PGP SIGNED MESSAGE-----",
    "-----BEGIN PGP SIGNATURE-----",
    "-----END PGP SIGNATURE-----",
)
_TEXT = 0x01  # RFC 9580 section 5.2.1: signature of a canonical text document
# RFC 9580 section 9.5, without the broken ones; the prefixes are those of RFC 8017 section 9.2, note 1.
_DIGESTS = {8: ("sha256", "01", 32), 9: ("sha384", "02", 48), 10: ("sha512", "03", 64)}
_MIN_BITS = 2048
_DELIVERED = "what the mirror or proxy delivers is not Debian's; do not use it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The text that was signed, line ends as `\\n`, and the keys of the keyring that signed it."""

    text: str
    keys: tuple[Key, ...]


def verify_clearsigned(data: bytes, keyring: Sequence[Key], *, what: str, now: datetime | None) -> Signed:
    """The signed text of a message that at least one key of the keyring signed; raises BadSignature.

    Every signature by a known key must be right, whatever others say; those by unknown keys do not count. `now` None
    accepts keys and signatures that have expired since they signed, as old snapshots need.
    """
    lines, signatures = _parts(data, what)
    message = "\r\n".join(lines).encode()
    good: list[Key] = []
    unknown: list[str] = []
    for one in signatures:
        key = find_key(keyring, one.issuer)
        if key is None:
            unknown.append(one.issuer or "a key without a name")
            continue
        if not _is_right(one, key, message):
            msg = f"{what}: the signature by {key.owner} is wrong"
            raise BadSignature(msg, hint=_DELIVERED)
        _check_times(one, key, what, now)
        good.append(key)
    if not good:
        if not unknown:
            msg = f"{what} has no signature that can be verified"
            raise BadSignature(msg, hint=_DELIVERED)
        msg = f"{what} is signed by {', '.join(sorted(unknown))}, none of which is a known key of Debian's archive"
        raise BadSignature(msg, hint="a newer slimrun may know it; if there is none, " + _DELIVERED)
    return Signed(text="\n".join(lines) + "\n", keys=tuple(good))


def _parts(data: bytes, what: str) -> tuple[list[str], tuple[Signature, ...]]:
    """The text's lines as they are signed, and the signatures; nothing may stand around them."""
    try:
        lines = [line.rstrip(" \t\r") for line in data.decode().split("\n")]
        middle, end = lines.index(_SIGNATURE), lines.index(_END)
    except (UnicodeDecodeError, ValueError) as error:
        msg = f"{what} is not a signed message"
        raise BadSignature(msg, hint=_DELIVERED) from error
    start = lines.index("") if "" in lines[:middle] else 0
    heads = lines[1:start]
    if lines[0] != _BEGIN or not start or any(lines[end + 1 :]) or not all(head.startswith("Hash:") for head in heads):
        msg = f"{what} is not a signed message and nothing else"
        raise BadSignature(msg, hint=_DELIVERED)
    text = lines[start + 1 : middle]
    if any(line.startswith("-") and not line.startswith("- ") for line in text):
        msg = f"{what} is not a signed message: a line of it begins with a dash"
        raise BadSignature(msg, hint=_DELIVERED)
    try:
        armored = dearmored(lines[middle + 1 : end], what)
        found = [signature(body) for kind, body in packets(armored) if kind == SIGNATURE]
    except (Damaged, IndexError) as error:
        msg = f"{what}: its signature is damaged: {error}"
        raise BadSignature(msg, hint=_DELIVERED) from error
    return [line.removeprefix("- ") for line in text], tuple(one for one in found if one is not None)


def _is_right(one: Signature, key: Key, message: bytes) -> bool:
    """RFC 9580 section 5.2.4: the text, the signature's own hashed part, and a trailer that says how long that is."""
    if one.kind != _TEXT or one.digest not in _DIGESTS:
        return False
    name, number, size = _DIGESTS[one.digest]
    digest = hashlib.new(name, message + one.hashed + b"\x04\xff" + len(one.hashed).to_bytes(4)).digest()
    if one.algorithm == RSA:
        return _is_right_rsa(key.rsa, one.values[0], bytes.fromhex(_DER.format(size + 17, number, size)) + digest)
    return bool(key.point) and ed25519.verify(key.point, digest, b"".join(part.rjust(32, b"\0") for part in one.values))


# DigestInfo of RFC 8017 section 9.2 for SHA-2: its length, the last byte of the algorithm's number, the digest's length.
_DER = "30{:02x}300d06096086480165030402{}050004{:02x}"


def _is_right_rsa(rsa: tuple[int, int], signed: bytes, info: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2): the whole block is made and compared, nothing of it is parsed."""
    n, e = rsa
    size = (n.bit_length() + 7) // 8
    value = int.from_bytes(signed)
    if n.bit_length() < _MIN_BITS or e < 3 or value >= n:
        return False
    return pow(value, e, n).to_bytes(size) == b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info


def _check_times(one: Signature, key: Key, what: str, now: datetime | None) -> None:
    at = now.timestamp() if now is not None else one.created
    if key.expires and max(at, one.created) >= key.expires:
        msg = f"{what} is signed by {key.owner}, whose key expired on {_day(key.expires)}"
        raise BadSignature(msg, hint="a newer slimrun has newer keys")
    if one.created < key.created or (one.expires and at >= one.created + one.expires):
        msg = f"{what}: the signature by {key.owner} is not valid at this time"
        raise BadSignature(msg, hint="check this machine's clock; if it is right, the mirror is out of date")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
