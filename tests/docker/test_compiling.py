"""What goes wrong while CPython is compiled, each as a person meets it, mostly on repositories that are small."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.compiling import tiny
from tests.docker.conftest import docker, left_over
from tests.docker.test_cpython import of_python, statuses
from tests.fetch.gitmaker import daemon

if TYPE_CHECKING:
    from tests.docker.compiling import Compiler
    from tests.docker.conftest import Done

pytestmark = pytest.mark.network


@pytest.fixture(autouse=True)
def nothing_left() -> object:
    """After each of these no container is left, and no volume."""
    yield
    assert left_over() == []
    assert docker("volume", "ls", "-q").out == ""


def recipe(folder: Path, git: str, rest: str = "") -> Path:
    """A recipe whose python.git has these lines."""
    path = folder / "image.yaml"
    lines = "".join(f"    {line}\n" for line in git.strip().splitlines())
    path.write_text(f"name: x\npython:\n  git:\n{lines}runtime: scratch\n{rest}")
    return path


def assert_clear(done: Done, code: int, *texts: str) -> None:
    assert done.code == code, done.text
    assert "Traceback" not in done.text
    assert [text for text in texts if text not in done.text] == [], done.text


def test_a_ref_that_does_not_exist(compiler: Compiler, tmp_path: Path) -> None:
    path = recipe(tmp_path, "ref: v3.11.3")
    done = compiler(path)
    text = "https://github.com/python/cpython has no branch, tag or commit v3.11.3"
    assert_clear(done, 2, f"{path}:4:5: error: {text}", "hint: did you mean v3.11.2", "TASK [resolve")


def test_a_repository_that_does_not_exist(compiler: Compiler, tmp_path: Path) -> None:
    path = recipe(tmp_path, "ref: main\nrepo: ./nowhere")
    assert_clear(
        compiler(path),
        2,
        f"{path}:4:5",
        f"{tmp_path}/nowhere",
        "there is no git repository",
        "hint: check python.git.repo",
    )


def test_a_server_that_does_not_answer(compiler: Compiler, tmp_path: Path) -> None:
    done = compiler(recipe(tmp_path, "ref: main\nrepo: git://127.0.0.1:1/cpython"))
    assert_clear(done, 4, "UNREACHABLE!", "git://127.0.0.1:1/cpython: it does not answer", "mirrors.git")


def test_a_repository_that_is_not_cpython(compiler: Compiler, tmp_path: Path) -> None:
    tiny(tmp_path / "other", **{"Include/patchlevel.h": "", "Makefile": "all:\n"}).joinpath("x").touch()
    folder = tmp_path / "other"
    subprocess.run(["git", "rm", "-q", "-r", "Include"], cwd=folder, check=True)
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "-m", "x"], cwd=folder, check=True
    )
    path = recipe(tmp_path, "ref: main\nrepo: ./other")
    assert_clear(
        compiler(path), 2, f"{path}:4:5", "main is not CPython: it has no ./configure and Include/patchlevel.h"
    )


def test_builder_packages_that_cannot_be_installed(compiler: Compiler, tmp_path: Path) -> None:
    path = recipe(tmp_path, "ref: v3.11.2\npackages:\n  - gcc\n  - libnothing-dev")
    done = compiler(path)
    text = "the archive of debian:bookworm-slim has no package libnothing-dev"
    assert_clear(done, 2, f"{path}:7:9: error: {text}", "all that apt printed is in", "-packages.log")
    assert statuses(done)["python : builder packages gcc and 1 more"] == "fatal"


def test_a_version_of_a_package_that_is_gone(compiler: Compiler, tmp_path: Path) -> None:
    path = recipe(tmp_path, "ref: v3.11.2\npackages: ['gcc=1:0']")
    assert_clear(compiler(path), 2, f"{path}:5:16", "has no package gcc=1:0")


def test_an_archive_that_cannot_be_reached(compiler: Compiler, tmp_path: Path) -> None:
    config = tmp_path / "slim.yaml"
    text = compiler.slimrun.config.read_text().replace("ca.pem", str(compiler.slimrun.config.with_name("ca.pem")))
    config.write_text(text.replace(f"http://{compiler.asked.address}", "http://127.0.0.1:1"))
    path = recipe(tmp_path, "ref: v3.11.2\npackages: [gcc]")
    done = compiler(path, "--config", config)
    assert_clear(
        done,
        4,
        "UNREACHABLE!",
        "Debian's archive cannot be reached from the builder",
        "mirrors.debian and docker.network",
    )


def test_a_builder_that_is_no_debian(compiler: Compiler, tmp_path: Path) -> None:
    path = recipe(tmp_path, "ref: v3.11.2\nbuilder: busybox:glibc")
    assert_clear(
        compiler(path), 2, f"{path}:5:5", "busybox:glibc has no apt-get", "hint: name an image of Debian or Ubuntu"
    )


def test_a_flag_that_cpython_rejects_has_its_place_and_a_near_miss(compiler: Compiler, tmp_path: Path) -> None:
    """CPython's real configure; what came before it is there for the next try."""
    path = recipe(tmp_path, "ref: v3.11.2\nconfigure:\n  - --with-pydebug\n  - --with-pymaloc=no")
    done = compiler(path)
    assert_clear(done, 2, f"{path}:7:9: error: CPython's configure does not know --with-pymaloc")
    assert_clear(done, 2, "hint: did you mean --with-pymalloc?", "all that it printed is in", "-configure.log")
    path.write_text(path.read_text().replace("pymaloc", "pymallok"))
    assert of_python(compiler(path)) == ["ok", "ok", "fatal"]


def test_a_compile_error_shows_the_first_one_and_where_all_of_it_is(compiler: Compiler, tmp_path: Path) -> None:
    tiny(tmp_path / "cpython", **{"x.c": "int f(void) {\n  retrun 0;\n}\nint g(void) { return x; }\n"})
    done = compiler(recipe(tmp_path, "ref: main\nrepo: ./cpython"))
    assert_clear(done, 2, "make: make ended with status 2", "first error: x.c:2:3: error: 'retrun' undeclared")
    assert "    | make: *** [Makefile:2: all] Error 1" in done.out
    log = next(line for line in done.out.splitlines() if "all that it printed is in" in line).rpartition(" ")[2]
    with Path(log).open() as stream:
        text = stream.read()
    assert text.startswith("$ make\ngcc -c x.c\n")
    assert "'x' undeclared" in text
    assert of_python(done)[1:] == ["changed", "changed", "fatal"]


def test_what_is_mended_begins_where_it_broke(compiler: Compiler, tmp_path: Path) -> None:
    tiny(tmp_path / "cpython", Makefile='all:\n\ttest -n "$$WELL"\ninstall:\n\ttrue\n')
    path = recipe(tmp_path, "ref: main\nrepo: ./cpython")
    assert compiler(path).code == 2
    done = compiler(path, "--set", "python.git.env.WELL=yes")
    # The environment reaches configure, too; what is not installed is the next error.
    assert of_python(done) == ["ok", "ok", "changed", "changed", "changed", "fatal"]
    assert_clear(done, 2, "the builder of main has no python3")


def test_configure_that_finds_no_compiler(compiler: Compiler, tmp_path: Path) -> None:
    path = recipe(tmp_path, "ref: v3.11.2\npackages: []")
    done = compiler(path)
    assert_clear(done, 2, f"{path}:2:1", "first error: configure: error: no acceptable C compiler found in $PATH")
    assert statuses(done)["python : builder packages none"] == "changed"


def test_a_disk_that_is_full(compiler: Compiler, tmp_path: Path) -> None:
    """/dev/shm is a file system of 64 MB: the kernel's own words."""
    tiny(tmp_path / "cpython", Makefile="all:\n\thead -c 100000000 /dev/zero >/dev/shm/x\n")
    done = compiler(recipe(tmp_path, "ref: main\nrepo: ./cpython"))
    assert_clear(
        done, 2, "make: the engine has no space left", "No space left on device", "docker system df", "-make.log"
    )


LACKING = """
all:
	@echo 'The necessary bits to build these optional modules were not found:'
	@echo '_bz2   _ssl    zlib'
	@echo "To find the necessary bits, look in setup.py in detect_modules() for the module's name."
install:
	@true
"""


def test_modules_that_were_not_built_are_named_and_needed_ones_fail_before_prune(
    compiler: Compiler,
    tmp_path: Path,
) -> None:
    tiny(tmp_path / "cpython", Makefile=LACKING)
    path = recipe(tmp_path, "ref: main\nrepo: ./cpython", "verify:\n  imports:\n    - json\n    - ssl\n")
    done = compiler(path)
    assert_clear(done, 2, "not built: _bz2 (libbz2-dev), _ssl (libssl-dev), zlib (zlib1g-dev)")
    assert_clear(done, 2, f"{path}:10:7", "verify.imports names ssl, whose extension module _ssl was not built")
    assert "hint: add libssl-dev to python.git.packages" in done.text
    assert "TASK [prune" not in done.out


def test_git_s_own_server(compiler: Compiler, tmp_path: Path) -> None:
    tiny(tmp_path / "served/cpython", **{"x.c": "int served(void) { return 0; }\n"})
    with daemon(tmp_path / "served") as address:
        done = compiler(recipe(tmp_path, f"ref: main\nrepo: {address}/cpython"))
    assert of_python(done)[1:] == ["changed", "changed", "changed", "changed", "fatal"]


def test_a_branch_that_moved_is_the_same_until_refresh(compiler: Compiler, tmp_path: Path) -> None:
    folder = tiny(tmp_path / "cpython", **{"x.c": "int moving(void) { return 0; }\n"})
    path = recipe(tmp_path, "ref: main\nrepo: ./cpython")
    first = of_python(compiler(path))
    (folder / "x.c").write_text("int moved(void) { return 0; }\n")
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "-am", "x"], cwd=folder, check=True
    )
    assert first[1:] == ["changed", "changed", "changed", "changed", "fatal"]
    assert of_python(compiler(path)) == ["ok", "ok", "ok", "ok", "ok", "fatal"]
    assert of_python(compiler(path, "--refresh")) == ["ok", *first[1:]]


def test_nothing_is_asked_offline(compiler: Compiler, tmp_path: Path) -> None:
    tiny(tmp_path / "cpython")
    path = recipe(tmp_path, "ref: main\nrepo: ./cpython\npackages: [gcc, libc6-dev, make, file]")
    assert_clear(
        compiler(path, "--offline"), 3, "which commit main is is not in the cache", "run once without --offline"
    )
    compiler(recipe(tmp_path, "ref: main\nrepo: ./cpython"))
    assert_clear(compiler(recipe(tmp_path, "ref: main\nrepo: ./cpython\npackages: [file]"), "--offline"), 3,
                 "the step packages is not in the cache")  # fmt: skip


def test_without_an_engine_it_says_so(compiler: Compiler, tmp_path: Path) -> None:
    done = compiler(recipe(tmp_path, "ref: v3.11.2"), "--backend", "local")
    assert_clear(done, 4, "packages: building needs a Docker Engine, and this run has none", "python.debian need none")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_compiles(compiler: Compiler, tmp_path: Path, number: int, code: int) -> None:
    tiny(tmp_path / "cpython", Makefile="all:\n\t@echo going; sleep 100\n")
    path = recipe(tmp_path, "ref: main\nrepo: ./cpython")
    words = compiler.slimrun.argv(path, "-vvv")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=compiler.slimrun.environ()
    ) as child:
        assert child.stdout is not None
        seen = ""
        while "make: going" not in seen:
            line = child.stdout.readline()
            assert line, seen
            seen += line
        child.send_signal(number)
        rest, _ = child.communicate(timeout=60)
    assert child.returncode == code, rest
    assert "Traceback" not in rest
    assert left_over() == []
    assert of_python(compiler(path, "--check"))[:4] == ["ok", "ok", "ok", "changed"], "what was finished stays"


def test_wheels_of_a_recipe_that_cannot_be_compiled_are_not_looked_for(compiler: Compiler, tmp_path: Path) -> None:
    tiny(tmp_path / "cpython", configure="#!/bin/sh\nexit 1\n")
    done = compiler(recipe(tmp_path, "ref: main\nrepo: ./cpython", "wheels: [click]\n"))
    assert_clear(done, 2, "configure: ./configure ended with status 1")
    assert "TASK [wheels" not in done.out
