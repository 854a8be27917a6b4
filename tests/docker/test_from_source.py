"""Wheels built from source on a real engine: in a container, from what the recipe names, and nothing of it beside what runs."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.compiling import FAST, Compiler, compiler, cpython, static  # noqa: F401
from tests.docker.conftest import RECIPES, docker, left_over, write_recipe
from tests.docker.relay import Relay
from tests.docker.test_recipes import POSTGRES

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("fetch", "python")]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback import SimpleIndex

    from tests.docker.conftest import Done, Slimrun

HEAD = "python: {image: 'python:3.11-slim'}\nruntime: busybox:glibc\n"
# What recipes/psycopg-source.yaml names, so that its builder is the one that these find.
PACKAGES = "pip: {build_packages: [gcc, libpq-dev]}\n"
SAYS = """
import os, sys, helper, sysconfig
FILES["app/facts.py"] = repr({
    "uid": os.getuid(), "prefix": sys.prefix, "base": sys.base_prefix, "helper": helper.version,
    "seed": os.environ["PYTHONHASHSEED"], "sources": sorted(os.listdir(".")), "cwd": os.getcwd(),
    "sites": [path for path in sys.path if "packages" in path],
})
"""
# A backend that asks for one more distribution before it builds.
ASKS = """
def get_requires_for_build_wheel(config=None):
    return ["helper>=1"]

_plain = build_wheel

def build_wheel(out, config=None, metadata=None):
    exec(SAYS)
    return _plain(out)
"""
COMPILES = """
import subprocess

def build_wheel(out, config=None, metadata=None):
    subprocess.run(["gcc", "-c", "bad.c", "-o", "bad.o"], check=True)
"""


EXTENDS = """
import subprocess, sysconfig

_plain = build_wheel
TAG = "cp311-cp311-linux_x86_64"

def build_wheel(out, config=None, metadata=None):
    name = "_ext" + sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_path("include")
    subprocess.run(["gcc", "-shared", "-fPIC", f"-I{include}", "ext.c", "-lz", "-o", "/tmp/" + name], check=True)
    with open("/tmp/" + name, "rb") as stream:
        FILES["app/" + name] = stream.read()
    return _plain(out)
"""
EXT_C = """
#include <Python.h>
#include <zlib.h>
static PyObject *version(PyObject *self, PyObject *args) { return PyUnicode_FromString(zlibVersion()); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_ext", "", -1, methods};
PyMODINIT_FUNC PyInit__ext(void) { return PyModule_Create(&module); }
"""


@pytest.fixture(autouse=True)
def nothing_left() -> object:
    """After each of these the engine is as it was, but for what it keeps of builders."""
    yield
    assert left_over() == []


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    from loopback import SimpleIndex, Site

    with Site() as site:
        yield SimpleIndex(site)


def write_project(folder: Path, version: str = "1.0", more: str = "") -> None:
    """A project whose backend is its own."""
    from sdistmaker import project

    folder.mkdir(exist_ok=True)
    for path, data in project("app", version, more=more).items():
        (folder / path).write_bytes(data)


def facts(image: str, program: str) -> object:
    return json.loads(docker("run", "--rm", "--network", "none", image, "-c", program).out)


def assert_clear(done: Done, code: int, *texts: str) -> None:
    assert done.code == code, done.text
    assert "Traceback" not in done.err  # in `out` stand the last lines of a build, and what a backend is not is slimrun
    for text in texts:
        assert text in done.text, done.text


@pytest.mark.network
def test_psycopg2_from_source_speaks_tls_by_the_systems_libpq(slimrun: Slimrun) -> None:
    done = slimrun(RECIPES / "psycopg-source.yaml")
    assert done.code == 0, done.text
    dsn, ca = os.environ["SLIMRUN_TEST_POSTGRES"], os.environ["SLIMRUN_TEST_POSTGRES_CA"]
    ran = docker(
        *("run", "--rm", "--network", "host", "--read-only", "--env", f"DSN={dsn}"),
        *("--volume", f"{ca}:/ca.crt:ro", "psycopg-source", "-c", POSTGRES),
    )
    lines = ran.out.splitlines()
    assert lines[0].startswith("tls True TLSv1")
    assert lines[1:] == ["query 42 x'y", "copy 2 one two", "error 22012 DivisionByZero"]
    program = "import json, psycopg2; print(json.dumps([line.split()[-1] for line in open('/proc/self/maps') if 'libpq' in line]))"
    assert {path.rpartition("/")[0] for path in facts("psycopg-source", program)} == {"/usr/lib/x86_64-linux-gnu"}  # type: ignore[attr-defined]
    explained = slimrun("explain", "psycopg-source", "/usr/lib/**/libpq.so.5.*")
    assert "in layer wheels" in explained.out
    place = RECIPES / "psycopg-source.yaml"
    assert f"built of psycopg2-2.9.9.tar.gz in python:3.11-slim ({place}:10:17)" in explained.out
    assert f"psycopg2==2.9.9 ({place}:8:5)" in explained.out
    nothing = slimrun("explain", "psycopg-source", "/usr/bin/**gcc*")
    assert "in layer" not in nothing.out
    second = slimrun(RECIPES / "psycopg-source.yaml")
    assert second.recap("psycopg-source")["changed"] == 0


@pytest.mark.network
def test_a_wheel_built_twice_makes_one_image(slimrun: Slimrun, tmp_path: Path) -> None:
    """Another cache, umask, time zone and hash seed, and the same builder's packages installed anew."""
    digests = []
    for run, umask, environ in (
        (slimrun, 0o022, {}),
        (slimrun.fresh(tmp_path / "cache"), 0o077, {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}),
    ):
        before = os.umask(umask)
        try:
            done = run(RECIPES / "psycopg-source.yaml", "--metadata-file", tmp_path / "meta.json", **environ)
        finally:
            os.umask(before)
        assert done.code == 0, done.text
        digests.append(json.loads((tmp_path / "meta.json").read_text())[0]["digest"])
    assert digests[0] == digests[1]
    assert slimrun.fresh(tmp_path / "cache")("clean", "--max-size", "0B").code == 0


def test_a_project_of_ones_own(slimrun: Slimrun, index: SimpleIndex, tmp_path: Path) -> None:
    """What its backend asks for comes from the recipe's index, which the container never sees."""
    from wheelmaker import make

    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("secret")
    index.add(make(tmp_path, "helper", "1.5"))
    write_project(tmp_path, more=f"SAYS = {SAYS!r}\n{ASKS}")
    text = f"name: own\n{HEAD}wheels: [./]\npip: {{index: '{index.url}'}}\nverify: {{imports: [app]}}\n"
    recipe = write_recipe(tmp_path, text)
    done = slimrun(recipe)
    assert done.code == 0, done.text
    found = facts("own", "import json, app.facts as f, inspect; print(json.dumps(eval(inspect.getsource(f))))")
    assert found == {
        "uid": 0,
        "prefix": "/slimrun/venv",
        "base": "/usr/local",
        "helper": "1.5",
        "seed": "0",
        "sources": ["helper-1.5-py3-none-any.whl", "image.yaml", "own.py", "pyproject.toml"],
        "cwd": "/slimrun/src/project",
        "sites": ["/slimrun/venv/lib/python3.11/site-packages"],
    }
    assert slimrun(recipe).recap("own")["changed"] == 0
    write_project(tmp_path, version="2.0", more=f"SAYS = {SAYS!r}\n{ASKS}")
    again = slimrun(recipe)
    assert again.code == 0, again.text
    assert "TASK [python" in again.out
    assert docker("run", "--rm", "own", "-c", "import app; print(app.version)").out == "2.0\n"


@pytest.mark.network
def test_a_compile_error(slimrun: Slimrun, tmp_path: Path) -> None:
    write_project(tmp_path, more=COMPILES)
    recipe = write_recipe(tmp_path, f"name: bad\n{HEAD}wheels:\n  - ./\n{PACKAGES}")
    (tmp_path / "bad.c").write_text("#include <stdio.h>\nint main(void) {\n    return nothing;\n}\n")
    done = slimrun(recipe)
    assert_clear(
        done,
        2,
        f"{recipe}:5:5: error: wheel-project: /slimrun/venv/bin/python ended with status 1",
        "first error: bad.c:3:12: error: ",
        "| ",
        "all that it printed is in ",
    )
    log = done.out.partition("all that it printed is in ")[2].split()[0]
    assert "return nothing" in Path(log).read_text()
    (tmp_path / "bad.c").write_text("#include <nosuch.h>\n")
    assert_clear(
        slimrun(recipe), 2, "hint: nosuch.h comes with some -dev package: name it in pip.build_packages; all that"
    )


@pytest.mark.network
def test_a_package_that_does_not_exist(slimrun: Slimrun, tmp_path: Path) -> None:
    write_project(tmp_path)
    recipe = write_recipe(
        tmp_path, f"name: bad\n{HEAD}wheels: [./]\npip:\n  build_packages:\n    - libpq-dev\n    - libpq55-dev\n"
    )
    done = slimrun(recipe)
    assert_clear(done, 2, f"{recipe}:8:7: error: ", "no package libpq55-dev", "hint: ")


@pytest.mark.network
def test_for_debian_s_own_python(slimrun: Slimrun, tmp_path: Path) -> None:
    """The builder is Debian's with that interpreter and its headers; the wheel goes where Debian looks for wheels."""
    more = "\nimport os, sysconfig\nassert os.path.exists(sysconfig.get_path('include') + '/Python.h')\n"
    write_project(tmp_path, more=more)
    text = (
        "name: debian\npython: {debian: {suite: bookworm}}\nruntime: scratch\nwheels: [./]\nverify: {imports: [app]}\n"
    )
    done = slimrun(write_recipe(tmp_path, text))
    assert done.code == 0, done.text
    assert "TASK [wheels : builder packages python3 and 1 more]" in done.out
    program = "import json, app; print(json.dumps(app.__file__))"
    assert facts("debian", program) == "/usr/local/lib/python3.11/dist-packages/app/__init__.py"


@pytest.mark.network
def test_against_a_cpython_that_was_compiled(compiler: Compiler, static: Done, tmp_path: Path) -> None:  # noqa: F811, ARG001
    """Its builder has the headers and the compiler: the recipe names no package more, and none is installed."""
    write_project(tmp_path, more=EXTENDS)
    (tmp_path / "ext.c").write_text(EXT_C)
    shipped = (RECIPES / "py3-static.yaml").read_text().replace("py3-static\n", "git-own\n")
    recipe = write_recipe(tmp_path, f"{shipped.partition('verify:')[0]}wheels: [./]\nverify: {{imports: [app._ext]}}\n")
    done = compiler(recipe, "--set", FAST)
    assert done.code == 0, done.text
    assert "builder packages" not in done.out.partition("TASK [packages")[2]
    program = "import json, zlib, app._ext; print(json.dumps([app._ext.version() == zlib.ZLIB_RUNTIME_VERSION]))"
    assert facts("git-own", program) == [True]
    compiled = done.out.partition("TASK [python : make]")[2].splitlines()[1]
    assert compiled.startswith("ok: "), "what another recipe compiled is not compiled again"


@pytest.mark.network
def test_nothing_of_this_machine_s_network_is_in_the_image(
    slimrun: Slimrun, index: SimpleIndex, tmp_path: Path
) -> None:
    from wheelmaker import make

    index.add(make(tmp_path, "helper", "1.5"))
    write_project(tmp_path / "app", more=f"SAYS = {SAYS!r}\n{ASKS}")
    ca = tmp_path / "ca.pem"
    bundle = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt").read_text()
    ca.write_text(f"# authority-of-a-test\n{bundle}")
    with Relay() as proxy:
        config = tmp_path / "slim.yaml"
        build = f"build:\n  ca_certificates: {ca}\n  proxy: http://{proxy.address}\ndocker:\n  network: host\n"
        config.write_text(slimrun.config.read_text(encoding="utf-8") + build, encoding="utf-8")
        recipe = write_recipe(
            tmp_path,
            f"name: secret\n{HEAD}wheels: [./app/]\npip: {{build_packages: [hello]}}\nverify: {{imports: [app]}}\n",
        )
        address = index.url.replace("http://", "http://indexuser:indexsecret@")
        fresh = slimrun.fresh(tmp_path / "cache")
        done = fresh(recipe, "--config", config, "--save", tmp_path / "secret.tar", PIP_INDEX_URL=address)
        assert done.code == 0, done.text
        assert any("/hello_" in line for line in proxy.proxied), "apt went through the proxy"
    words = ("authority-of-a-test", proxy.address, "indexsecret", index.url)
    found = [word for word in words if word.encode() in (tmp_path / "secret.tar").read_bytes()]
    assert found == []
    with tarfile.open(tmp_path / "secret.tar") as archive:
        layers = [name for name in archive.getnames() if name.endswith(".tar")]
    assert layers, "layers are uncompressed in it, so that the search above sees their files"
    builders = docker("images", "-q", "--no-trunc", "slimrun.invalid/build").out.split()
    kept = docker("image", "inspect", *builders).out + docker("history", "--no-trunc", builders[0]).out
    assert [word for word in (*words, "http_proxy", "PIP_", "CERT_FILE") if word in kept] == []
    assert fresh("clean", "--max-size", "0B").code == 0
