"""The stages that compile CPython, over a small repository and a backend that writes down which steps it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slimrun.cache.store import Cache
from slimrun.errors import ArchiveUnreachable, BuildFailed, ImageFailed, PackageNotFound, RequirementNotMet
from slimrun.events import Event, Note, TaskEnded
from slimrun.given import Context
from slimrun.plan.compile import compile_plan
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim
from slimrun.schedule import Outcome, run_image
from slimrun.settings import BuildSettings, Settings
from tests.fetch.gitmaker import commit, repository
from tests.images import OFFICIAL, RUNTIME
from tests.recording import Held, Recording
from tests.treetext import tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.backend.chain import BuildStep, Built
    from slimrun.events import Emit
    from slimrun.plan.pins import ImagePin

RECIPE = """
name: app
python:
  git:
    repo: ./cpython
    ref: v1.0
    configure: [--with-lto]
runtime: busybox:glibc
verify: {imports: [ssl]}
"""
FILES = {
    "configure": "#!/bin/sh\n# --with-lto --enable-shared --with-pymalloc\n",
    "Include/patchlevel.h": "x\n",
}
STEPS = ["packages", "source", "configure", "make", "install"]
OURS = (
    *("./configure", "--prefix=/usr/local", "--enable-option-checking=fatal", "--enable-loadable-sqlite-extensions"),
    "--with-ensurepip=no",
)


class Compiling(Recording):
    """A backend whose builds can fail at one step, with the lines that a log would have had; `steps` are the last chain's."""

    steps: Sequence[BuildStep] = ()
    failing: tuple[str, int, str] | None = None

    def build(self, base: ImagePin, steps: Sequence[BuildStep], *, anew: int = 0, emit: Emit | None = None) -> Built:
        self.steps = steps
        if self.failing and steps[-1].name == self.failing[0]:
            step, status, text = self.failing
            raise BuildFailed(text, step=step, log="/logs/x.log", status=status, lines=tuple(text.splitlines()))
        return super().build(base, steps, anew=anew, emit=emit)


class Bench:
    """A repository, a cache and a backend; `run()` carries out the recipe as it stands."""

    def __init__(self, root: Path) -> None:
        self.root, self.events = root, list[Event]()
        repository(root / "cpython", FILES, tag="v1.0")
        self.cache = Cache(root / "cache")
        held = {"debian:bookworm-slim": Held(tree=tree(OFFICIAL)), "busybox:glibc": Held(tree=tree(RUNTIME))}
        self.backend = Compiling(cache=self.cache, images=held, builds=lambda _: Held(tree=tree(OFFICIAL)))
        self.recipe()

    def recipe(self) -> None:
        (self.root / "app.yaml").write_text(RECIPE)

    def change(self, old: str, new: str) -> None:
        path = self.root / "app.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def run(self, *sets: str, **settings: Any) -> Outcome:
        self.events.clear()
        self.backend.calls.clear()
        context = Context(
            settings=Settings(cache_dir=self.cache.root, **settings),
            cache=self.cache,
            backend=self.backend,
            emit=self.events.append,
            environ=(("PATH", "/usr/bin:/bin"),),
        )
        return run_image(compile_plan(load_recipe(self.root / "app.yaml", sets=sets, slim=Slim())), context)

    def of_python(self) -> list[str]:
        return [event.status for event in self.events if isinstance(event, TaskEnded) and event.stage == "python"]

    def step(self, name: str) -> BuildStep:
        return next(step for step in self.backend.steps if step.name == name)

    def error(self, *sets: str, **settings: Any) -> Any:
        outcome = self.run(*sets, **settings)
        assert outcome.error is not None
        return outcome.error


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_part_is_one_step_more(bench: Bench) -> None:
    assert bench.run().error is None
    builds = [call for call in bench.backend.calls if call.startswith("build ")]
    assert builds[:5] == [f"build {name}" for name in STEPS]
    assert {*builds[5:]} == {"build nothing"}, "who only reads makes nothing"
    assert [step.name for step in bench.backend.steps] == STEPS
    assert bench.of_python() == ["changed"] * 6


def test_what_the_steps_do(bench: Bench) -> None:
    bench.run()
    packages, source, configure, make, install = bench.backend.steps
    assert packages.commands[0] == ("apt-get", "update", "-q")
    assert packages.commands[1][:6] == ("apt-get", "install", "-q", "-y", "--no-install-recommends", "--")
    assert packages.network
    assert not any(step.network for step in (source, configure, make, install))
    assert source.tree is not None
    assert source.tree.read("/usr/src/python/configure").decode() == FILES["configure"]
    assert (source.commands, configure.commands) == ((), ((*OURS, "--disable-shared", "--with-lto"),))
    assert make.commands == (("make",),)
    assert make.hints == (("MAKEFLAGS", "-j{cores}"),)
    assert ("make", "install", "TESTSUBDIRS=") in install.commands
    assert install.commands[-1] == ("ldconfig",)
    for step in (configure, make, install):
        assert step.workdir == "/usr/src/python"
        assert step.env == (("LC_ALL", "C"), ("PYTHONHASHSEED", "0"), ("SOURCE_DATE_EPOCH", "1675771200"))


def test_a_second_run_builds_nothing(bench: Bench) -> None:
    first = bench.run()
    second = bench.run()
    assert bench.backend.calls == ["has"]
    assert second.finished == first.finished


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("python.git.libpython=shared",), "configure"),
        (("python.git.configure=[--with-pydebug]",), "configure"),
        (("python.git.env.CFLAGS=-O1",), "configure"),
        (("python.git.packages=[gcc, make]",), "packages"),
        (("python.git.ref=main",), "source"),
        (("python.git.jobs=7",), None),
        (("runtime=scratch",), None),
        (("prune.level=safe",), None),
    ],
)
def test_what_a_change_makes_again(bench: Bench, words: tuple[str, ...], first: str | None) -> None:
    commit(bench.root / "cpython", {"x": "y"})
    bench.run()
    bench.run(*words)
    number = len(STEPS) if first is None else STEPS.index(first)
    assert bench.of_python()[: len(STEPS)] == ["ok"] * number + ["changed"] * (len(STEPS) - number)


def test_the_environment_of_builds_makes_all_of_it_again(bench: Bench) -> None:
    """The recording backend knows no build.env; that the stages ask it again is what counts here."""
    bench.run()
    bench.run(build=BuildSettings(env=(("A", "1"),)))
    assert [call for call in bench.backend.calls if call.startswith("build")] == ["build nothing"] * 5


def test_no_cache_makes_each_step_once(bench: Bench) -> None:
    bench.run()
    bench.run(no_cache=True)
    builds = [call for call in bench.backend.calls if call.startswith("build ")]
    assert builds[:5] == [f"build {name}" for name in STEPS]
    assert {*builds[5:]} == {"build nothing"}, "who only reads makes nothing"


def test_flags_environment_and_jobs_reach_the_steps(bench: Bench) -> None:
    bench.run("python.git.libpython=shared", "python.git.jobs=3", "python.git.env={CFLAGS: -O1, LC_ALL: de}")
    assert bench.step("configure").commands == ((*OURS, "--enable-shared", "--with-lto"),)
    assert bench.step("make").hints == (("MAKEFLAGS", "-j3"),)
    for name in ("configure", "make", "install"):
        assert dict(bench.step(name).env)["CFLAGS"] == "-O1"
        assert dict(bench.step(name).env)["LC_ALL"] == "de", "the recipe's own wins"


def test_without_packages_nothing_is_installed(bench: Bench) -> None:
    bench.run("python.git.packages=[]")
    step = bench.step("packages")
    assert (step.commands, step.network) == ((), False)


def test_another_prefix_is_where_python_is_looked_for(bench: Bench) -> None:
    moved = {path.replace("/usr/local/", "/opt/py/"): row for path, row in OFFICIAL.items()}
    moved["/etc/ld.so.conf"] = b"/opt/py/lib\n"
    bench.backend.builds = lambda _: Held(tree=tree(moved))
    outcome = bench.run("python.git.configure=[--prefix=/opt/x, --prefix=/opt/py/]")
    assert outcome.error is None
    assert outcome.finished is not None
    assert outcome.finished.config.entrypoint == ("/opt/py/bin/python3.11",)


def test_a_step_that_installs_no_python(bench: Bench) -> None:
    bench.backend.builds = lambda _: Held(tree=tree(RUNTIME))
    error = bench.error()
    assert "the builder of v1.0 has no python3" in error.message
    assert error.where.line == 3


LACKING = "The necessary bits to build these optional modules were not found:\n_ssl  _nothing\n\n"


def test_modules_that_are_lacking_are_said_and_checked(bench: Bench) -> None:
    bench.backend.said["make"] = LACKING
    error = bench.error()
    notes = [event.text for event in bench.events if isinstance(event, Note) and event.level == 0]
    assert notes == ["extension modules that were not built: _nothing, _ssl (libssl-dev)"]
    assert isinstance(error, ImageFailed)
    assert error.message == "verify.imports names ssl, whose extension module _ssl was not built"
    assert error.hint == "add libssl-dev to python.git.packages"
    assert (error.where.line, error.where.column) == (9, 20)
    assert bench.run("verify.imports=[json]").error is None
    assert "no" in bench.error("verify.imports=[_nothing]").message


def test_a_log_that_is_gone_is_made_again(bench: Bench) -> None:
    bench.backend.said["make"] = LACKING
    bench.run("verify.imports=[json]")
    (log,) = (bench.cache.root / "logs").glob("*-make.log")
    keep, bench.backend.log = bench.backend.log, lambda _step, _key: log  # type: ignore[method-assign]
    log.unlink()
    calls: list[int] = []

    def build(base: ImagePin, steps: Sequence[BuildStep], *, anew: int = 0, emit: Emit | None = None) -> Built:
        calls.append(anew)
        if anew:
            keep(steps[-1], log.name)
            log.write_text(LACKING)
        return Compiling.build(bench.backend, base, steps, anew=anew, emit=emit)

    bench.backend.build = build  # type: ignore[method-assign]
    assert bench.run("verify.imports=[json]", "python.git.jobs=2").error is None
    assert 1 in calls, "the step was made again for its words"


CASES: list[tuple[tuple[str, int, str], type, str, str, int]] = [
    (
        ("packages", 100, "E: Unable to locate package libx-dev"),
        *(PackageNotFound, "has no package libx-dev", "packages.debian.org", 7),
    ),
    (
        ("packages", 100, "E: Package 'libx-dev' has no installation candidate"),
        *(PackageNotFound, "has no package libx-dev", "packages.debian.org", 7),
    ),
    (
        ("packages", 100, "E: Version '1:0' for 'gcc' was not found"),
        *(PackageNotFound, "has no package gcc=1:0", "packages.debian.org", 3),
    ),
    (
        ("packages", 100, "Err:1 http://deb.debian.org/debian bookworm InRelease\n"
         "E: Failed to fetch http://x  Temporary failure resolving 'deb.debian.org'"),
        *(ArchiveUnreachable, "cannot be reached", "mirrors.debian and docker.network", 3),
    ),
    (
        ("packages", 127, "sh: exec: line 0: apt-get: not found"),
        *(RequirementNotMet, "debian:bookworm-slim has no apt-get", "Debian or Ubuntu", 3),
    ),
    (("packages", 100, "E: dpkg was interrupted"), BuildFailed, "dpkg was interrupted", "", 3),
    (
        ("configure", 1, "configure: error: unrecognized options: --with-ltoo, --with-x"),
        *(ImageFailed, "CPython's configure does not know --with-ltoo, --with-x", "did you mean --with-lto", 8),
    ),
    (("configure", 1, "configure: error: no compiler"), BuildFailed, "no compiler", "", 3),
    (("make", 2, "x.c:1:1: error: no"), BuildFailed, "x.c:1:1: error: no", "", 0),
]  # fmt: skip


@pytest.mark.parametrize(("failing", "kind", "text", "hint", "line"), CASES)
def test_what_failures_mean(
    bench: Bench, failing: tuple[str, int, str], kind: type, text: str, hint: str, line: int
) -> None:
    bench.change("    configure: [--with-lto]\n", "    packages: [gcc, libx-dev]\n    configure: [--with-ltoo]\n")
    bench.backend.failing = failing
    error = bench.error()
    assert type(error) is kind
    assert text in error.message
    assert hint in error.hint
    assert (error.where.line if error.where else 0) == line
