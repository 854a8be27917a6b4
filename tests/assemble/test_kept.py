"""A layer that was written is taken by its tree, and is what writing gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.treetext import tree

from slimrun.assemble import kept
from slimrun.assemble.kept import kept_layer
from slimrun.cache.store import Cache
from slimrun.oci.layer import write_layer

if TYPE_CHECKING:
    from pathlib import Path

TREE = tree({"/a": b"1", "/b": "symlink a", "/d": "dir 0700"})


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the layers that were written."""
    names: list[str] = []

    def counted(*args: object, name: str, epoch: int) -> object:
        names.append(name)
        return write_layer(*args, name=name, epoch=epoch)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "write_layer", counted)
    return names


def test_written_once(tmp_path: Path, writes: list[str]) -> None:
    cache = Cache(tmp_path / "one")
    expected = write_layer(TREE, Cache(tmp_path / "other"), name="python", epoch=3)
    for name in ("python", "wheels"):
        layer = kept_layer(TREE, cache, name=name, epoch=3)
        assert (layer.diff_id, layer.content, layer.name) == (expected.diff_id, expected.content, name)
    assert writes == ["python"]
    assert cache.has_blob(expected.diff_id)


def test_what_makes_another_layer(tmp_path: Path, writes: list[str]) -> None:
    cache = Cache(tmp_path)
    rows = [(TREE, 0), (TREE, 1), (tree({"/a": b"2"}), 0), (tree({"/a": "file 0600 1"}), 0), (tree({}), 0)]
    layers = [kept_layer(content, cache, name="x", epoch=epoch) for content, epoch in rows]
    assert len({layer.diff_id for layer in layers}) == len(rows)
    assert len(writes) == len(rows)


def test_a_lost_blob_is_written_again(tmp_path: Path, writes: list[str]) -> None:
    cache = Cache(tmp_path)
    layer = kept_layer(TREE, cache, name="x", epoch=0)
    cache.blob_path(layer.diff_id).unlink()
    assert kept_layer(TREE, cache, name="x", epoch=0) == layer
    assert cache.has_blob(layer.diff_id)
    assert len(writes) == 2
