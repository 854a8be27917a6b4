"""Recipe → Plan: ten stages in order, each with its steps, and the results it reads made before it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slimrun.cache.values import dumps, loads
from slimrun.pipeline import WORKERS
from slimrun.plan.building import Configure, InstallBuilder, Make, ResolveCommit, TakeBuilt
from slimrun.plan.compile import BUILDING, STAGES, TOOLCHAIN, compile_plan
from slimrun.plan.digest import digest_of
from slimrun.plan.steps import InstallWheels, PruneTree, ResolveDebian, ResolveImage, TakePython, Verify, WriteImage
from slimrun.recipe.load import load_recipe
from slimrun.recipe.slim_model import Slim
from slimrun.resources import recipe_names

if TYPE_CHECKING:
    from slimrun.recipe.model import Recipe

ROOT = Path(__file__).parents[2]
TEXT = "python: {image: python:3.11-slim}\n"


def recipe(tmp_path: Path, text: str = "") -> Recipe:
    path = tmp_path / "x.yaml"
    path.write_text(TEXT + text)
    return load_recipe(path, slim=Slim())


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_has_a_plan(name: str) -> None:
    plan = compile_plan(load_recipe(ROOT / "recipes" / f"{name}.yaml", slim=Slim()))
    assert tuple(dict.fromkeys(stage.tag for stage in plan.stages)) == STAGES
    assert {stage.name for stage in plan.stages} <= {*WORKERS} == {*STAGES, *BUILDING, TOOLCHAIN}
    assert plan.tags == (f"{plan.image}:latest",)
    for number, stage in enumerate(plan.stages):
        before = {*BUILDING, TOOLCHAIN, *(other.name for other in plan.stages[:number])}
        assert {*stage.reads} <= before, "a stage reads only what is made before it"
    again = loads(dumps(plan))
    assert again == plan
    assert digest_of(again) == digest_of(plan) == digest_of(pickle.loads(pickle.dumps(plan)))


def test_the_smallest_recipe(tmp_path: Path) -> None:
    plan = compile_plan(recipe(tmp_path))
    titles = {stage.name: stage.title for stage in plan.stages}
    assert titles == {
        "resolve": "base build python:3.11-slim, runtime busybox:glibc",
        "python": "take CPython out of python:3.11-slim",
        "packages": "nothing to do",
        "wheels": "nothing to do",
        "files": "nothing to do",
        "prune": "level small",
        "assemble": "layers and config on busybox:glibc",
        "verify": "load, check libraries",
        "report": "why each file is there",
        "push": "nothing to do",
    }
    assert isinstance(plan.stage("prune").steps[0], PruneTree)
    with pytest.raises(StopIteration):
        plan.stage("nothing")


FULL = """
wheels: [click, psycopg2-binary==2.9.9]
pip: {index: https://x.test/simple, extra_index: [https://y.test/simple], constraints: c.txt}
files: [{to: /app}, {to: /data}]
runtime: scratch
verify: {imports: [ssl, click], run: [{cmd: [a]}, {cmd: [b]}], max_size: 80MB}
image: {volumes: [/v], env: {LD_LIBRARY_PATH: "/a:/b;/c"}}
"""


def test_titles_of_a_full_one(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("")
    plan = compile_plan(recipe(tmp_path, FULL))
    titles = {stage.name: stage.title for stage in plan.stages}
    assert titles["resolve"] == "base build python:3.11-slim"
    assert titles["wheels"] == "install click, psycopg2-binary==2.9.9"
    assert titles["files"] == "copy /app, /data"
    assert titles["verify"] == "load, check libraries; import ssl, click; run 2 commands"
    (install,) = plan.stage("wheels").steps
    assert isinstance(install, InstallWheels)
    assert (install.index, install.extra_index) == ("https://x.test/simple", ("https://y.test/simple",))
    assert install.constraints is not None
    assert (install.constraints.text, install.constraints.base) == ("c.txt", tmp_path)
    (verify,) = plan.stage("verify").steps
    assert isinstance(verify, Verify)
    assert (verify.max_size, verify.volumes) == (80_000_000, ("/v",))
    assert verify.max_size_where is not None
    assert verify.max_size_where.line == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"level": "small", "strip": True, "environ": ()}),
        ("prune: {level: none}", {"level": "none", "strip": False}),
        ("prune: {level: safe}", {"level": "safe", "strip": False}),
        ("prune: {level: tiny}", {"level": "tiny", "strip": True}),
        ("prune: {level: safe, strip: true}", {"level": "safe", "strip": True}),
        ("prune: {strip: false}", {"level": "small", "strip": False}),
        ('image: {env: {LD_LIBRARY_PATH: ""}}', {"environ": (("LD_LIBRARY_PATH", ""),)}),
        ('image: {env: {LD_LIBRARY_PATH: "/a:/b;/c"}}', {"environ": (("LD_LIBRARY_PATH", "/a:/b;/c"),)}),
        ("image: {env: {PATH: /x, LD_PRELOAD: libx.so}}", {"environ": (("LD_PRELOAD", "libx.so"),)}),
        ("prune: {level: safe}", {"features": None}),
        ("prune: {features: []}", {"features": ()}),
    ],
)
def test_pruning(text: str, expected: dict[str, Any], tmp_path: Path) -> None:
    (step,) = compile_plan(recipe(tmp_path, text)).stage("prune").steps
    assert {key: getattr(step, key) for key in expected} == expected


def test_places_lead_back_to_the_recipe(tmp_path: Path) -> None:
    plan = compile_plan(recipe(tmp_path, "runtime: alpine:3\nprune: {level: safe, keep: [/a]}\n"))
    base, runtime = plan.stage("resolve").steps
    assert isinstance(base, ResolveImage)
    assert isinstance(runtime, ResolveImage)
    assert (base.where.line, runtime.where.line) == (1, 2)
    (prune,) = plan.stage("prune").steps
    assert isinstance(prune, PruneTree)
    assert (prune.level_where.line, prune.keep[0].where.line) == (3, 3)
    assert [type(step) for step in plan.stage("python").steps] == [TakePython]
    assert [type(step) for step in plan.stage("assemble").steps] == [WriteImage]


@pytest.mark.parametrize(
    ("python", "titles"),
    [
        (
            "git: {ref: v3.14.0}",
            (
                "builder debian:bookworm-slim, commit of v3.14.0, runtime busybox:glibc",
                "take CPython v3.14.0 out of its builder",
            ),
        ),
        (
            "debian: {suite: bookworm}",
            ("base build python3 of bookworm, runtime busybox:glibc", "unpack python3 of Debian bookworm"),
        ),
    ],
)
def test_what_is_planned_has_a_plan_too(python: str, titles: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "y.yaml").write_text(f"python: {{{python}}}\n")
    plan = compile_plan(load_recipe(tmp_path / "y.yaml", slim=Slim()))
    assert (plan.stage("resolve").title, plan.stage("python").title) == titles


@pytest.mark.parametrize(
    ("prune", "wanted"), [("{}", None), ("{features: []}", ()), ("{features: [tz, ca]}", ("ca", "tz"))]
)
def test_features_of_debian_s_python_have_packages(prune: str, wanted: tuple[str, ...] | None, tmp_path: Path) -> None:
    text = (
        f"python: {{debian: {{suite: bookworm}}}}\ndebian: {{packages: [tzdata]}}\nprune: {prune}\nruntime: scratch\n"
    )
    (tmp_path / "y.yaml").write_text(text)
    steps = compile_plan(load_recipe(tmp_path / "y.yaml", slim=Slim())).stage("resolve").steps
    found = {step.role: step.features for step in steps if isinstance(step, ResolveDebian)}
    assert found == {"base build": wanted, "packages": ()}, "what a recipe names goes in as a whole"


COMPILED = """
name: x
python:
  git:
    repo: ./cpython
    ref: v3.11.2
    libpython: shared
    configure:
      - --with-lto
      - "OPT=-O1"
    packages: [gcc, make]
    env: {CFLAGS: -g0}
    jobs: 3
verify: {imports: [ssl]}
"""


def test_each_part_of_compiling_is_a_stage_below_python(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(COMPILED)
    plan = compile_plan(load_recipe(tmp_path / "x.yaml", slim=Slim()))
    titles = [(stage.tag, stage.title) for stage in plan.stages[:7]]
    assert titles == [
        ("resolve", "builder debian:bookworm-slim, commit of v3.11.2, runtime busybox:glibc"),
        ("python", "builder packages gcc and 1 more"),
        ("python", "source of v3.11.2"),
        ("python", "configure shared libpython --with-lto OPT=-O1"),
        ("python", "make"),
        ("python", "install"),
        ("python", "take CPython v3.11.2 out of its builder"),
    ]
    assert [stage.name for stage in plan.stages[1:6]] == list(BUILDING)
    reads = {stage.name: stage.reads for stage in plan.stages}
    assert (reads["builder"], reads["source"]) == (("resolve",), ("resolve", "builder"))
    assert reads["python"] == ("resolve", "install")


def test_places_of_what_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(COMPILED)
    plan = compile_plan(load_recipe(tmp_path / "x.yaml", slim=Slim()))
    _, commit, _ = plan.stage("resolve").steps
    assert isinstance(commit, ResolveCommit)
    assert (commit.repo, commit.where.line) == (str(tmp_path / "cpython"), 6)
    (builder,), (configure,) = plan.stage("builder").steps, plan.stage("configure").steps
    assert isinstance(builder, InstallBuilder)
    assert [(item.text, item.where.line) for item in builder.packages] == [("gcc", 11), ("make", 11)]
    assert isinstance(configure, Configure)
    assert [(item.text, item.where.line) for item in configure.flags] == [("--with-lto", 9), ("OPT=-O1", 10)]
    assert configure.env == (("CFLAGS", "-g0"),)
    (make,), (take,) = plan.stage("make").steps, plan.stage("python").steps
    assert isinstance(make, Make)
    assert make.jobs == 3
    assert isinstance(take, TakeBuilt)
    assert [item.where.line for item in take.imports] == [14]


def test_the_default_is_its_line_s(tmp_path: Path) -> None:
    """What no line says has the place of `python`, so that an error has one."""
    (tmp_path / "x.yaml").write_text("name: x\npython: {git: {ref: main}}\n")
    plan = compile_plan(load_recipe(tmp_path / "x.yaml", slim=Slim()))
    (builder,) = plan.stage("builder").steps
    assert isinstance(builder, InstallBuilder)
    assert {item.where.line for item in (builder, *builder.packages)} == {2}
    assert builder.packages[0].text == "build-essential"
    (nothing,) = (InstallBuilder(packages=(), where=builder.where),)
    assert str(nothing) == "builder packages none"
