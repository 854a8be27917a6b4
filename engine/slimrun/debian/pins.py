"""What a run settles of Debian: which packages, by digest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DebPin:
    """One binary package, settled.

    `url` is the canonical address (never a mirror's), `sha256` bare hex of the `.deb`, `size` its bytes. `named` means that
    the recipe names it: such packages are selection, all others supply. `suite` is the one whose Release vouches for it
    (`bookworm`, `bookworm-security`), `architecture` Debian's word, `all` included.
    """

    name: str
    version: str
    architecture: str
    url: str
    sha256: str
    size: int
    named: bool
    suite: str
