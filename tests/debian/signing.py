"""A signer of Release files for tests: RSA keys made here, OpenPGP written by hand (RFC 9580), so that no gpg is needed."""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from functools import cache, cached_property

CREATED = 1_700_000_000


@dataclass(frozen=True)
class Signer:
    """An RSA key; `keyring` is its public half as a keyring file."""

    p: int
    q: int
    owner: str
    expires_after: int = 0

    @property
    def n(self) -> int:
        return self.p * self.q

    def power(self, number: int) -> int:
        """To the private exponent, by way of the two primes: four times as fast."""
        a, b = (pow(number, pow(65537, -1, prime - 1), prime) for prime in (self.p, self.q))
        return b + self.q * ((a - b) * pow(self.q, -1, self.p) % self.p)

    @property
    def body(self) -> bytes:
        return b"\x04" + CREATED.to_bytes(4) + b"\x01" + mpi(self.n) + mpi(65537)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(b"\x99" + len(self.body).to_bytes(2) + self.body).hexdigest().upper()

    @cached_property
    def keyring(self) -> bytes:
        user = self.owner.encode()
        material = b"\x99" + len(self.body).to_bytes(2) + self.body + b"\xb4" + len(user).to_bytes(4) + user
        return packet(6, self.body) + packet(13, user) + self.signature(material, kind=0x13)

    def signature(
        self, data: bytes, *, kind: int = 1, created: int = CREATED + 10, digest: int = 8, extra: bytes = b""
    ) -> bytes:
        """A signature packet over the data."""
        name, prefix = {
            8: ("sha256", "3031300d060960864801650304020105000420"),
            10: ("sha512", "3051300d060960864801650304020305000440"),
            2: ("sha1", "3021300906052b0e03021a05000414"),
        }[digest]
        hashed = b"\x05\x02" + created.to_bytes(4) + b"\x16\x21\x04" + bytes.fromhex(self.fingerprint) + extra
        if kind == 0x13 and self.expires_after:
            hashed += b"\x05\x09" + self.expires_after.to_bytes(4)
        head = bytes([4, kind, 1, digest]) + len(hashed).to_bytes(2) + hashed
        total = hashlib.new(name, data + head + b"\x04\xff" + len(head).to_bytes(4)).digest()
        size = (self.n.bit_length() + 7) // 8
        info = bytes.fromhex(prefix) + total
        block = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
        # GnuPG knows whose it is by this one only.
        issuer = b"\x09\x10" + bytes.fromhex(self.fingerprint[-16:])
        return packet(2, head + b"\0\x0a" + issuer + total[:2] + mpi(self.power(int.from_bytes(block))))

    def clearsign(
        self, text: str, *others: Signer, created: int = CREATED + 10, digest: int = 8, extra: bytes = b""
    ) -> bytes:
        """A clearsigned message by this key and others."""
        lines = [line.rstrip(" \t\r") for line in text.removesuffix("\n").split("\n")]
        data = "\r\n".join(lines).encode()
        made = [one.signature(data, created=created, digest=digest, extra=extra) for one in (self, *others)]
        escaped = "\n".join(
            f"- {line}" if line.startswith("-") else line for line in text.removesuffix("\n").split("\n")
        )
        armored = base64.encodebytes(b"".join(made)).decode() + f"={_crc24(b''.join(made))}\n"
        return (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{escaped}\n"
            f"-----BEGIN PGP SIGNATURE-----\n\n{armored}-----END PGP SIGNATURE-----\n"
        ).encode()


def packet(kind: int, body: bytes) -> bytes:
    """New framing, five-byte length."""
    return bytes([0xC0 | kind, 0xFF]) + len(body).to_bytes(4) + body


def mpi(number: int) -> bytes:
    return number.bit_length().to_bytes(2) + number.to_bytes((number.bit_length() + 7) // 8)


def _crc24(data: bytes) -> str:
    """RFC 9580 section 6.1; GnuPG misses it."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return base64.b64encode((crc & 0xFFFFFF).to_bytes(3)).decode()


@cache
def signer(
    owner: str = "Test Archive <test@example.org>", seed: int = 1, bits: int = 2048, expires_after: int = 0
) -> Signer:
    """The same key for the same seed, so that failures can be repeated."""
    return Signer(*_primes(seed, bits), owner, expires_after)


@cache
def _primes(seed: int, bits: int) -> tuple[int, int]:
    source = random.Random(seed)
    while True:
        p, q = _prime(source, bits // 2), _prime(source, bits // 2)
        phi = (p - 1) * (q - 1)
        if p != q and phi % 65537:
            return p, q


def _prime(source: random.Random, bits: int) -> int:
    while True:
        number = source.getrandbits(bits) | 3 << bits - 2 | 1
        if all(number % small for small in _SMALL) and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5)):
            return number


_SMALL = [number for number in range(3, 2000) if all(number % other for other in range(2, int(number**0.5) + 1))]
