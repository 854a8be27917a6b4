"""The recipes that ship, run unchanged against stand-ins for the official images."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CANNOT
from tests.docker.conftest import RECIPES, docker, inspect, left_over

if TYPE_CHECKING:
    from tests.docker.conftest import Slimrun

POSTGRES = """
import os, psycopg2, psycopg2.errors
connection = psycopg2.connect(os.environ["DSN"], sslmode="verify-full", sslrootcert="/ca.crt")
cursor = connection.cursor()
cursor.execute("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()")
print("tls", *cursor.fetchone())
cursor.execute("select %s::int + %s::int, %s::text", (20, 22, "x'y"))
print("query", *cursor.fetchone())
cursor.execute("create temporary table t (n int, s text)")
import io
cursor.copy_expert("copy t from stdin with csv", io.StringIO("1,one\\n2,two\\n"))
cursor.execute("select count(*), string_agg(s, ' ' order by n) from t")
print("copy", *cursor.fetchone())
try:
    cursor.execute("select 1/0")
except psycopg2.errors.DivisionByZero as error:
    print("error", error.pgcode, type(error).__name__)
"""


def python_image(registry_tag: str) -> None:
    """Skip where this machine's stand-ins lack an image for a reason that it cannot help."""
    if registry_tag == "3.7-slim" and not list(Path("/root/.pyenv/versions").glob("3.7.*")):
        pytest.skip(f"{CANNOT}CPython 3.7: no Debian suite has it, and there is no pyenv prefix of it")


def test_hello_says_hello_in_under_45_mb(slimrun: Slimrun) -> None:
    done = slimrun(RECIPES / "hello.yaml", "--metadata-file", slimrun.cache.parent / "meta.json")
    assert done.code == 0, done.text
    assert docker("run", "--rm", "hello", "-c", "print('hello')").out == "hello\n"
    (record,) = json.loads((slimrun.cache.parent / "meta.json").read_text())
    assert record["size"] < 45_000_000
    facts = inspect("hello:latest")
    assert facts["Id"] == record["digest"]
    assert facts["Size"] == pytest.approx(record["size"], rel=0.02)
    assert left_over() == []


def test_a_second_run_changes_nothing(slimrun: Slimrun) -> None:
    assert slimrun(RECIPES / "hello.yaml").code == 0
    done = slimrun(RECIPES / "hello.yaml")
    assert done.code == 0
    assert done.recap("hello")["changed"] == 0
    assert "changed:" not in done.out


def test_an_image_that_left_the_engine_is_loaded_again(slimrun: Slimrun) -> None:
    assert slimrun(RECIPES / "hello.yaml").code == 0
    docker("image", "rm", "--force", "hello:latest")
    done = slimrun(RECIPES / "hello.yaml")
    assert done.code == 0, done.text
    assert done.recap("hello")["changed"] == 1
    assert docker("run", "--rm", "hello", "-c", "print(1)").out == "1\n"


@pytest.mark.network
@pytest.mark.parametrize(("name", "tag"), [("psycopg", "3.11-slim"), ("py37-psycopg", "3.7-slim")])
def test_psycopg_speaks_to_a_real_postgresql(slimrun: Slimrun, name: str, tag: str) -> None:
    python_image(tag)
    done = slimrun(RECIPES / f"{name}.yaml", "--set", "image.env.PGCONNECT_TIMEOUT=10")
    assert done.code == 0, done.text
    dsn, ca = os.environ["SLIMRUN_TEST_POSTGRES"], os.environ["SLIMRUN_TEST_POSTGRES_CA"]
    ran = docker(
        *("run", "--rm", "--network", "host", "--read-only", "--env", f"DSN={dsn}"),
        *("--volume", f"{ca}:/ca.crt:ro", name, "-c", POSTGRES),
    )
    lines = ran.out.splitlines()
    assert lines[0].startswith("tls True TLSv1")
    assert lines[1:] == ["query 42 x'y", "copy 2 one two", "error 22012 DivisionByZero"]


@pytest.mark.parametrize("name", ["hello"])
def test_the_image_runs_as_a_user_that_owns_nothing(slimrun: Slimrun, name: str) -> None:
    assert slimrun(RECIPES / f"{name}.yaml").code == 0
    program = "import os, pwd, tempfile; print(os.getuid(), pwd.getpwuid(os.getuid()).pw_name); tempfile.mkstemp(); open('/x', 'w')"
    ran = docker("run", "--rm", name, "-c", program, check=False)
    assert ran.out == "65532 nonroot\n"
    assert "PermissionError" in ran.err


def test_explain_leads_from_a_library_to_the_recipe_line(slimrun: Slimrun) -> None:
    assert slimrun(RECIPES / "hello.yaml").code == 0
    done = slimrun("explain", "hello", "/usr/lib/**/libcrypto.so.3")
    assert done.code == 0, done.text
    assert "libcrypto.so.3 is needed by" in done.out
    assert "python.image: python:3.11-slim" in done.out
    assert "recipes/hello.yaml:" in done.out


def test_saved_archive_loads_elsewhere(slimrun: Slimrun, tmp_path: Path) -> None:
    done = slimrun(RECIPES / "hello.yaml", "--save", tmp_path / "{name}.tar")
    assert done.code == 0, done.text
    digest = inspect("hello:latest")["Id"]
    docker("image", "rm", "--force", "hello:latest")
    docker("load", "-i", str(tmp_path / "hello.tar"))
    assert inspect("hello:latest")["Id"] == digest
    assert [path.name for path in tmp_path.iterdir()] == ["hello.tar"]
