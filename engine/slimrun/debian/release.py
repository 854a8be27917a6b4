"""A suite's InRelease: fetched, its signature verified, and what it vouches for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from slimrun.debian.openpgp import verify_clearsigned
from slimrun.debian.stanza import fields
from slimrun.errors import BadSignature, NotCached
from slimrun.events import Note, Warned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from slimrun.cache.store import Cache
    from slimrun.debian.archive import Archive, Source
    from slimrun.debian.keyring import Key

_FILE = re.compile(r"([0-9a-f]{64})\s+([0-9]+)\s+(\S+)")
_RECORD = "debian-release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a Release file says (the repository format of wiki.debian.org/DebianRepository/Format).

    `files` has sha256 and size of each index by its path below the suite's folder; `all_apart` means that packages for all
    architectures stand in an index of their own only.
    """

    source: Source
    names: tuple[str, ...]
    date: datetime
    valid_until: datetime | None
    architectures: tuple[str, ...]
    by_hash: bool
    all_apart: bool
    files: Mapping[str, tuple[str, int]]


def open_release(source: Source, archive: Archive, *, keyring: Sequence[Key], now: datetime, snapshot: bool) -> Release:
    """The suite's Release, verified, and kept for runs without network; raises BadSignature, DownloadFailed, NotCached.

    A Release that has expired is accepted from a snapshot, which is old by its nature, and offline, with a warning.
    """
    url, key = f"{source.folder}/InRelease", hashlib.sha256(source.folder.encode()).hexdigest()
    what = f"the InRelease of {source.suite}"
    data = _kept(source, key, archive.cache) if archive.offline else archive.read(url)
    signed = verify_clearsigned(data, keyring, what=what, now=None if snapshot else now)
    release = read_release(signed.text, source)
    if release.valid_until is not None and release.valid_until < now:
        text = f"{what} was valid until {release.valid_until:%Y-%m-%d %H:%M} UTC"
        if snapshot:
            archive.emit(Note(text=f"{text}: accepted, as a snapshot is old by its nature", level=2))
        elif archive.offline:
            text = f"{text}: accepted, as nothing newer can be had offline"
            archive.emit(Warned(text=text, hint="run without --offline"))
        else:
            msg = f"{text}: whoever answers keeps newer packages back"
            raise BadSignature(
                msg, hint="check this machine's clock; if it is right, use another mirror, or a snapshot"
            )
    if not archive.offline:
        with archive.cache.new_blob() as blob:
            blob.write(data)
        archive.cache.save(_RECORD, key, blob.digest)
    owners = ", ".join(sorted({key.owner for key in signed.keys}))
    archive.emit(Note(text=f"{source.suite} of {release.date:%Y-%m-%d}, signed by {owners}", level=2))
    return release


def read_release(text: str, source: Source) -> Release:
    """A Release's fields; raises BadSignature where it is another suite's, or not complete."""
    found = fields(text)
    names = tuple(name for name in (found.get("codename"), found.get("suite")) if name)
    if source.suite not in names:
        msg = f"the InRelease of {source.suite} is that of {' alias '.join(names) or 'a suite without name'}"
        raise BadSignature(msg, hint="check `suite` in the recipe, and the mirror")
    files = {path: (sha256, int(size)) for sha256, size, path in _FILE.findall(found.get("sha256", ""))}
    date = _time(found.get("date", ""))
    if not files or date is None or ("valid-until" in found and _time(found["valid-until"]) is None):
        msg = f"the InRelease of {source.suite} lacks SHA256 or a date"
        raise BadSignature(msg, hint="use another mirror")
    architectures = tuple(found.get("architectures", "").split())
    apart = "Packages" not in found.get("no-support-for-architecture-all", "").split()
    return Release(
        source=source,
        names=names,
        date=date,
        valid_until=_time(found.get("valid-until", "")),
        architectures=architectures,
        by_hash=found.get("acquire-by-hash", "").lower() == "yes",
        all_apart="all" in architectures and apart,
        files=files,
    )


def _kept(source: Source, key: str, cache: Cache) -> bytes:
    digest = cache.load(_RECORD, key)
    if not isinstance(digest, str) or not cache.has_blob(digest):
        msg = f"the cache has no index of Debian's {source.suite}"
        raise NotCached(msg, hint="run once without --offline")
    return cache.blob_path(digest).read_bytes()


def _time(text: str) -> datetime | None:
    """`Sat, 11 Jul 2026 10:16:37 UTC`; a time without zone is none."""
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
