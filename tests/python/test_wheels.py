"""From lines to an installed tree, with uv for real and an index on loopback."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from wheelmaker import make, pin_of

from slimrun.errors import BadWheel, DownloadFailed, RecipeInvalid, WheelNotFound, Where
from slimrun.events import silent
from slimrun.fetch.index import Indexes
from slimrun.fetch.network import Network
from slimrun.python.install import install_wheels
from slimrun.python.wheels import explain_wheels, fetch_wheels, resolve_wheels
from slimrun.recipe.model import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopback import SimpleIndex

    from slimrun.cache.store import Cache
    from slimrun.plan.pins import WheelPin
    from slimrun.python.interpreter import Interpreter

QUICK = Network(retries=0, connect_timeout=2.0, read_timeout=5.0)


def lines(base: Path, *texts: str) -> list[Wheel]:
    return [Wheel(text=text, where=Where("recipe.yaml", number), base=base) for number, text in enumerate(texts, 5)]


@pytest.fixture
def resolve(
    cache: Cache, index: SimpleIndex, interpreter: Callable[..., Interpreter], tmp_path: Path
) -> Callable[..., tuple[WheelPin, ...]]:
    def run(
        *texts: str, python: Interpreter | None = None, glibc: tuple[int, int] | None = (2, 36)
    ) -> tuple[WheelPin, ...]:
        indexes = Indexes(urls=(index.url,))
        return resolve_wheels(
            lines(tmp_path, *texts), python or interpreter(), glibc, indexes=indexes, network=QUICK, cache=cache
        )

    return run


def published(index: SimpleIndex, folder: Path, name: str, version: str = "1.0", **kwargs: object) -> Path:
    path = make(folder, name, version, **kwargs)  # type: ignore[arg-type]
    index.add(path, requires_python=str(kwargs.get("requires_python", "")))
    return path


def test_from_lines_to_a_tree(
    resolve: Callable[..., tuple[WheelPin, ...]],
    index: SimpleIndex,
    cache: Cache,
    interpreter: Callable[..., Interpreter],
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    app = published(index, store, "my_app", requires=("lib[fast]>=1", 'old; python_version < "3.8"'))
    published(index, store, "lib", requires=('engine; extra == "fast"', 'unused; extra == "slow"'))
    for name in ("engine", "unused", "old"):
        published(index, store, name)
    tool = make(tmp_path, "tool", "3.0", requires=("lib",))
    texts = ("My.App", "./tool-3.0-py3-none-any.whl")
    pins = resolve(*texts)
    assert [pin.name for pin in pins] == ["engine", "lib", "my-app", "tool"]
    assert pins[2] == replace(pin_of(app), url=f"{index.site.url}/main/files/{app.name}", size=0)
    assert pins[3] == replace(pin_of(tool), size=0)
    fetched = fetch_wheels(pins, network=QUICK, cache=cache, emit=silent)
    assert [path for _, path in fetched] == [cache.blob_path(pin.sha256) for pin in pins]
    wheels = explain_wheels(lines(tmp_path, *texts), fetched, interpreter())
    with cache.pack("test") as pack:
        done = install_wheels(wheels, interpreter(), pack)
    site = interpreter().site_packages
    assert str(done.whys[f"{site}/engine/__init__.py"]) == (
        "engine 1.0: engine-1.0-py3-none-any.whl <- lib 1.0 requires engine <- lib 1.0: lib-1.0-py3-none-any.whl"
        " <- my-app 1.0 requires lib <- my-app 1.0: my_app-1.0-py3-none-any.whl <- My.App (recipe.yaml:5)"
    )
    assert str(done.whys[f"{site}/tool/__init__.py"]).endswith("<- ./tool-3.0-py3-none-any.whl (recipe.yaml:6)")
    assert [pin.name for pin in resolve("my-app", python=interpreter((3, 7, 17)))] == ["engine", "lib", "my-app", "old"]


def test_no_lines_no_work(
    resolve: Callable[..., tuple[WheelPin, ...]], cache: Cache, interpreter: Callable[..., Interpreter]
) -> None:
    assert resolve(glibc=None) == ()
    assert fetch_wheels((), network=QUICK, cache=cache, emit=silent) == ()
    assert explain_wheels((), (), interpreter()) == ()


def test_an_error_stands_at_its_line(
    resolve: Callable[..., tuple[WheelPin, ...]], index: SimpleIndex, tmp_path: Path
) -> None:
    published(index, tmp_path, "lib")
    (tmp_path / "more.txt").write_text("# x\nno.such==1\n")
    for texts, where in ((("lib", "No_Such"), "recipe.yaml:6"), (("lib", "-r more.txt"), f"{tmp_path}/more.txt:2")):
        with pytest.raises(WheelNotFound, match="there is no package no-such") as caught:
            resolve(*texts)
        assert str(caught.value.where) == where


def test_hashes_hold(resolve: Callable[..., tuple[WheelPin, ...]], index: SimpleIndex, tmp_path: Path) -> None:
    lib = published(index, tmp_path, "lib")
    good, bad = pin_of(lib).sha256, "0" * 64
    (tmp_path / "good.txt").write_text(f"lib==1.0 --hash=sha256:{bad} --hash=sha256:{good}\n")
    (tmp_path / "bad.txt").write_text(f"lib==1.0 --hash=sha256:{bad}\n")
    assert [pin.sha256 for pin in resolve("-r good.txt")] == [good]
    with pytest.raises(WheelNotFound, match="none of the 1 that are allowed") as caught:
        resolve("-r bad.txt")
    assert str(caught.value.where) == f"{tmp_path}/bad.txt:1"


def test_constraints(index: SimpleIndex, cache: Cache, interpreter: Callable[..., Interpreter], tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        published(index, tmp_path, "lib", version)
    (tmp_path / "limits.txt").write_text("lib<2\n")
    line, limits = lines(tmp_path, "lib", "limits.txt")
    pins = resolve_wheels(
        [line],
        interpreter(),
        (2, 36),
        indexes=Indexes(urls=(index.url,)),
        network=QUICK,
        cache=cache,
        constraints=limits,
    )
    assert [pin.version for pin in pins] == ["1.0"]


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("cp39-cp39-manylinux_2_17_x86_64", "for CPython 3.9, not for CPython 3.11"),
        ("cp311-cp311-manylinux_2_39_x86_64", "for glibc 2.39 or newer"),
        ("cp311-cp311-manylinux_2_17_aarch64", "for Linux aarch64"),
    ],
)
def test_a_local_wheel_for_something_else(
    tag: str, says: str, resolve: Callable[..., tuple[WheelPin, ...]], tmp_path: Path
) -> None:
    wheel = make(tmp_path, "ext", "1.0", tag=tag)
    with pytest.raises(WheelNotFound, match=says) as caught:
        resolve(f"./{wheel.name}")
    assert str(caught.value.where) == "recipe.yaml:5"


def test_no_glibc(resolve: Callable[..., tuple[WheelPin, ...]]) -> None:
    with pytest.raises(WheelNotFound, match="a tree without glibc") as caught:
        resolve("lib", glibc=None)
    assert "alpine" in caught.value.hint


def test_without_a_builder_a_folder_is_refused(resolve: Callable[..., tuple[WheelPin, ...]], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    with pytest.raises(WheelNotFound, match="a wheel would have to be built") as caught:
        resolve("./")
    assert str(caught.value.where) == "recipe.yaml:5"


def test_a_local_wheel_that_changes(cache: Cache, tmp_path: Path) -> None:
    wheel = make(tmp_path, "a", "1.0")
    pin = pin_of(wheel)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(BadWheel, match="expected"):
        fetch_wheels([pin], network=QUICK, cache=cache, emit=silent)
    assert not cache.has_blob(pin.sha256)
    wheel.unlink()
    with pytest.raises(DownloadFailed, match="there is no"):
        fetch_wheels([pin], network=QUICK, cache=cache, emit=silent)


def test_a_folder_as_index(cache: Cache, interpreter: Callable[..., Interpreter], tmp_path: Path) -> None:
    page = tmp_path / "simple" / "lib" / "index.html"
    page.parent.mkdir(parents=True)
    wheel = make(tmp_path, "lib", "1.0")
    page.write_text(f'<a href="../../{wheel.name}#sha256={pin_of(wheel).sha256}">{wheel.name}</a>')
    indexes = Indexes(urls=((tmp_path / "simple").as_uri(),))
    pins = resolve_wheels(lines(tmp_path, "lib"), interpreter(), (2, 36), indexes=indexes, network=QUICK, cache=cache)
    ((_, path),) = fetch_wheels(pins, network=QUICK, cache=cache, emit=silent)
    assert path.read_bytes() == wheel.read_bytes()


LOCK = """\
lock-version = "1.0"
created-by = "tests"
[[packages]]
name = "lib"
version = "1.0"
[[packages.wheels]]
url = "https://files.example/lib-1.0-cp37-cp37m-manylinux_2_17_x86_64.whl"
hashes = {{ sha256 = "{a}" }}
[[packages.wheels]]
url = "https://files.example/lib-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
size = 7
hashes = {{ sha256 = "{b}" }}
[[packages]]
name = "old"
version = "1.0"
marker = "python_version < '3.8'"
archive = {{ path = "dist/old-1.0-py3-none-any.whl", hashes = {{ sha256 = "{c}" }} }}
"""
ONE = 'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "one"\n'


def test_pylock_is_taken_as_it_stands(
    resolve: Callable[..., tuple[WheelPin, ...]],
    interpreter: Callable[..., Interpreter],
    index: SimpleIndex,
    tmp_path: Path,
) -> None:
    (tmp_path / "pylock.toml").write_text(LOCK.format(a="a" * 64, b="b" * 64, c="c" * 64))
    (pin,) = resolve("-r pylock.toml")
    assert (pin.filename, pin.sha256, pin.size) == ("lib-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "b" * 64, 7)
    lib, old = resolve("-r pylock.toml", python=interpreter((3, 7, 17)))
    assert (lib.sha256, old.url) == ("a" * 64, f"{tmp_path}/dist/old-1.0-py3-none-any.whl")
    assert index.site.asked == []


def test_the_rest_is_resolved_around_a_pylock(
    resolve: Callable[..., tuple[WheelPin, ...]], index: SimpleIndex, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        published(index, tmp_path, "lib", version)
    published(index, tmp_path, "app", requires=("lib",))
    (tmp_path / "pylock.dev.toml").write_text(LOCK.format(a="a" * 64, b="b" * 64, c="c" * 64))
    assert [(pin.name, pin.version, pin.sha256[:1]) for pin in resolve("-r pylock.dev.toml", "app")][1] == (
        "lib",
        "1.0",
        "b",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml", "pylock.toml: error: not a lock file"),
        ('lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', "not a lock file"),
        (LOCK.format(a="", b="", c="").replace('sha256 = ""', 'sha512 = "x"'), ":4: error: lib: its wheel has no sha256"),
        (LOCK.format(a="a", b="b", c="c").replace("x86_64", "aarch64"), "No wheel found matching the provided tags"),
        ('requires-python = ">=3.12"\n' + LOCK.format(a="a", b="b", c="c"), "does not satisfy"),
        (ONE + 'vcs = { type = "git", url = "u", commit-id = "c" }', "pylock.toml:4: error: one: no wheel of it fits"),
        (ONE + 'sdist = { url = "u/one-1.tar.gz", hashes = {sha256 = "a"} }', "pylock.toml:4: error: one: no wheel of it fits"),
    ],
)  # fmt: skip
def test_pylocks_that_do_not_serve(
    text: str, says: str, resolve: Callable[..., tuple[WheelPin, ...]], tmp_path: Path
) -> None:
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(RecipeInvalid) as caught:
        resolve("-r pylock.toml")
    assert says in caught.value.render()
    assert "hint:" in caught.value.render()
