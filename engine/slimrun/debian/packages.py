"""A suite's Packages: which packages there are, read fast, and only those that are asked for in full."""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slimrun.debian.relation import Group, Relation, parse_relations
from slimrun.debian.stanza import fields
from slimrun.debian.version import version_key
from slimrun.errors import BadArchive, DownloadFailed, NotCached, PackageNotFound
from slimrun.fetch.http import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slimrun.debian.archive import Archive, Source
    from slimrun.debian.release import Release

MAX_INDEX = 1 << 30
_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_PROVIDED = re.compile(rb"(?:^|,)\s*([A-Za-z0-9][A-Za-z0-9+.-]*)")
_FILENAME = re.compile(r"(?!.*(?:^|/)\.\.?/)[A-Za-z0-9][A-Za-z0-9._+~:%/-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One stanza of Packages (deb-control(5)); `needs` is Pre-Depends and Depends, `rejects` Conflicts and Breaks.

    `rank` is 0 for priority required up to 5 for one that has none.
    """

    name: str
    version: str
    architecture: str
    essential: bool
    rank: int
    needs: tuple[Group, ...]
    provides: tuple[Relation, ...]
    rejects: tuple[Relation, ...]
    filename: str
    size: int
    sha256: str
    source: Source

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Index:
    """Stanzas by package name and by what they provide, not yet taken apart."""

    source: Source
    stanzas: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    providers: Mapping[str, tuple[str, ...]] = field(repr=False)

    def packages(self, name: str) -> tuple[Package, ...]:
        """Every version of this package; raises BadArchive for a stanza that is not complete."""
        return tuple(read_package(stanza, self.source) for stanza in self.stanzas.get(name, ()))


def open_index(release: Release, architecture: str, archive: Archive) -> tuple[Index, ...]:
    """The indexes of main for an architecture, by the digest that the Release vouches for; raises BadArchive and others."""
    suite = release.source.suite
    names = sorted({path.split("/")[1] for path in release.files if re.match(r"main/binary-[^/]+/Packages", path)})
    if f"binary-{architecture}" not in names:
        known = ", ".join(name.removeprefix("binary-") for name in names)
        msg = f"{suite} has no packages for {architecture}"
        raise PackageNotFound(msg, hint=f"it has them for {known}")
    folders = [f"main/binary-{architecture}", *(["main/binary-all"] if release.all_apart else [])]
    found = []
    for folder in folders:
        name = next(
            (f"{folder}/Packages{end}" for end in (".xz", ".gz") if f"{folder}/Packages{end}" in release.files), ""
        )
        if not name:
            msg = f"the Release of {suite} names no {folder}/Packages.xz"
            raise BadArchive(msg, hint="use another mirror")
        _have(release, name, archive)
        digest, _ = release.files[name]
        found.append(read_index(_decompressed(archive.cache.blob_path(digest), f"{suite} {name}"), release.source))
    return tuple(found)


def read_index(data: bytes, source: Source) -> Index:
    """The stanzas of a decompressed Packages; only name and Provides are looked at."""
    stanzas: dict[str, tuple[bytes, ...]] = {}
    providers: dict[str, list[str]] = {}
    for stanza in data.split(b"\n\n"):
        if not stanza.startswith(b"Package: "):
            if not stanza.strip():
                continue
            stanza = _ordered(stanza, source)
        end = stanza.find(b"\n")
        name = stanza[9:end].decode("ascii", "replace").strip()
        stanzas[name] = (*stanzas.get(name, ()), stanza)
        at = stanza.find(b"\nProvides: ")
        if at >= 0:
            stop = stanza.find(b"\n", at + 11)
            for provided in _PROVIDED.findall(stanza[at + 11 : stop if stop > 0 else len(stanza)]):
                providers.setdefault(provided.decode(), []).append(name)
    return Index(source, stanzas, {name: tuple(dict.fromkeys(names)) for name, names in providers.items()})


def read_package(stanza: bytes, source: Source) -> Package:
    """One stanza in full; raises BadArchive where it lacks what we need, or has it in a form that Debian never writes."""
    found = fields(stanza.decode("utf-8", "replace"))
    what = f"{found.get('package', 'a package')} of {source.suite}"
    needs = ", ".join(found[name] for name in ("pre-depends", "depends") if name in found)
    rejects = ", ".join(found[name] for name in ("conflicts", "breaks") if name in found)
    try:
        version_key(found["version"])
        complete = _FILENAME.fullmatch(found["filename"]) and _SHA256.fullmatch(found["sha256"])
        if not complete:
            msg = "its file name or SHA256 is not one"
            raise ValueError(msg)
        return Package(
            name=found["package"],
            version=found["version"],
            architecture=found["architecture"],
            essential=found.get("essential") == "yes",
            rank=(*_PRIORITIES, found.get("priority", "")).index(found.get("priority", "")),
            needs=parse_relations(needs, what=what),
            provides=tuple(one for group in parse_relations(found.get("provides", ""), what=what) for one in group),
            rejects=tuple(one for group in parse_relations(rejects, what=what) for one in group),
            filename=found["filename"],
            size=int(found["size"]),
            sha256=found["sha256"],
            source=source,
        )
    except (KeyError, ValueError) as error:
        lacks = f"no {error}" if isinstance(error, KeyError) else str(error)
        msg = f"the stanza of {what} is not complete: {lacks}"
        raise BadArchive(msg, hint="use another mirror") from error


def _have(release: Release, name: str, archive: Archive) -> None:
    """By hash where that is announced: a mirror that is just being updated then has the old index too."""
    digest, size = release.files[name]
    if archive.offline and not archive.cache.has_blob(digest):
        msg = f"the cache has no {name} of Debian's {release.source.suite}"
        raise NotCached(msg, hint="run once without --offline")
    folder, label = release.source.folder, f"{release.source.suite} {name.rpartition('/')[2]}"
    plain = Wanted(url=f"{folder}/{name}", sha256=digest, size=size, name=label)
    if release.by_hash:
        hashed = f"{folder}/{name.rpartition('/')[0]}/by-hash/SHA256/{digest}"
        with suppress(DownloadFailed):  # a mirror without by-hash folders; what comes is checked all the same
            archive.download([replace(plain, url=hashed)])
    archive.download([plain])


def _decompressed(file: Path, what: str) -> bytes:
    try:
        with file.open("rb") as raw:
            packed = raw.read(6)
            raw.seek(0)
            with lzma.open(raw) if packed.startswith(b"\xfd7zXZ") else gzip.open(raw) as stream:
                data = stream.read(MAX_INDEX + 1)
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        msg = f"{what} cannot be decompressed: {error}"
        raise BadArchive(msg, hint="use another mirror") from error
    if len(data) > MAX_INDEX:
        msg = f"{what} is longer than {MAX_INDEX} bytes"
        raise BadArchive(msg, hint="use another mirror")
    return data


def _ordered(stanza: bytes, source: Source) -> bytes:
    """A stanza whose first field is another one, with Package first."""
    lines = stanza.strip(b"\n").split(b"\n")
    named = [line for line in lines if line.startswith(b"Package: ")]
    if not named:
        msg = f"the Packages of {source.suite} has a stanza without a name"
        raise BadArchive(msg, hint="use another mirror")
    return b"\n".join([named[0], *(line for line in lines if line != named[0])])
