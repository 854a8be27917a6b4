"""One OpenSSL in the process: psycopg2's wheel on the system's libraries, over TLS to a real PostgreSQL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import docker, inspect, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

RECIPE = """name: {name}
python: {{debian: {{suite: bookworm}}}}
wheels: [psycopg2-binary==2.9.11]
runtime: scratch
prune: {{dedupe: {dedupe}}}
verify: {{imports: [psycopg2, ssl]}}
"""
PROGRAM = """
import os, ssl, psycopg2
connection = psycopg2.connect(os.environ["DSN"], sslmode="verify-full", sslrootcert="/ca.crt")
cursor = connection.cursor()
cursor.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
print(*cursor.fetchone())
lines = open("/proc/self/maps").read().splitlines()
for path in sorted({line.split()[-1] for line in lines if "libcrypto" in line}):
    print(path)
"""


@pytest.mark.network
def test_psycopg_with_one_openssl(slimrun: Slimrun, tmp_path: Path) -> None:
    sizes, found = {}, {}
    for dedupe in ("false", "true"):
        name = f"dedupe-{dedupe}"
        done = slimrun(write_recipe(tmp_path, RECIPE.format(name=name, dedupe=dedupe), f"{name}.yaml"))
        assert done.code == 0, done.text
        ran = docker(
            *("run", "--rm", "--network", "host", "--read-only", "--env", f"DSN={os.environ['SLIMRUN_TEST_POSTGRES']}"),
            *("--volume", f"{os.environ['SLIMRUN_TEST_POSTGRES_CA']}:/ca.crt:ro", name, "-c", PROGRAM),
        )
        tls, *found[dedupe] = ran.out.splitlines()
        assert tls == "True"
        sizes[dedupe] = int(str(inspect(f"{name}:latest")["Size"]))
    assert len(found["false"]) == 2
    assert found["true"] == ["/usr/lib/x86_64-linux-gnu/libcrypto.so.3"]
    assert sizes["false"] - sizes["true"] > 7_000_000
