"""Loading into a real engine that has the lower layers: it takes what is sent of the rest, or says no and gets all."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from slimrun.backend import loading
from slimrun.backend.docker import Engine
from slimrun.backend.host import Host
from slimrun.backend.loading import load_image
from slimrun.cache.store import Cache
from slimrun.errors import Interrupted
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer
from tests.docker.conftest import docker, inspect
from tests.treetext import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.docker.conftest import Slimrun


class Counting(Engine):
    """A connection to the real engine that counts what it sends."""

    sent: list[int]

    def load(self, chunks: Iterable[bytes]) -> None:
        self.sent.append(0)

        def counted() -> Iterator[bytes]:
            for chunk in chunks:
                self.sent[-1] += len(chunk)
                yield chunk

        super().load(counted())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


@pytest.fixture
def engine(slimrun: Slimrun, cache: Cache) -> Iterator[Counting]:
    assert slimrun.config.is_file(), "services are there"
    connection = Counting(Host(os.environ["DOCKER_HOST"], "a test"), timeout=60, cache=cache)
    connection.sent = []
    yield connection
    for name in connection.images("slimrun-test-loading"):
        connection.remove_image(name)
    connection.close()


def config_of(cache: Cache, *texts: str) -> Config:
    """An image of as many layers, a megabyte each; the first word makes them this test's alone."""
    layers = [
        write_layer(tree({f"/{text}": text.encode() * (1_000_000 // len(text))}), cache, name="x", epoch=0)
        for text in texts
    ]
    return Config(
        architecture="amd64", created="1970-01-01T00:00:00Z", diff_ids=tuple(layer.diff_id for layer in layers)
    )


def layers_of(name: str) -> list[str]:
    facts = inspect(name)["RootFS"]
    assert isinstance(facts, dict)
    return [layer.removeprefix("sha256:") for layer in facts["Layers"]]


def test_what_the_engine_has_is_left_out(engine: Counting, cache: Cache) -> None:
    base, one, two = (uuid.uuid4().hex for _ in range(3))
    first, second = config_of(cache, base, one), config_of(cache, base, two)
    for number, config in enumerate((first, second, second)):
        name = f"slimrun-test-loading:{number}"
        load_image(config, name, engine, cache, lambda: None)
        assert layers_of(name) == list(config.diff_ids)
    whole, half, none = engine.sent
    assert whole > 2_000_000
    assert 1_000_000 < half < 1_100_000
    assert none < 100_000


def test_an_engine_that_lost_the_layers_gets_all(engine: Counting, cache: Cache) -> None:
    base, one, two = (uuid.uuid4().hex for _ in range(3))
    load_image(config_of(cache, base, one), "slimrun-test-loading:a", engine, cache, lambda: None)
    docker("image", "rm", "slimrun-test-loading:a")
    second = config_of(cache, base, two)
    load_image(second, "slimrun-test-loading:b", engine, cache, lambda: None)
    assert layers_of("slimrun-test-loading:b") == list(second.diff_ids)
    whole, refused, again = engine.sent
    assert refused < 1_100_000 < whole
    assert again > 2_000_000
    load_image(second, "slimrun-test-loading:c", engine, cache, lambda: None)
    assert engine.sent[3] < 100_000, "and from then on knows them again"
    assert docker("images", "-q", "--filter", "dangling=true", "--filter", f"reference={base}").out == ""


def test_an_engine_that_always_refuses_is_not_asked_for_ever(
    engine: Counting, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_load_without", lambda *_: False)  # the containerd store, which this engine has not
    base = uuid.uuid4().hex
    for number in range(5):
        config = config_of(cache, base, uuid.uuid4().hex)
        load_image(config, f"slimrun-test-loading:{number}", engine, cache, lambda: None)
        assert layers_of(f"slimrun-test-loading:{number}") == list(config.diff_ids)
    assert min(engine.sent) > 2_000_000
    (record,) = (cache.root / "records/engine-refused").iterdir()
    assert cache.load("engine-refused", record.stem) == 3


def test_a_load_can_be_stopped_between_two_pieces(engine: Counting, cache: Cache) -> None:
    config = config_of(cache, uuid.uuid4().hex, uuid.uuid4().hex)
    pieces = iter((None, None))

    def check() -> None:
        if next(pieces, "stop") == "stop":
            msg = "the run is being stopped"
            raise Interrupted(msg)

    with pytest.raises(Interrupted):
        load_image(config, "slimrun-test-loading:stopped", engine, cache, check)
    assert docker("images", "-q", "slimrun-test-loading:stopped").out == ""
