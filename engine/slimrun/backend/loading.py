"""Loading an image into an engine that has its lower layers already: they are left out, where the engine allows that.

An engine with a graph-driver store takes a layer that it has by what it lies on (its chain id) and never opens the archive's copy.
One with the containerd store wants every byte; so does one whose layer was removed meanwhile. Both refuse: then all is sent.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from slimrun.backend.host import engine_key
from slimrun.errors import DiskFull, EngineUnreachable, ImageFailed
from slimrun.oci.archive import archive_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slimrun.backend.docker import Engine
    from slimrun.cache.store import Cache
    from slimrun.oci.config import Config

_CHAIN, _REFUSED = "engine-layer", "engine-refused"
# An engine that refused so often in a row is one that wants every byte.
_TRIES = 3


def load_image(config: Config, name: str, engine: Engine, cache: Cache, check: Callable[[], None]) -> None:
    """Load an image under a name; `check` is called before each piece that is sent, and may raise.

    Raises ImageFailed where the engine refuses the whole image, too.
    """
    key = engine_key(engine.host)
    chains = [_key(key, chain) for chain in chain_ids(config.diff_ids)]
    there = next((number for number, chain in enumerate(chains) if cache.load(_CHAIN, chain) is None), len(chains))
    refused = cache.load(_REFUSED, key) or 0
    spared = set(config.diff_ids[:there]) - set(config.diff_ids[there:])
    loaded = False
    if spared and refused < _TRIES:
        loaded = _load_without(spared, config, name, engine, cache, check)
        if not loaded:
            for chain in chains[:there]:
                cache.forget(_CHAIN, chain)
        count = 0 if loaded else refused + 1
        if count != refused:
            cache.save(_REFUSED, key, count)
    if not loaded:
        engine.load(_checked(archive_chunks(config, [name], cache), check))
        there = 0
    for chain in chains[there:]:
        cache.save(_CHAIN, chain, True)


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """What identifies each layer with all that it lies on (OCI image-spec, config.md); bare hex."""
    chain: list[str] = []
    for diff_id in diff_ids:
        text = f"sha256:{chain[-1]} sha256:{diff_id}" if chain else ""
        chain.append(hashlib.sha256(text.encode()).hexdigest() if chain else diff_id)
    return chain


def _load_without(
    spared: set[str], config: Config, name: str, engine: Engine, cache: Cache, check: Callable[[], None]
) -> bool:
    """Whether the engine took the image without these layers, and has it whole."""
    try:
        engine.load(_checked(archive_chunks(config, [name], cache, without=spared), check))
    except DiskFull:
        raise
    except (ImageFailed, EngineUnreachable):  # it may say no and hang up while the archive is still being sent
        return False
    facts = engine.inspect_image(name)
    return facts is not None and facts["RootFS"].get("Layers") == [f"sha256:{layer}" for layer in config.diff_ids]


def _checked(chunks: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        check()
        yield chunk


def _key(engine: str, chain: str) -> str:
    return hashlib.sha256(f"{engine} {chain}".encode()).hexdigest()
