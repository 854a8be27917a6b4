"""The two calls that tests make, with everything but the question filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slimrun.debian.archive import Archive
from slimrun.debian.keyring import read_keyring
from slimrun.debian.resolve import resolve_debian
from slimrun.debian.unpack import Unpacked, open_packages
from slimrun.errors import Where
from slimrun.fetch.network import Network
from slimrun.recipe.model import Text

if TYPE_CHECKING:
    from datetime import datetime

    from debmaker import DebianArchive, Made

    from slimrun.cache.store import Cache
    from slimrun.debian.keyring import Key
    from slimrun.debian.pins import DebPin
    from slimrun.events import Event


def texts(*names: str) -> list[Text]:
    """Lines of a recipe, from line 5 on."""
    return [Text(text=name, where=Where("recipe.yaml", number, 5)) for number, name in enumerate(names, 5)]


@dataclass
class World:
    """An archive, a cache and a time; `events` is what was emitted."""

    archive: DebianArchive
    cache: Cache
    now: datetime
    events: list[Event] = field(default_factory=list)
    network: Network = field(default_factory=lambda: Network(retries=0, backoff=0.0))

    @property
    def keyring(self) -> tuple[Key, ...]:
        return read_keyring(self.archive.key.keyring)

    def publish(self, *debs: Made) -> None:
        """Add packages to the suite and sign everything."""
        for deb in debs:
            self.archive.add(deb)
        self.archive.publish_all()

    def resolve(
        self,
        *names: str,
        offline: bool = False,
        snapshot: str | None = None,
        mirror: str | None = None,
        suite: str = "bookworm",
        alone: tuple[str, ...] = (),
    ) -> tuple[DebPin, ...]:
        return resolve_debian(
            texts(*names),
            suite,
            "amd64",
            self.reach(offline=offline, mirror=mirror),
            snapshot=snapshot,
            keyring=self.keyring,
            now=self.now,
            alone=alone,
        )

    def open(self, *names: str, offline: bool = False) -> Unpacked:
        pins = self.resolve(*names, offline=offline)
        return open_packages(pins, self.reach(offline=offline), asked=texts(*names))

    def reach(self, *, offline: bool = False, mirror: str | None = None) -> Archive:
        """How the archive is reached."""
        return Archive(
            network=self.network,
            cache=self.cache,
            emit=self.events.append,
            mirror=mirror or self.archive.mirror,
            offline=offline,
        )
