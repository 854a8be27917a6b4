"""CPython 3.11 compiled from its repository: what is in the image, what runs, and what is made again when something changes."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from slimrun.elf.reader import read_elf
from tests.docker.compiling import FAST, SECRETS
from tests.docker.conftest import RECIPES, docker, inspect, left_over

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.compiling import Compiler
    from tests.docker.conftest import Done, Slimrun

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("static")]

SYSCONFIG = """
import sysconfig
for name in ("Py_ENABLE_SHARED", "prefix", "LDLIBRARY", "srcdir", "WITH_PYMALLOC"):
    print(name, sysconfig.get_config_var(name))
print(sysconfig.get_config_var("CONFIG_ARGS"))
"""
PROGRAM = """
import asyncio, bz2, ctypes, hashlib, lzma, sqlite3, ssl, subprocess, sys, zlib
from concurrent.futures import ThreadPoolExecutor
print("hello")
print("ssl", ssl.create_default_context().minimum_version.name, ssl.OPENSSL_VERSION.split()[0])
connection = sqlite3.connect(":memory:")
connection.execute("create table t (n int)")
connection.executemany("insert into t values (?)", [(n,) for n in range(100)])
print("sqlite3", connection.execute("select sum(n) from t").fetchone()[0])
print("ctypes", ctypes.CDLL(None).abs(-3), ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1)(41))
data = b"slim" * 1000
print("lzma", lzma.decompress(lzma.compress(data)) == bz2.decompress(bz2.compress(data)) == zlib.decompress(zlib.compress(data)))
async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6 * 7)", stdout=subprocess.PIPE)
    return (await child.communicate())[0]
print("asyncio", asyncio.run(main()).decode().strip())
with ThreadPoolExecutor(4) as pool:
    print("threads", sum(pool.map(lambda n: len(hashlib.sha256(str(n).encode()).hexdigest()), range(64))))
"""
SAYS = ["hello", "ssl TLSv1_2 OpenSSL", "sqlite3 4950", "ctypes 3 42", "lzma True", "asyncio 42", "threads 4096"]


def files_of(image: str) -> dict[str, bytes]:
    """All files of an image's own file system, by an engine's export: /usr/local/bin/python3.11 → bytes."""
    container = docker("create", image, "-").out.strip()
    try:
        exported = subprocess.run(["docker", "export", container], capture_output=True, check=True).stdout
    finally:
        docker("rm", container)
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        return {f"/{info.name}": archive.extractfile(info).read() for info in archive if info.isreg()}  # type: ignore[union-attr]


def needed(files: dict[str, bytes], path: str) -> set[str]:
    """The sonames that a program of an image asks for."""
    elf = read_elf(io.BytesIO(files[path]), path)
    assert elf is not None
    return {*elf.needed}


def statuses(done: Done) -> dict[str, str]:
    """What each task said: `python : make` → changed."""
    found, task = {}, ""
    for line in done.out.splitlines():
        if line.startswith("TASK ["):
            task = line[len("TASK [") : line.rindex("]")]
        elif line.startswith(("ok: ", "changed: ", "skipping: ", "fatal: ", "unknown: ")):
            found[task] = line.partition(":")[0]
    return found


def of_python(done: Done) -> list[str]:
    """The statuses of what belongs to the stage `python`, in order."""
    return [status for task, status in statuses(done).items() if task.startswith("python : ")]


def runs(image: str) -> list[str]:
    """The program's lines, as a person's container would print them, without LD_LIBRARY_PATH."""
    assert "LD_LIBRARY_PATH" not in json.dumps(inspect(image))
    return docker("run", "--rm", "--read-only", "--network", "none", image, "-c", PROGRAM).out.splitlines()


def test_static_on_scratch_runs_all_that_it_should() -> None:
    assert runs("py3-static") == SAYS
    lines = docker("run", "--rm", "py3-static", "-c", SYSCONFIG).out.splitlines()
    assert lines[:3] == ["Py_ENABLE_SHARED 0", "prefix /usr/local", "LDLIBRARY libpython3.11.a"]
    assert "'--disable-shared' 'OPT=-DNDEBUG -fwrapv -O1 -Wall'" in lines[-1]
    assert left_over() == []


def test_the_static_interpreter_needs_nothing_but_libc_and_libm() -> None:
    files = files_of("py3-static")
    names = {path.rpartition("/")[2] for path in files}
    assert not {name for name in names if name.startswith("libpython")}
    assert not {path for path in files if "/config-3.11" in path or path.endswith((".a", ".h", ".pyc"))}
    assert needed(files, "/usr/local/bin/python3.11") == {"libc.so.6", "libm.so.6"}
    assert "/etc/ld.so.cache" not in files, "the default folders are enough"


def test_every_step_is_a_task_of_its_own_and_says_how_long_it_took(static: Done) -> None:
    tasks = [task for task in statuses(static) if task.startswith("python : ")]
    assert tasks == [
        "python : builder packages build-essential and 11 more",
        "python : source of v3.11.2",
        "python : configure static libpython OPT=-DNDEBUG -fwrapv -O1 -Wall",
        "python : make",
        "python : install",
        "python : take CPython v3.11.2 out of its builder",
    ]
    make = static.out[static.out.index("TASK [python : make]") :]
    took = next(line for line in make.splitlines() if line.startswith("changed: "))
    assert took.endswith(" s)")
    assert "... make: " in make, "a heartbeat while it compiles"
    assert "extension modules that were not built: _dbm (libgdbm-compat-dev), _tkinter (tk-dev)" in make


def test_a_second_run_changes_nothing(compiler: Compiler) -> None:
    done = compiler.recipe("py3-static")
    assert done.code == 0, done.text
    assert done.recap("py3-static")["changed"] == 0
    assert "changed:" not in done.out


def test_check_knows_each_part(compiler: Compiler) -> None:
    done = compiler.recipe("py3-static", "--check")
    assert done.code == 0, done.text
    assert of_python(done) == ["ok"] * 6
    changed = compiler.recipe("py3-static", "--check", "--set", "python.git.libpython=shared")
    assert of_python(changed) == ["ok", "ok", "changed", "unknown", "unknown", "unknown"]


def test_how_many_compilers_run_at_a_time_changes_nothing(compiler: Compiler) -> None:
    done = compiler.recipe("py3-static", "--set", "python.git.jobs=1")
    assert done.code == 0, done.text
    assert of_python(done) == ["ok"] * 6


def test_a_line_that_moves_compiles_nothing(compiler: Compiler, tmp_path: Path) -> None:
    recipe = tmp_path / "moved.yaml"
    recipe.write_text("# a line\n\n" + (RECIPES / "py3-static.yaml").read_text())
    done = compiler(recipe, "--set", FAST)
    assert done.code == 0, done.text
    assert of_python(done)[:5] == ["ok"] * 5


def test_static_on_busybox(compiler: Compiler) -> None:
    done = compiler.recipe("py3-static", "--set", "runtime=busybox:glibc", "--set", "name=py3-static-busybox")
    assert done.code == 0, done.text
    assert of_python(done)[:5] == ["ok"] * 5
    assert runs("py3-static-busybox") == SAYS


def test_what_is_kept_by_name_is_there(compiler: Compiler) -> None:
    globs = "[/usr/local/lib/libpython3.11.a, '/usr/local/lib/python3.11/config-3.11-*/**']"
    done = compiler.recipe("py3-static", "--set", f"prune.keep={globs}", "--set", "name=py3-kept")
    assert done.code == 0, done.text
    files = files_of("py3-kept")
    assert files["/usr/local/lib/libpython3.11.a"].startswith(b"!<arch>\n")
    assert any(path.endswith("/config-3.11-x86_64-linux-gnu/Makefile") for path in files)


def test_a_module_that_was_not_built_fails_before_prune(compiler: Compiler) -> None:
    done = compiler.recipe("py3-static", "--set", "verify.imports=[ssl, tkinter]", "--set", "name=py3-tk")
    assert done.code == 2, done.text
    assert "verify.imports names tkinter, whose extension module _tkinter was not built" in done.text
    assert "hint: add tk-dev to python.git.packages" in done.text
    assert "TASK [prune" not in done.out


@pytest.fixture(scope="module")
def shared(compiler: Compiler, static: Done) -> Done:
    """recipes/py3-shared.yaml, after the other."""
    assert static.code == 0
    done = compiler.recipe("py3-shared")
    assert done.code == 0, done.text
    return done


def test_after_another_flag_packages_and_source_are_ok(shared: Done) -> None:
    assert of_python(shared) == ["ok", "ok", "changed", "changed", "changed", "changed"]


@pytest.mark.parametrize("runtime", ["busybox:glibc", "scratch"])
def test_shared_finds_its_library_by_the_loaders_own_means(compiler: Compiler, shared: Done, runtime: str) -> None:
    name = f"py3-shared-{runtime.partition(':')[0]}"
    done = compiler.recipe("py3-shared", "--set", f"runtime={runtime}", "--set", f"name={name}")
    assert done.code == 0, done.text
    assert runs(name) == SAYS
    lines = docker("run", "--rm", name, "-c", SYSCONFIG).out.splitlines()
    assert lines[:3] == ["Py_ENABLE_SHARED 1", "prefix /usr/local", "LDLIBRARY libpython3.11.so"]
    files = files_of(name)
    assert shared.code == 0
    assert "libpython3.11.so.1.0" in needed(files, "/usr/local/bin/python3.11")
    assert b"libpython3.11.so.1.0" in files["/etc/ld.so.cache"]


def test_nothing_of_the_builders_surroundings_is_in_an_image(compiler: Compiler, cpython: Path) -> None:
    """CA bundle, proxy, environment, mirrors, repository: all were used, and no layer or config has a word of them."""
    assert any("/frozen/dists/bookworm/" in path for path in compiler.asked.mirrored), "the mirror was asked"
    assert any("debian-security" in url for url in compiler.asked.proxied), "the proxy was asked"
    saved = subprocess.run(["docker", "save", "py3-static"], capture_output=True, check=True).stdout
    words = {
        *SECRETS.values(),
        *(compiler.asked.address, "/run/slimrun", "BUILD_TOKEN", "ca.pem", str(cpython)),
    }
    assert [word for word in sorted(words) if word.encode() in saved] == []
    assert b"/usr/src/python" in saved, "what is in files can be found so: sysconfig has the build folder"


def test_no_git_folder_and_no_address_reach_the_builder(compiler: Compiler, cpython: Path) -> None:
    """Looked at in the images of the steps themselves."""
    records = [json.loads(path.read_text()) for path in (compiler.slimrun.cache / "slimrun/records/build").iterdir()]
    images = [record["image"] for record in records if record["step"] == "install"]
    assert images
    for image in images:
        words = ["sh", "-c", "ls -a /usr/src/python /run/slimrun; env"]
        ran = docker("run", "--rm", "--network", "none", "--entrypoint", words[0], image, *words[1:])
        listed = ran.out.splitlines()
        assert "configure" in listed
        assert not {".git", "ca.pem", "apt"} & {*listed}
        assert not [line for line in listed if "TOKEN" in line or "proxy" in line.lower()]
        history = docker("history", "--no-trunc", image).out + json.dumps(inspect(image))
        assert not [word for word in (*SECRETS.values(), str(cpython), "github.com") if word in history]


def layers(image: str) -> list[str]:
    found = inspect(image)["RootFS"]
    assert isinstance(found, dict)
    return list(found["Layers"])


def test_twice_from_an_empty_cache_is_the_same_image(compiler: Compiler, tmp_path: Path) -> None:
    """With other numbers of compilers, another umask and time zone, and an engine that has no step of it under this cache."""
    before, first = inspect("py3-static")["Id"], layers("py3-static")
    fresh = compiler.slimrun.fresh(tmp_path / "cache")
    words = (RECIPES / "py3-static.yaml", "--set", FAST, "--set", "python.git.jobs=3")
    done = fresh(*words, TZ="Asia/Kathmandu", PYTHONHASHSEED="7")
    try:
        assert done.code == 0, done.text
        assert of_python(done) == ["changed"] * 6
        assert layers("py3-static") == first
        assert inspect("py3-static")["Id"] == before
    finally:
        assert fresh("clean", "--max-size", "0B").code == 0


def test_the_banner_has_the_commits_date_and_no_other() -> None:
    banner = docker("run", "--rm", "py3-static", "-c", "import sys; print(sys.version)").out
    assert banner.startswith("3.11.2 (main, Feb  7 2023, 12:00:00) [GCC ")


def test_pins_and_report_name_the_commit(compiler: Compiler, cpython: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=cpython, capture_output=True, text=True, check=True).stdout
    digest = str(inspect("py3-static")["Id"]).removeprefix("sha256:")
    report = json.loads((compiler.slimrun.cache / f"slimrun/records/report/{digest}.json").read_text())
    pin = {"repo": "https://github.com/python/cpython", "ref": "v3.11.2", "commit": head.strip()}
    assert report["commits"] == [pin]
    assert compiler.slimrun("explain", "py3-static", "/usr/local/bin/python3.11").out.count("python.git: v3.11.2") == 1


def test_the_slimrun_of_another_cache_leaves_our_builders(slimrun: Slimrun, tmp_path: Path) -> None:
    def builders() -> list[str]:
        """Sorted: an engine lists images of one second in any order."""
        return sorted(docker("images", "--quiet", "--no-trunc", "slimrun.invalid/build").out.split())

    before = builders()
    assert len(before) > 5, "the steps of what was compiled above"
    assert slimrun.fresh(tmp_path / "cache")("clean").code == 0
    assert builders() == before
