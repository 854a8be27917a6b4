"""Builds of wheels within the whole program: which stages there are, what they read, and where libraries come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sdistmaker import project
from tests.images import LIB, OFFICIAL, PY, RUNTIME, TAG
from tests.recording import Held, Recording
from tests.tinyelf import shared
from tests.treetext import tree
from wheelmaker import contents, pack, with_record

from slimrun.backend.local import LocalBackend
from slimrun.cache.store import Cache
from slimrun.errors import (
    BadSource,
    BuildFailed,
    EngineNeeded,
    PackageNotFound,
    RequirementNotMet,
    SlimrunError,
    WheelNotFound,
)
from slimrun.events import Event, TaskEnded, TaskStarted
from slimrun.given import Context
from slimrun.plan.compile import compile_plan
from slimrun.python.buildenv import OUT
from slimrun.recipe.load import load_recipe
from slimrun.recipe.planned import not_yet
from slimrun.recipe.slim_model import Slim
from slimrun.schedule import Outcome, run_image
from slimrun.settings import BuildSettings, Settings
from slimrun.tree.layers import apply_layers
from slimrun.tree.tar import read_tar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.backend.chain import BuildStep

RECIPE = """
name: app
python: {image: "python:3.11"}
wheels:
  - ./ext/
pip:
  build_packages: [gcc, libfoo-dev]
runtime: busybox:glibc
"""
# What tells of a glibc; the loader's rules ask for no more.
GLIBC = shared(
    soname="libc.so.6", needs=("ld-linux-x86-64.so.2",), tail=b"GNU C Library (T) stable release version 2.36.\n"
)
EXT = f"ext/_ext{TAG}"
WHEEL = f"{OUT}/ext-1.0-cp311-cp311-linux_x86_64.whl"


def built_wheel() -> bytes:
    files = {"ext/__init__.py": b"", EXT: shared(needs=("libfoo.so.1", "libc.so.6"))}
    return pack(with_record(contents("ext", "1.0", files, tag="cp311-cp311-linux_x86_64")))


class Bench:
    """A repository with a project, and a backend that builds it."""

    def __init__(self, root: Path) -> None:
        self.root, self.events = root, list[Event]()
        (root / "repo/.git").mkdir(parents=True)
        for name, data in project("ext", "1.0").items():
            (root / "repo/ext" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "repo/ext" / name).write_bytes(data)
        self.recipe(RECIPE)
        self.cache = Cache(root / "cache")
        held = {
            "python:3.11": Held(tree=tree({**OFFICIAL, f"{LIB}/libc.so.6": GLIBC})),
            "busybox:glibc": Held(tree=tree({**RUNTIME, f"{LIB}/libc.so.6": GLIBC})),
        }
        self.backend = Recording(cache=self.cache, images=held)
        self.backend.builds = self.build

    def build(self, steps: Sequence[BuildStep]) -> Held:
        """The builder after its last step: packages bring a library, the driver leaves a wheel."""
        found: dict[str, str | bytes] = {
            f"{LIB}/libfoo.so.1": "symlink libfoo.so.1.2",
            f"{LIB}/libfoo.so.1.2": shared(soname="libfoo.so.1", needs=("libc.so.6",)),
            f"{LIB}/libtk8.6.so": shared(soname="libtk8.6.so"),
        }
        if steps[-1].name.startswith("wheel-"):
            found[WHEEL] = built_wheel()
        return Held(tree=tree(found))

    def recipe(self, text: str) -> None:
        (self.root / "repo/app.yaml").write_text(text)

    def run(self, **settings: Any) -> Outcome:
        self.events.clear()
        self.backend.calls.clear()
        recipe = load_recipe(self.root / "repo/app.yaml", slim=Slim())
        assert not_yet(recipe) == ()
        context = Context(
            settings=Settings(cache_dir=self.cache.root, **settings),
            cache=self.cache,
            backend=self.backend,
            emit=self.events.append,
            environ=(("HOME", str(self.root)),),
        )
        return run_image(compile_plan(recipe), context)

    def tasks(self) -> list[str]:
        started = (f"{event.stage} : {event.what}" for event in self.events if isinstance(event, TaskStarted))
        ended = (event.status for event in self.events if isinstance(event, TaskEnded))
        return [f"{task}: {status}" for task, status in zip(started, ended, strict=True) if "wheels" in task]

    def fails(self, error: type[SlimrunError]) -> SlimrunError:
        outcome = self.run()
        assert isinstance(outcome.error, error), outcome.error
        return outcome.error


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_packages_are_a_task_of_their_own(bench: Bench) -> None:
    assert bench.run().error is None
    assert bench.tasks() == [
        "wheels : builder packages gcc and 2 more: changed",
        "wheels : install ./ext/: changed",
    ]
    assert [call for call in bench.backend.calls if call.startswith("build")] == [
        "build packages",
        "build wheel-project",
        "build nothing",
    ]
    second = bench.run()
    assert second.error is None
    assert bench.backend.calls == ["has"]
    assert [task.rpartition(" ")[2] for task in bench.tasks()] == ["ok", "ok"]


def test_what_is_there_already_is_no_change(bench: Bench) -> None:
    """Another recipe of the same builder finds the packages installed, and says so."""
    assert bench.run().error is None
    bench.recipe(RECIPE.replace("[gcc", "[libfoo-dev, gcc") + "prune: {level: safe}\n")
    assert bench.run().error is None
    assert bench.tasks()[0].endswith(": ok")


def test_libraries_come_from_the_builder_into_the_wheels_layer(bench: Bench) -> None:
    outcome = bench.run()
    assert outcome.finished is not None
    config = outcome.finished.config
    layers = {
        step.created_by.removeprefix("slimrun "): apply_layers([read_tar(bench.cache.blob_path(diff_id))])
        for step, diff_id in zip(config.history, config.diff_ids[-len(config.history) :], strict=True)
    }
    assert {f"{LIB}/libfoo.so.1", f"{LIB}/libfoo.so.1.2", f"{PY}/site-packages/{EXT}"} <= set(layers["wheels"])
    assert "libfoo" not in " ".join(layers["python"])
    report = next((bench.cache.root / "records/report").iterdir()).read_text()
    assert "built of ./ext/ in python:3.11" in report


def test_cpython_s_own_part_takes_nothing_from_the_builder(bench: Bench) -> None:
    """_tkinter is broken in the base build: that a builder has libtk must not change the layer that images share."""
    plain = bench.run()
    assert plain.finished is not None
    everything = apply_layers(read_tar(bench.cache.blob_path(diff_id)) for diff_id in plain.finished.config.diff_ids)
    assert not [path for path in everything if "tk" in path.rpartition("/")[2]]


@pytest.mark.parametrize(
    ("change", "tasks"),
    [
        ({"file": "# changed\n"}, ["ok", "changed"]),
        ({"text": RECIPE.replace("gcc, ", "g++, ")}, ["changed", "changed"]),
        ({"text": RECIPE + "prune: {level: safe}\n"}, ["ok", "ok"]),
        ({"build": BuildSettings(env=(("A", "b"),))}, ["ok", "changed"]),  # this backend's packages know no environment
        ({"epoch": 5}, ["ok", "changed"]),
        ({"refresh": True}, ["ok", "changed"]),
        ({"no_cache": True}, ["changed", "changed"]),
    ],
)
def test_what_a_change_makes_anew(change: dict[str, Any], tasks: list[str], bench: Bench) -> None:
    bench.run()
    if "text" in change:
        bench.recipe(change["text"])
    if "file" in change:
        (bench.root / "repo/ext/more.py").write_text(change["file"])
    settings = {key: value for key, value in change.items() if key not in ("text", "file")}
    assert bench.run(**settings).error is None
    assert [task.rpartition(" ")[2] for task in bench.tasks()] == tasks


def test_what_builds_and_runs_leave_beside_the_sources_changes_nothing(bench: Bench) -> None:
    bench.run()
    for name in ("__pycache__/own.pyc", "build/x.txt", ".venv/pyvenv.cfg"):
        (bench.root / "repo/ext" / name).parent.mkdir()
        (bench.root / "repo/ext" / name).write_text("")
    bench.run()
    assert bench.backend.calls == ["has"]


def test_without_packages_there_is_no_such_task(bench: Bench) -> None:
    bench.recipe(RECIPE.replace("  build_packages: [gcc, libfoo-dev]\n", "  extra_index: []\n"))
    bench.backend.builds = lambda _: Held(tree=tree({f"{OUT}/ext-1.0-py3-none-any.whl": plain_wheel()}))
    assert bench.run().error is None
    assert bench.tasks() == ["wheels : install ./ext/: changed"]
    assert [call for call in bench.backend.calls if call.startswith("build")] == ["build wheel-project"]


def plain_wheel() -> bytes:
    return pack(with_record(contents("ext", "1.0")))


def test_a_folder_in_a_requirements_file(bench: Bench) -> None:
    (bench.root / "repo/requirements.txt").write_text("./ext\n")
    bench.recipe(RECIPE.replace("- ./ext/", "- -r requirements.txt"))
    bench.backend.builds = lambda _: Held(tree=tree({f"{OUT}/ext-1.0-py3-none-any.whl": plain_wheel()}))
    assert bench.run().error is None
    assert bench.run().error is None
    assert bench.backend.calls == ["has"]
    (bench.root / "repo/ext/more.py").write_text("")
    bench.run()
    assert "build wheel-project" in bench.backend.calls


def test_a_package_that_does_not_exist(bench: Bench) -> None:
    def fails(steps: Sequence[BuildStep]) -> Held:
        line = "E: Unable to locate package libfoo-dev"
        msg = "packages: apt-get ended with status 100"
        raise BuildFailed(msg, step=steps[-1].name, log="/x.log", status=100, lines=(line,))

    bench.backend.builds = fails
    error = bench.fails(PackageNotFound)
    assert str(error.where).endswith("app.yaml:7:25")
    assert "libfoo-dev" in error.message
    assert "/x.log" in error.hint


def test_a_project_that_is_none(bench: Bench) -> None:
    (bench.root / "repo/ext/pyproject.toml").write_text("[build-system]\n")
    error = bench.fails(BadSource)
    assert str(error.where).endswith("app.yaml:5:5")
    assert "without the list `requires`" in error.message


def test_names_without_any_wheels(bench: Bench) -> None:
    """Nothing is installed for builds that cannot be, and the name is not passed over."""
    (bench.root / "repo/limits.txt").write_text("x<2\n")
    pip = "pip:\n  from_source: [ext]\n  constraints: limits.txt\n"
    bench.recipe(RECIPE.replace("wheels:\n  - ./ext/\n", "").replace("pip:\n", pip))
    error = bench.fails(WheelNotFound)
    assert "pip.from_source names ext, and no wheel of that name is needed" in error.message
    assert str(error.where).endswith("app.yaml:5:17")
    assert not [call for call in bench.backend.calls if call.startswith("build")]


def test_an_image_in_a_file_is_no_builder(bench: Bench) -> None:
    held = bench.backend.images["python:3.11"]
    name = f"docker-archive:{bench.root}/repo/x.tar"
    (bench.root / "repo/x.tar").write_bytes(b"")
    bench.backend.images[name] = held
    bench.recipe(RECIPE.replace('"python:3.11"', '"docker-archive:x.tar"'))
    error = bench.fails(RequirementNotMet)
    assert "nothing can be built in docker-archive:" in error.message
    assert "docker load" in error.hint


@pytest.mark.parametrize("packages", ["  build_packages: [gcc, libfoo-dev]\n", "  extra_index: []\n"])
def test_without_an_engine(packages: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step is the first to want one."""
    bench.recipe(RECIPE.replace("  build_packages: [gcc, libfoo-dev]\n", packages))
    local = LocalBackend(Settings(cache_dir=bench.cache.root), bench.cache, bench.events.append, {})
    monkeypatch.setattr(bench.backend, "build", local.build)
    error = bench.fails(EngineNeeded)
    assert error.exit_code == 4
    assert str(error.where).partition("app.yaml:")[2] in ("7:20", "5:5")
    assert "building needs a Docker Engine" in error.message
    assert "where there is a wheel, name that instead" in error.hint


DEBIAN = """
name: app
python: {debian: {suite: bookworm, package: python3.11}}
wheels: [LINE]
pip: {PIP}
"""


@pytest.mark.parametrize(
    ("line", "pip", "images", "packages"),
    [
        ("./ext/", "", ["debian:bookworm-slim"], ["python3.11", "python3.11-dev"]),
        ("x", "from_source: [x], build_packages: [g++]", ["debian:bookworm-slim"], ["python3.11", "python3.11-dev", "g++"]),
        ("x", "build_packages: [gcc]", [], None),
    ],
)  # fmt: skip
def test_debian_s_own_python_is_built_for_in_debian(
    line: str, pip: str, images: list[str], packages: list[str] | None, bench: Bench
) -> None:
    bench.recipe(DEBIAN.replace("LINE", line).replace("PIP", pip))
    plan = compile_plan(load_recipe(bench.root / "repo/app.yaml", slim=Slim()))
    found = [step.reference for step in plan.stage("resolve").steps if getattr(step, "role", "") == "wheel builder"]
    assert found == images
    stages = {stage.name: stage for stage in plan.stages}
    assert ("toolchain" in stages) == (packages is not None)
    if packages is not None:
        assert [item.text for item in stages["toolchain"].steps[0].packages] == packages  # type: ignore[union-attr]
        assert stages["toolchain"].tag == "wheels"


@pytest.mark.parametrize(
    ("named", "installed"),
    [
        ("[gcc]", ["gcc", "libc6-dev"]),
        ("[gcc-12, make]", ["gcc-12", "make", "libc6-dev"]),
        ("[gcc, libc6-dev]", ["gcc", "libc6-dev"]),
        ("[g++]", ["g++"]),
        ("[gcc-doc]", ["gcc-doc"]),
        ("['clang=1:14.0-55']", ["clang=1:14.0-55", "libc6-dev"]),
    ],
)
def test_a_compiler_brings_the_headers_that_everything_includes(named: str, installed: list[str], bench: Bench) -> None:
    bench.recipe(RECIPE.replace("[gcc, libfoo-dev]", named))
    plan = compile_plan(load_recipe(bench.root / "repo/app.yaml", slim=Slim()))
    assert [item.text for item in plan.stage("toolchain").steps[0].packages] == installed  # type: ignore[union-attr]
