"""Names of Debian packages → pins: releases, indexes, closure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slimrun.debian.archive import RELEASED, near_suite, sources_of
from slimrun.debian.depends import closure
from slimrun.debian.keyring import debian_keyring
from slimrun.debian.packages import open_index
from slimrun.debian.pins import DebPin
from slimrun.debian.release import open_release
from slimrun.debian.universe import Universe
from slimrun.errors import DownloadFailed, NotCached, SlimrunError
from slimrun.events import Warned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.debian.archive import Archive, Source
    from slimrun.debian.keyring import Key
    from slimrun.debian.packages import Index
    from slimrun.recipe.model import Text


def resolve_debian(
    packages: Sequence[Text],
    suite: str,
    architecture: str,
    archive: Archive,
    *,
    snapshot: str | None = None,
    keyring: Sequence[Key] | None = None,
    now: datetime | None = None,
    alone: Sequence[str] = (),
) -> tuple[DebPin, ...]:
    """The packages and their dependencies (not what they recommend), by name; errors carry the recipe's place.

    `architecture` is Debian's word (amd64, arm64). Of `alone`, packages whose files are wanted without what they depend on, a
    suite may lack any. Raises BadSignature, PackageNotFound, BadArchive, DownloadFailed, IndexUnreachable, and NotCached where
    the archive is offline.
    """
    keys = debian_keyring() if keyring is None else keyring
    time = now or datetime.now(UTC)

    def indexes(source: Source) -> tuple[Index, ...]:
        try:
            release = open_release(source, archive, keyring=keys, now=time, snapshot=snapshot is not None)
        except (DownloadFailed, NotCached) as error:
            if source.required:
                error.hint = error.hint if suite in RELEASED else near_suite(suite)
                raise
            archive.emit(Warned(text=f"there is no {source.suite}: its packages are left out"))
            return ()
        return open_index(release, architecture, archive)

    try:
        found = [index for source in sources_of(suite, snapshot) for index in indexes(source)]
        universe = Universe(suite, architecture, found)
        named = {universe.asked(one).name for one in packages}
        chosen = closure(packages, universe)
        known = {package.name for package in chosen}
        beside = [package for name in alone if name not in known and (package := universe.candidate(name)) is not None]
    except SlimrunError as error:
        error.where = error.where or (packages[0].where if packages else None)
        raise
    return tuple(
        DebPin(
            name=package.name,
            version=package.version,
            architecture=package.architecture,
            url=f"{package.source.root}/{package.filename}",
            sha256=package.sha256,
            size=package.size,
            named=package.name in named,
            suite=package.source.suite,
        )
        for package in sorted((*chosen, *beside), key=lambda package: package.name)
    )
