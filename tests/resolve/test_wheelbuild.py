"""Wheels of sources over a backend that writes down what it is asked: keys, what is put in, what comes out, what goes wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from loopback import SimpleIndex, Site
from sdistmaker import pkg_info, project, sdist
from tests.images import official
from tests.recording import Held, Recording
from tests.treetext import tree
from wheelmaker import contents, make, pack, with_record

from slimrun.cache.store import Cache
from slimrun.errors import BadArchive, BadSource, BadWheel, BuildFailed, SlimrunError, WheelNotFound, Where
from slimrun.events import silent
from slimrun.fetch.index import Indexes
from slimrun.fetch.network import Network
from slimrun.plan.pins import ImagePin, SourcePin, WheelPin
from slimrun.python.buildenv import OUT, REQUIRES, VENV
from slimrun.python.buildsystem import Needs
from slimrun.python.interpreter import find_interpreter
from slimrun.python.requirements import Sources
from slimrun.recipe.model import Text
from slimrun.resolve.buildadvice import advice
from slimrun.resolve.builder import install_packages
from slimrun.resolve.wheelbuild import ROUNDS, WheelBuilder
from slimrun.resolve.workshop import Workshop
from slimrun.settings import BuildSettings, Settings
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slimrun.backend.chain import BuildStep

QUICK = Network(retries=0, connect_timeout=2.0, read_timeout=5.0)
PLACE = Where("r.yaml", 9, 5)
LINE = Where("r.yaml", 5, 5)
GCC = Text(text="gcc", where=Where("r.yaml", 10, 20))


def wheel(name: str = "ext", version: str = "1.0", **kwargs: Any) -> bytes:
    """A wheel's bytes."""
    return pack(with_record(contents(name, version, **kwargs)))


def gives(**files: bytes) -> Held:
    """A finished build with these files in its out folder; `__` is a dot, `_1` a dash."""
    return Held(tree=tree({f"{OUT}/{name}": data for name, data in files.items()}))


@dataclass
class Bench:
    """An sdist on an index, and a builder of wheels over the recording backend."""

    root: Path
    index: SimpleIndex
    backend: Recording
    settings: Settings = field(default_factory=lambda: Settings(cache_dir=Path("unused")))
    steps: list[BuildStep] = field(default_factory=list)

    def publish(self, files: dict[str, bytes] | None = None, name: str = "ext", version: str = "1.0") -> SourcePin:
        path = sdist(self.root, name, version, project(name, version) if files is None else files)
        self.index.add(path)
        url = f"{self.index.site.url}/main/files/{path.name}"
        sha256 = self.index.files[name][path.name][0]
        return SourcePin(name=name, version=version, filename=path.name, url=url, sha256=sha256)

    def answers(self, answer: Callable[[Sequence[BuildStep]], Held]) -> None:
        def built(steps: Sequence[BuildStep]) -> Held:
            self.steps = list(steps)
            return answer(steps)

        self.backend.builds = built

    def builder(self, *packages: Text, **settings: Any) -> WheelBuilder:
        """A new one, as each run has."""
        interpreter = find_interpreter(official)
        base = ImagePin(reference="python:3.11", digest="sha256:" + "1" * 64, platform="linux/amd64")
        shop = Workshop(
            base=base,
            steps=(install_packages(packages),) if packages else (),
            name=base.reference,
            interpreter=interpreter,
            glibc=(2, 36),
        )
        return WheelBuilder(
            names={"ext": PLACE},
            open_workshop=lambda: shop,
            backend=self.backend,
            settings=replace(self.settings, **settings),
            indexes=Indexes(urls=(self.index.url,)),
            network=QUICK,
            cache=self.backend.cache,
            emit=silent,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Site() as site:
        made = Bench(tmp_path, SimpleIndex(site), Recording(cache=Cache(tmp_path / "cache"), images={}))
        made.answers(lambda _: gives(**{"ext-1.0-py3-none-any.whl": wheel()}))
        yield made


def why(text: str = "ext") -> Why:
    return Why(rule="recipe", text=text, where=LINE)


def put_in(bench: Bench) -> dict[str, str]:
    """What the last step laid down, but for the environment's wheels."""
    assert bench.steps[-1].tree is not None
    return {path: entry.dump() for path, entry in bench.steps[-1].tree.items()}


def test_a_wheel_is_made_once_and_asks_no_engine_again(bench: Bench) -> None:
    source = bench.publish()
    builder = bench.builder(GCC)
    pin = builder.sdist(source, why())
    assert pin == WheelPin(
        name="ext",
        version="1.0",
        filename="ext-1.0-py3-none-any.whl",
        url=source.url,
        sha256=pin.sha256,
        size=len(wheel()),
        source=source,
    )
    assert bench.backend.cache.blob_path(pin.sha256).read_bytes() == wheel()
    assert builder.sdist(source, why()) == pin
    assert bench.builder(GCC).sdist(source, why()) == pin
    assert bench.backend.calls == ["build packages wheel-ext-1.0"]


def test_what_is_put_in(bench: Bench) -> None:
    bench.builder().sdist(bench.publish(), why())
    found = put_in(bench)
    assert f"{VENV}/pyvenv.cfg" in found
    assert found[f"{VENV}/bin/python"] == "symlink /usr/local/bin/python3.11"
    assert found["/slimrun/src/ext-1.0"] == "dir 0755"
    assert "/slimrun/src/ext-1.0/own.py" in found
    assert "/slimrun/driver.py" in found
    (step,) = bench.steps
    assert step.tree is not None
    assert json.loads(step.tree.read("/slimrun/request.json")) == {
        "sources": "/slimrun/src/ext-1.0",
        "backend": "own",
        "path": [""],
        "given": [],
    }
    assert step.tree.read(f"{VENV}/pyvenv.cfg").splitlines()[:2] == [
        b"home = /usr/local/bin",
        b"include-system-site-packages = false",
    ]
    assert step.commands == ((f"{VENV}/bin/python", "-s", "/slimrun/driver.py"),)
    assert dict(step.env) == {
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315532800",
        "TZ": "UTC",
        "VIRTUAL_ENV": VENV,
    }


def test_what_the_build_requires_is_put_in_as_wheels_of_the_index(bench: Bench) -> None:
    for name, requires in (("backend", ("helper",)), ("helper", ())):
        bench.index.add(make(bench.root, name, "1.0", requires=requires))
    source = bench.publish(project("ext", "1.0", build_requires=("backend>=1",)))
    bench.builder().sdist(source, why())
    site = f"{VENV}/lib/python3.11/site-packages"
    assert {f"{site}/backend/__init__.py", f"{site}/helper/__init__.py"} <= set(put_in(bench))
    assert bench.backend.calls == ["build wheel-ext-1.0"]
    asked = len(bench.index.site.asked)
    bench.builder(no_cache=True).sdist(source, why())
    assert len(bench.index.site.asked) == asked, "what a build requires is remembered"
    bench.index.add(make(bench.root, "backend", "2.0"))
    bench.builder(refresh=True).sdist(source, why())
    assert f"{site}/backend-2.0.dist-info/METADATA" in put_in(bench)
    assert bench.backend.calls[1:] == ["build wheel-ext-1.0", "build wheel-ext-1.0"]


def test_what_the_backend_asks_for_is_resolved_here_and_put_in(bench: Bench) -> None:
    bench.index.add(make(bench.root, "more", "1.0"))
    source = bench.publish()

    def answer(steps: Sequence[BuildStep]) -> Held:
        assert steps[-1].tree is not None
        given = json.loads(steps[-1].tree.read("/slimrun/request.json"))["given"]
        return gives(**{"ext-1.0-py3-none-any.whl": wheel()}) if given else gives(**{"requires.json": b'["more>=1"]'})

    bench.answers(answer)
    pin = bench.builder().sdist(source, why())
    assert f"{VENV}/lib/python3.11/site-packages/more/__init__.py" in put_in(bench)
    assert len(bench.backend.calls) == 2
    assert bench.builder().sdist(source, why()) == pin
    assert len(bench.backend.calls) == 2, "the answer is remembered, too"


def test_a_backend_that_never_has_enough(bench: Bench) -> None:
    for number in range(ROUNDS):
        bench.index.add(make(bench.root, f"more{number}", "1.0"))
    source = bench.publish()
    bench.answers(lambda _: gives(**{"requires.json": json.dumps([f"more{len(bench.backend.calls) - 1}"]).encode()}))
    with pytest.raises(BadSource, match=r"ext-1.0.tar.gz asks for other requirements each time") as caught:
        bench.builder().sdist(source, why())
    assert caught.value.where == PLACE
    assert len(bench.backend.calls) == ROUNDS


def changes() -> dict[str, Callable[[Bench], WheelBuilder]]:
    """What another wheel is made for."""
    return {
        "packages": lambda bench: bench.builder(GCC),
        "environment": lambda bench: bench.builder(build=BuildSettings(env=(("CFLAGS", "-O3"),))),
        "epoch": lambda bench: bench.builder(epoch=1_700_000_000),
        "no cache": lambda bench: bench.builder(no_cache=True),
    }


@pytest.mark.parametrize("what", changes())
def test_what_makes_it_anew(what: str, bench: Bench) -> None:
    source = bench.publish()
    bench.builder().sdist(source, why())
    changes()[what](bench).sdist(source, why())
    assert len(bench.backend.calls) == 2


def test_what_does_not(bench: Bench) -> None:
    source = bench.publish()
    bench.builder().sdist(source, why())
    ca = BuildSettings(ca_certificates=Path("/ca.pem"), proxy="http://proxy:3128")
    bench.builder(build=ca, refresh=True, epoch=5).sdist(source, why("another line"))
    assert len(bench.backend.calls) == 1


def test_needs_that_are_settled_need_no_build(bench: Bench) -> None:
    files = project("ext", "1.0") | {"PKG-INFO": pkg_info("ext", "1.0", "Requires-Dist: lib>1", "Provides-Extra: e")}
    source = bench.publish(files)
    assert bench.builder().needs(source, why()) == Needs(requires=("lib>1",), extras=("e",))
    assert bench.backend.calls == []


def test_needs_that_only_a_build_can_tell(bench: Bench) -> None:
    bench.answers(lambda _: gives(**{"ext-1.0-py3-none-any.whl": wheel(requires=("lib>1",))}))
    assert bench.builder().needs(bench.publish(), why()) == Needs(requires=("lib>1",))
    assert bench.backend.calls == ["build wheel-ext-1.0"]


def test_a_folder(bench: Bench) -> None:
    folder = bench.root / "mine"
    for name, data in project("mine", "3.0").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    bench.answers(lambda _: gives(**{"mine-3.0-py3-none-any.whl": wheel("mine", "3.0")}))
    sources = Sources(path=folder, text="./mine/", extras=frozenset(), why=why("./mine/"))
    pin = bench.builder().project(sources)
    assert (pin.name, pin.version) == ("mine", "3.0")
    assert pin.source is not None
    assert (pin.source.filename, pin.source.url, pin.source.name) == ("./mine/", str(folder), "")
    assert "/slimrun/src/project/own.py" in put_in(bench)
    bench.builder().project(sources)
    assert len(bench.backend.calls) == 1
    (folder / "own.py").write_text("# changed")
    bench.builder().project(sources)
    assert len(bench.backend.calls) == 2


def test_a_folder_that_is_no_project_any_more(bench: Bench) -> None:
    (bench.root / "empty").mkdir()
    sources = Sources(path=bench.root / "empty", text="./empty/", extras=frozenset(), why=why("./empty/"))
    with pytest.raises(BadSource, match=r"./empty/ has neither pyproject.toml nor setup.py") as caught:
        bench.builder().project(sources)
    assert caught.value.where == LINE


BAD: dict[str, tuple[Held, type[SlimrunError], str]] = {
    "nothing": (gives(), BadSource, "ended well and left 0 wheels"),
    "two": (gives(a=b"", b=b""), BadSource, "ended well and left 2 wheels"),
    "another": (gives(**{"other-1.0-py3-none-any.whl": wheel("other")}), BadSource, "not a wheel of ext"),
    "no wheel": (gives(**{"ext-1.0-py3-none-any.whl": b"hello"}), BadWheel, "zip archive"),
    "no name": (gives(**{"ext.whl": wheel()}), BadWheel, "ext.whl"),
    "for another Python": (
        gives(**{"ext-1.0-cp39-cp39-linux_x86_64.whl": wheel(tag="cp39-cp39-linux_x86_64")}),
        WheelNotFound,
        "for CPython 3.9, not for CPython 3.11",
    ),
    "no list": (gives(**{"requires.json": b"{}"}), BadSource, "does not say what it requires"),
    "no JSON": (gives(**{"requires.json": b"\xff"}), BadSource, "does not say what it requires"),
    "a path": (gives(**{"requires.json": b'["x @ file:///root"]'}), BadSource, "no https address"),
    "no requirement": (gives(**{"requires.json": b'["-r /etc/passwd"]'}), BadSource, "which is no requirement"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_a_build_leaves_is_suspect(what: str, bench: Bench) -> None:
    held, error, says = BAD[what]
    bench.answers(lambda _: held)
    with pytest.raises(error) as caught:
        bench.builder().sdist(bench.publish(), why())
    assert says in caught.value.message
    assert caught.value.where == PLACE
    assert caught.value.hint
    assert not (bench.backend.cache.root / "records" / "wheel-built").exists() or REQUIRES in held.tree


def test_a_build_that_fails_has_its_place_and_advice(bench: Bench) -> None:
    def fails(_: Sequence[BuildStep]) -> Held:
        lines = ("x.c:1:10: fatal error: libpq-fe.h: No such file or directory",)
        msg = "wheel-ext-1.0: python ended with status 1"
        raise BuildFailed(msg, step="wheel-ext-1.0", log="/x.log", status=1, lines=lines, hint="all of it is in /x.log")

    bench.answers(fails)
    with pytest.raises(BuildFailed) as caught:
        bench.builder().sdist(bench.publish(), why())
    assert caught.value.where == PLACE
    assert caught.value.hint == (
        "libpq-fe.h comes with some -dev package: name it in pip.build_packages; all of it is in /x.log"
    )


def test_what_a_build_requires_and_nobody_has(bench: Bench) -> None:
    source = bench.publish(project("ext", "1.0", build_requires=("nosuch-backend",)))
    with pytest.raises(WheelNotFound) as caught:
        bench.builder().sdist(source, why())
    assert "what the build of ext-1.0.tar.gz requires: there is no package nosuch-backend" in caught.value.render()
    assert caught.value.where == PLACE
    assert bench.backend.calls == []


def test_an_sdist_that_is_damaged(bench: Bench) -> None:
    source = bench.publish()
    path = bench.root / source.filename
    path.write_bytes(b"hello")
    bench.index.add(path)
    source = replace(source, sha256=bench.index.files["ext"][path.name][0])
    with pytest.raises(BadArchive, match="cannot be unpacked") as caught:
        bench.builder().sdist(source, why())
    assert caught.value.where == PLACE


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("error: command 'gcc' failed: No such file or directory", "there is no compiler: name gcc"),
        ("/bin/sh: 1: gcc: not found", "there is no compiler: name gcc"),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "there is no compiler"),
        ("unable to execute 'x86_64-linux-gnu-gcc': No such file or directory", "there is no compiler"),
        ("error: command 'g++' failed: No such file or directory", "there is no C++ compiler: name g++"),
        ("a.c:3:10: fatal error: openssl/ssl.h: No such file or directory", "openssl/ssl.h comes with some -dev package"),
        ("/usr/bin/ld: cannot find -lpq: No such file or directory", "libpq comes with some -dev package"),
        ("Error: pg_config executable not found.", "pg_config comes with some -dev package"),
        ("Error: mysql_config not found", "mysql_config comes with some -dev package"),
        ("Package cairo was not found in the pkg-config search path.", "cairo comes with some -dev package"),
        ('../meson.build:12:0: ERROR: Dependency "openblas" not found, tried pkgconfig', "openblas comes with some"),
        ("error: can't find Rust compiler", "it wants Rust: name cargo"),
        ("LookupError: setuptools-scm was unable to detect version for /slimrun/src/project.", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("error: something else", ""),
    ],
)  # fmt: skip
def test_advice(line: str, says: str) -> None:
    found = advice(("first", line, "last"))
    assert says in found
    assert bool(found) == bool(says)
