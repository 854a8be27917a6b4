"""One wheel, opened with suspicion: its archive, its names, RECORD and tags are checked before a byte is used."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from slimrun.errors import WheelNotFound
from slimrun.fetch.fit import mismatch
from slimrun.python.inflate import CHUNK, Inflated, bad_wheel
from slimrun.python.zipcheck import BadZip, members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from slimrun.fetch.target import Target
    from slimrun.plan.pins import WheelPin
    from slimrun.python.zipcheck import Member

MAX_TEXT = 16 << 20
# Deflate makes at most 1,032 bytes of one; what wheels hold is seldom above 20.
MAX_RATIO, FREE = 120, 64 << 20
_HASHES = ("sha256", "sha384", "sha512")
# Signatures of RECORD (PEP 427), which it cannot list.
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel whose structure is sound; a file's bytes are checked against RECORD while they are read.

    `dist_info` is its folder's name, `data` that of `NAME-VERSION.data` or empty; `metadata` is METADATA as
    packaging.metadata.RawMetadata; `names` are the members in archive order.
    """

    pin: WheelPin
    dist_info: str
    data: str
    metadata: dict[str, Any]
    names: tuple[str, ...]
    _stream: BinaryIO = field(repr=False)
    _members: dict[str, Member] = field(repr=False)
    _record: dict[str, tuple[str, bytes]] = field(repr=False)

    @property
    def requires(self) -> tuple[str, ...]:
        """The lines of Requires-Dist."""
        return tuple(self.metadata.get("requires_dist", ()))

    def executable(self, name: str) -> bool:
        """Whether the archive marks this member as executable."""
        return self._members[name].executable

    def open(self, name: str) -> BinaryIO:
        """A reader over a member; its end raises BadWheel where bytes are not those that RECORD names."""
        kind, digest = self._record.get(name, ("", b""))
        checked = Inflated(self._stream, self._members[name], kind, digest, self.pin.filename)
        return io.BufferedReader(checked, CHUNK)

    def text(self, name: str) -> str:
        """A file of .dist-info as text; KeyError where there is none."""
        path = f"{self.dist_info}/{name}"
        if self._members[path].size > MAX_TEXT:
            raise bad_wheel(self.pin.filename, f"{path} is larger than {MAX_TEXT} bytes")
        with self.open(path) as stream:
            try:
                return stream.read().decode("utf-8")
            except UnicodeDecodeError:
                raise bad_wheel(self.pin.filename, f"{path} is not UTF-8") from None


@contextmanager
def open_wheel(pin: WheelPin, path: Path, target: Target | None = None) -> Iterator[Wheel]:
    """The wheel of `pin` in the file at `path`; with `target`, tags and Requires-Python must fit (else WheelNotFound).

    Raises BadWheel; ELF.md 6.2 has the list of what is refused. The wheel is readable inside the block.
    """
    with path.open("rb") as stream:
        try:
            found = {member.name: member for member in members(stream)}
        except BadZip as error:
            raise bad_wheel(pin.filename, str(error)) from error
        if sum(member.size for member in found.values()) > max(FREE, MAX_RATIO * path.stat().st_size):
            raise bad_wheel(pin.filename, f"it claims to hold more than {MAX_RATIO} times its size")
        info = _folder(pin, found, ".dist-info")
        data = _folder(pin, found, ".data")
        wheel = Wheel(
            pin=pin,
            dist_info=info,
            data=data,
            names=tuple(found),
            _stream=stream,
            _members=found,
            _record={},
            metadata={},
        )
        wheel._record.update(_record(wheel))
        wheel.metadata.update(parse_email(_required(wheel, "METADATA"))[0])
        _same_distribution(pin, wheel.metadata)
        if target is not None:
            check_target(pin, wheel.metadata.get("requires_python", ""), target)
        yield wheel


def check_target(pin: WheelPin, requires_python: str, target: Target) -> None:
    """Raises WheelNotFound where the file name's tags, or Requires-Python, are for something else."""
    try:
        tags = parse_wheel_filename(pin.filename)[3]
    except InvalidWheelFilename as error:
        raise bad_wheel(pin.filename, str(error)) from error
    reason = mismatch(tags, target)
    micro = target.version[2]
    try:
        allowed = SpecifierSet(requires_python)
        # Where micro is not known, any that is allowed will do.
        if not any(allowed.contains(f"{target.series}.{one}") for one in ((0, 99) if micro is None else (micro,))):
            reason = reason or f"for Python {requires_python}, not for {target.full_version}"
    except InvalidSpecifier:
        pass  # as pip does with old metadata
    if reason:
        msg = f"{pin.filename} is {reason}"
        raise WheelNotFound(msg, hint=f"choose a version with a wheel for {target}")


def _folder(pin: WheelPin, found: dict[str, Member], ending: str) -> str:
    """The one top-level folder with this ending, which must be the distribution's; empty for a missing .data."""
    tops = {name.partition("/")[0] for name in found if "/" in name}
    names = sorted(name for name in tops if name.endswith(ending))
    if not names and ending == ".data":
        return ""
    if len(names) != 1:
        raise bad_wheel(pin.filename, f"it has {len(names)} folders *{ending} instead of one")
    name, _, version = names[0].removesuffix(ending).partition("-")
    if canonicalize_name(name) != pin.name or not _same_version(version, pin.version):
        raise bad_wheel(pin.filename, f"{names[0]} is not of {pin.name} {pin.version}")
    return names[0]


def _required(wheel: Wheel, name: str) -> str:
    try:
        return wheel.text(name)
    except KeyError:
        raise bad_wheel(wheel.pin.filename, f"it has no {wheel.dist_info}/{name}") from None


def _record(wheel: Wheel) -> dict[str, tuple[str, bytes]]:
    """Algorithm and digest of every file; a file outside RECORD is an error, a line without a file is not."""
    found: dict[str, tuple[str, bytes]] = {}
    wrong: list[str] = []
    for row in csv.reader(_required(wheel, "RECORD").splitlines()):
        path, hashed = (*row, "", "")[:2]
        if not row:
            continue
        kind, _, text = hashed.partition("=")
        if path in found:
            wrong.append(f"RECORD lists {path} twice")
        elif kind in _HASHES and re.fullmatch(r"[A-Za-z0-9_-]+", text):
            found[path] = (kind, _digest(kind, text))
    unlisted = {f"{wheel.dist_info}/{name}" for name in _UNLISTED}
    missing = sorted(name for name in wheel._members if name not in found and name not in unlisted)
    wrong += [f"RECORD has no digest of {name}" for name in missing]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise bad_wheel(wheel.pin.filename, "; ".join(wrong[:3]) + more)
    return found


def _digest(kind: str, text: str) -> bytes:
    """Base64 as PEP 376 says, or hex as some tools write (gmsh 4.15): the lengths tell them apart."""
    if len(text) == 2 * hashlib.new(kind).digest_size and re.fullmatch(r"[0-9a-f]+", text):
        return bytes.fromhex(text)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _same_distribution(pin: WheelPin, metadata: dict[str, Any]) -> None:
    name, version = metadata.get("name", ""), metadata.get("version", "")
    if canonicalize_name(name) != pin.name or not _same_version(version, pin.version):
        raise bad_wheel(
            pin.filename, f"its METADATA is of {name or '?'} {version or '?'}, not of {pin.name} {pin.version}"
        )


def _same_version(text: str, other: str) -> bool:
    try:
        return Version(text.replace("_", "-")) == Version(other)
    except InvalidVersion:
        return text == other
