"""Which sources uv chooses, and how it learns what they need, with uv for real and a builder that writes down what it is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from sdistmaker import pkg_info, project, sdist
from wheelmaker import make, pin_of

from slimrun.errors import RecipeInvalid, WheelNotFound, Where
from slimrun.events import silent
from slimrun.fetch.index import Indexes
from slimrun.fetch.network import Network
from slimrun.fetch.sources import Declared, uv_configuration
from slimrun.plan.pins import SourcePin, WheelPin
from slimrun.python.buildsystem import Needs
from slimrun.python.sources import normalised
from slimrun.python.wheels import explain_wheels, fetch_wheels, resolve_wheels
from slimrun.recipe.model import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loopback import SimpleIndex

    from slimrun.cache.store import Cache
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.requirements import Sources
    from slimrun.why import Why

QUICK = Network(retries=0, connect_timeout=2.0, read_timeout=5.0)
FROM_SOURCE = Where("recipe.yaml", 9, 5)


@dataclass
class Making:
    """Makes wheels without a build; `asked` is what it was asked for, in order."""

    cache: Cache
    folder: Path
    names: Mapping[str, Where]
    wants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def needs(self, source: SourcePin, why: Why | None) -> Needs:
        self.asked.append(f"needs {source.name} {source.version} for {why.text if why else 'others'}")
        return Needs(requires=self.wants.get(f"{source.name} {source.version}", ()))

    def sdist(self, source: SourcePin, why: Why | None) -> WheelPin:
        self.asked.append(f"build {source.filename}")
        return self._made(source, source.name, source.version, why)

    def project(self, sources: Sources) -> WheelPin:
        self.asked.append(f"build {sources.text}")
        source = SourcePin(name="", version="", filename=sources.text, url=str(sources.path), sha256="0" * 64)
        return self._made(source, "mine", "3.0", sources.why)

    def _made(self, source: SourcePin, name: str, version: str, _why: Why | None) -> WheelPin:
        path = make(self.folder, name.replace("-", "_"), version, requires=self.wants.get(f"{name} {version}", ()))
        with self.cache.new_blob() as blob, path.open("rb") as stream:
            blob.copy(stream)
        pin = pin_of(path)
        return WheelPin(
            name=pin.name, version=version, filename=path.name, url=source.url, sha256=pin.sha256, source=source
        )


@dataclass
class Bench:
    """An index, a builder, and what a recipe says."""

    index: SimpleIndex
    cache: Cache
    folder: Path
    interpreter: Interpreter
    builder: Making

    def publish(self, name: str, version: str, **wheel: object) -> None:
        """A wheel and an sdist."""
        self.index.add(make(self.folder, name, version, **wheel))
        self.source(name, version)

    def source(self, name: str, version: str) -> Path:
        path = sdist(self.folder, name, version, project(name, version))
        self.index.add(path)
        return path

    def resolve(self, *texts: str) -> dict[str, WheelPin]:
        lines = self.lines(*texts)
        pins = resolve_wheels(
            lines,
            self.interpreter,
            (2, 36),
            indexes=Indexes(urls=(self.index.url,)),
            network=QUICK,
            cache=self.cache,
            builder=self.builder,
        )
        return {pin.name: pin for pin in pins}

    def lines(self, *texts: str) -> list[Wheel]:
        return [
            Wheel(text=text, where=Where("recipe.yaml", row), base=self.folder) for row, text in enumerate(texts, 5)
        ]


@pytest.fixture
def bench(
    index: SimpleIndex, cache: Cache, interpreter: Callable[..., Interpreter], tmp_path: Path
) -> Callable[..., Bench]:
    def opened(*names: str, **wants: tuple[str, ...]) -> Bench:
        (tmp_path / "made").mkdir()
        builder = Making(cache, tmp_path / "made", normalised((name, FROM_SOURCE) for name in names))
        builder.wants = {key.replace("_", " ").replace("V", "."): value for key, value in wants.items()}
        return Bench(index, cache, tmp_path, interpreter(), builder)

    return opened


def test_only_what_is_named_is_built(bench: Callable[..., Bench]) -> None:
    found = bench("My.Ext")
    found.publish("my_ext", "1.0")
    found.publish("other", "1.0")
    path = found.folder / "my_ext-1.0.tar.gz"
    pins = found.resolve("my-ext", "other")
    source = pins["my-ext"].source
    assert source == SourcePin(
        name="my-ext",
        version="1.0",
        filename=path.name,
        url=f"{found.index.site.url}/main/files/{path.name}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert pins["other"].source is None
    assert found.builder.asked == ["needs my-ext 1.0 for my-ext", f"build {path.name}"]


def test_what_sources_need_is_resolved_too(bench: Callable[..., Bench]) -> None:
    found = bench("ext", ext_1V0=("lib[fast]>=1",))
    found.source("ext", "1.0")
    found.publish("lib", "1.5", requires=('engine; extra == "fast"',))
    found.publish("engine", "2.0")
    pins = found.resolve("ext")
    assert sorted(pins) == ["engine", "ext", "lib"]
    assert [pin.source is not None for pin in pins.values()] == [False, True, False]


def test_what_sources_need_can_choose_another_version_of_them(bench: Callable[..., Bench]) -> None:
    """The newest is taken until it says what it needs; then the one that fits, of which alone a wheel is built."""
    found = bench("ext", ext_2V0=("lib>=2",), ext_1V0=("lib>=1",))
    for version in ("1.0", "2.0"):
        found.source("ext", version)
        found.publish("lib", version)
    pins = found.resolve("ext", "lib<2")
    assert {name: pin.version for name, pin in pins.items()} == {"ext": "1.0", "lib": "1.0"}
    assert found.builder.asked == ["needs ext 2.0 for ext", "needs ext 1.0 for ext", "build ext-1.0.tar.gz"]


def test_sources_that_sources_need(bench: Callable[..., Bench]) -> None:
    found = bench("ext", "base", ext_1V0=("base",))
    found.source("ext", "1.0")
    found.publish("base", "1.0")
    assert [pin.source is not None for pin in found.resolve("ext").values()] == [True, True]
    assert found.builder.asked[0] == "needs ext 1.0 for ext"
    assert "needs base 1.0 for others" in found.builder.asked


def test_no_code_of_an_sdist_runs_here(bench: Callable[..., Bench]) -> None:
    """uv would ask the backend for what is required; told already, it does not."""
    found = bench("ext")
    mark = found.folder / "ran"
    files = {"setup.py": f"open({str(mark)!r}, 'w').close()\n".encode(), "PKG-INFO": pkg_info("ext", "1.0")}
    files["pyproject.toml"] = b'[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    files["own.py"] = f"open({str(mark)!r}, 'w').close()\n".encode()
    found.index.add(sdist(found.folder, "ext", "1.0", files))
    assert found.resolve("ext")["ext"].version == "1.0"
    assert not mark.exists()


def test_no_other_configuration_of_uv_is_read(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    found = bench("ext")
    found.source("ext", "1.0")
    config = found.folder / "home" / "uv"
    config.mkdir(parents=True)
    (config / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple"\nno-binary = true\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    monkeypatch.setenv("HOME", str(config.parent))
    assert found.resolve("ext")["ext"].version == "1.0"


def test_a_folder(bench: Callable[..., Bench]) -> None:
    found = bench(mine_3V0=("lib",))
    found.publish("lib", "1.0")
    (found.folder / "app").mkdir()
    (found.folder / "app" / "pyproject.toml").write_text("")
    pins = found.resolve("./app/")
    assert sorted(pins) == ["lib", "mine"]
    assert pins["mine"].source == SourcePin(
        name="", version="", filename="./app/", url=str(found.folder / "app"), sha256="0" * 64
    )
    assert found.builder.asked == ["build ./app/"]
    assert list(found.cache.scratch().iterdir()) == []


def test_reasons_lead_through_the_sources_to_the_line(bench: Callable[..., Bench]) -> None:
    found = bench("ext", mine_3V0=("ext",), ext_1V0=("lib",))
    found.source("ext", "1.0")
    found.publish("lib", "1.0")
    (found.folder / "pyproject.toml").write_text("")
    pins = found.resolve("./")
    fetched = fetch_wheels(list(pins.values()), network=QUICK, cache=found.cache, emit=silent)
    why = {
        pin.name: str(reason)
        for pin, _, reason in explain_wheels(
            found.lines("./"), fetched, found.interpreter, from_source=found.builder.names, built_in="x:1 with gcc"
        )
    }
    assert why["mine"] == "built of ./ in x:1 with gcc <- ./ (recipe.yaml:5)"
    assert why["ext"].startswith(
        "built of ext-1.0.tar.gz in x:1 with gcc (recipe.yaml:9:5) <- mine 3.0 requires ext <- "
    )
    assert why["ext"].endswith(" <- ./ (recipe.yaml:5)")
    assert why["lib"].startswith("ext 1.0 requires lib <- ")


def test_a_name_that_nothing_needs(bench: Callable[..., Bench]) -> None:
    found = bench("psycop2")
    found.publish("psycopg2", "1.0")
    with pytest.raises(WheelNotFound, match="names psycop2, and no wheel of that name is needed") as caught:
        found.resolve("psycopg2")
    assert caught.value.hint == "did you mean psycopg2?"
    assert caught.value.where == FROM_SOURCE


def test_a_name_of_which_a_wheel_is_given(bench: Callable[..., Bench]) -> None:
    found = bench("ext")
    make(found.folder, "ext", "1.0")
    with pytest.raises(WheelNotFound, match=r"of which `wheels` names the wheel ext-1.0-py3-none-any.whl") as caught:
        found.resolve("./ext-1.0-py3-none-any.whl")
    assert caught.value.where == FROM_SOURCE


@pytest.mark.parametrize(
    ("asked", "says", "hint"),
    [
        ("ext", "no source of ext", "the index has wheels of it only: take it out of pip.from_source"),
        ("ext==1.0", "no source of ext==1.0", "the index has wheels of it only"),
        ("old==2.0", "no source of old==2.0", "the newest of its sources is old-1.10.tar.gz; or take it out"),
        ("old==7", "there is no version of old==7", "there is only 2.0"),
        ("nosuch", "there is no package nosuch", "check the spelling"),
    ],
)
def test_no_sources(asked: str, says: str, hint: str, bench: Callable[..., Bench]) -> None:
    found = bench("ext", "old", "nosuch")
    found.index.add(make(found.folder, "ext", "1.0"))
    found.index.add(make(found.folder, "old", "2.0"))
    for version in ("1.9", "1.10"):
        found.source("old", version)
    with pytest.raises(WheelNotFound) as caught:
        found.resolve(asked)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert str(caught.value.where) == "recipe.yaml:5"


def test_hashes_are_the_sources(bench: Callable[..., Bench]) -> None:
    found = bench("ext")
    good = hashlib.sha256(found.source("ext", "1.0").read_bytes()).hexdigest()
    (found.folder / "good.txt").write_text(f"ext==1.0 --hash=sha256:{good}\n")
    (found.folder / "bad.txt").write_text(f"ext==1.0 --hash=sha256:{'0' * 64}\n")
    assert found.resolve("-r good.txt")["ext"].source
    with pytest.raises(WheelNotFound, match=r"ext-1.0.tar.gz has sha256 .* none of the 1 that are allowed"):
        found.resolve("-r bad.txt")


LOCK = """\
lock-version = "1.0"
created-by = "tests"
[[packages]]
name = "ext"
version = "1.0"
{sdist}
[[packages.wheels]]
url = "https://files.example/ext-1.0-py3-none-any.whl"
hashes = {{ sha256 = "{a}" }}
"""
SDIST = 'sdist = { url = "https://files.example/ext-1.0.tar.gz", size = 7, hashes = { sha256 = "B" } }'


def test_a_lock_gives_its_sources(bench: Callable[..., Bench]) -> None:
    found = bench("ext")
    (found.folder / "pylock.toml").write_text(LOCK.format(sdist=SDIST.replace("B", "b" * 64), a="a" * 64))
    source = found.resolve("-r pylock.toml")["ext"].source
    assert source == SourcePin(
        name="ext",
        version="1.0",
        filename="ext-1.0.tar.gz",
        url="https://files.example/ext-1.0.tar.gz",
        sha256="b" * 64,
        size=7,
    )
    assert found.index.site.asked == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ext: pip.from_source names it, and the lock has no sdist of it"),
        (SDIST.replace("sha256", "sha512"), "ext: its sdist has no sha256"),
    ],
)
def test_a_lock_without_them(text: str, says: str, bench: Callable[..., Bench]) -> None:
    found = bench("ext")
    (found.folder / "pylock.toml").write_text(LOCK.format(sdist=text, a="a" * 64))
    with pytest.raises(RecipeInvalid) as caught:
        found.resolve("-r pylock.toml")
    assert says in caught.value.render()
    assert "pylock.toml:4: error" in caught.value.render()


def test_what_uv_is_told() -> None:
    text = uv_configuration(
        [
            Declared(name="b", version="1", requires=('x; extra == "e"', "ü"), extras=("e",)),
            Declared(name="b"),
            Declared(name="a"),
        ]
    )
    assert text.split("\n\n") == [
        '[[dependency-metadata]]\nname = "a"\nrequires-dist = []',
        '[[dependency-metadata]]\nname = "b"\nrequires-dist = []',
        '[[dependency-metadata]]\nname = "b"\nversion = "1"\n'
        'requires-dist = ["x; extra == \\"e\\"", "ü"]\nprovides-extra = ["e"]\n',
    ]
