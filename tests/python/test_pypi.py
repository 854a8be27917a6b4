"""PyPI for real: `pytest -m network`, and always where SLIMRUN_CI is 1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import WheelNotFound, Where
from slimrun.events import silent
from slimrun.fetch.index import Indexes
from slimrun.fetch.network import Network
from slimrun.python.install import install_wheels
from slimrun.python.wheels import explain_wheels, fetch_wheels, resolve_wheels
from slimrun.recipe.model import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.cache.store import Cache
    from slimrun.python.interpreter import Interpreter

pytestmark = pytest.mark.network


def lines(*texts: str) -> list[Wheel]:
    return [Wheel(text=text, where=Where("recipe.yaml", number), base=Path()) for number, text in enumerate(texts, 5)]


@pytest.mark.parametrize(
    ("version", "arch", "filename"),
    [
        ((3, 7, 17), "x86_64", "psycopg2_binary-2.9.9-cp37-cp37m-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        ((3, 11, 2), "x86_64", "psycopg2_binary-2.9.9-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        ((3, 11, 2), "aarch64", "psycopg2_binary-2.9.9-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"),
    ],
)
def test_psycopg2(
    version: tuple[int, int, int], arch: str, filename: str, cache: Cache, interpreter: Callable[..., Interpreter]
) -> None:
    python, asked = interpreter(version, arch=arch), lines("psycopg2-binary==2.9.9")
    (pin,) = resolve_wheels(asked, python, (2, 31), indexes=Indexes(), network=Network(), cache=cache)
    assert pin.filename == filename
    assert pin.url.startswith("https://files.pythonhosted.org/packages/")
    assert pin.size > 2_000_000
    fetched = fetch_wheels([pin], network=Network(), cache=cache, emit=silent)
    with cache.pack("test") as pack:
        done = install_wheels(explain_wheels(asked, fetched, python), python, pack)
    (found,) = done.distributions
    assert (found.top_level, found.extensions) == (("psycopg2",), ("psycopg2._psycopg",))
    assert any("/psycopg2_binary.libs/libpq-" in path for path in found.files)


def test_markers_of_python_37(cache: Cache, interpreter: Callable[..., Interpreter]) -> None:
    """pip on a newer host misses importlib-metadata: it evaluates markers for itself."""
    pins = resolve_wheels(
        lines("click"), interpreter((3, 7, 17)), (2, 28), indexes=Indexes(), network=Network(), cache=cache
    )
    assert [pin.name for pin in pins] == ["click", "importlib-metadata", "typing-extensions", "zipp"]


def test_what_pypi_does_not_have(cache: Cache, interpreter: Callable[..., Interpreter]) -> None:
    with pytest.raises(WheelNotFound) as caught:
        resolve_wheels(
            lines("psycopg2-binary==2.9.9"),
            interpreter((3, 13, 1)),
            (2, 36),
            indexes=Indexes(),
            network=Network(),
            cache=cache,
        )
    assert "its wheels are for CPython 3.7 to 3.12, not for CPython 3.13" in caught.value.hint
    assert str(caught.value.where) == "recipe.yaml:5"
