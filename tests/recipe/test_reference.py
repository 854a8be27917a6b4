"""Image references: Docker's grammar, canonical form, mirrors."""

from __future__ import annotations

from itertools import permutations

import pytest

from slimrun.recipe.reference import Reference, canonical, mirror, parse_reference

DIGEST = "sha256:" + "0" * 64
CANONICAL = {
    "python": "docker.io/library/python:latest",
    "python:3.7-slim": "docker.io/library/python:3.7-slim",
    "library/python:3": "docker.io/library/python:3",
    "docker.io/python:3": "docker.io/library/python:3",
    "index.docker.io/library/python": "docker.io/library/python:latest",
    "team/app": "docker.io/team/app:latest",
    "localhost/app:1": "localhost/app:1",
    "localhost:5000/app": "localhost:5000/app:latest",
    "127.0.0.1:5000/a/b/c:1": "127.0.0.1:5000/a/b/c:1",
    "[::1]:5000/app:1": "[::1]:5000/app:1",
    "ghcr.io/a/b_c__d-e.f:V1.0_x": "ghcr.io/a/b_c__d-e.f:V1.0_x",
    f"python@{DIGEST}": f"docker.io/library/python@{DIGEST}",
    f"python:3@{DIGEST}": f"docker.io/library/python:3@{DIGEST}",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical(text: str) -> None:
    assert canonical(text) == CANONICAL[text]
    assert canonical(CANONICAL[text]) == CANONICAL[text]


def test_parts() -> None:
    assert parse_reference(f"r.example.org:5000/a/b:1@{DIGEST}") == Reference(
        registry="r.example.org:5000", repository="a/b", tag="1", digest=DIGEST
    )


@pytest.mark.parametrize(
    "text",
    ["", ":", "@", "/", "a:", "a:b:c", "A", "a//b", "/a", "a/", "a b", "a:-x", "a@sha256:00", "a@x", "-a", "a..b",
     "a___b", "https://a.example.org/b", "a.example.org/", "a:" + "x" * 129, "a" * 256, "python\n", "ä"],
)  # fmt: skip
def test_bad(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|name"):
        parse_reference(text)


MIRRORS = (
    ("docker.io", "m.example.org/hub"),
    ("docker.io/library/", "m.example.org/official/"),
    ("docker.io/library/python", "127.0.0.1:5000/py"),
    ("localhost", "m.example.org/local"),
)
MIRRORED = {
    "python:3.7": "127.0.0.1:5000/py:3.7",
    f"python@{DIGEST}": f"127.0.0.1:5000/py@{DIGEST}",
    "python-tools:1": "m.example.org/official/python-tools:1",
    "debian": "m.example.org/official/debian:latest",
    "team/app:1": "m.example.org/hub/team/app:1",
    "ghcr.io/a/b": "ghcr.io/a/b:latest",
    "docker.io.example.org/a": "docker.io.example.org/a:latest",
    "localhost/x": "m.example.org/local/x:latest",
    "localhost:5000/x": "localhost:5000/x:latest",
}


@pytest.mark.parametrize("reference", MIRRORED)
def test_mirror(reference: str) -> None:
    assert {mirror(reference, order) for order in permutations(MIRRORS)} == {MIRRORED[reference]}
