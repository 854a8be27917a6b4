"""Logins out of Docker's own configuration, and what registries ask for."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import RegistryUnreachable
from slimrun.oci.auth import Login, find_login
from slimrun.oci.registry_token import parse_challenges

if TYPE_CHECKING:
    from pathlib import Path

HUB = "https://index.docker.io/v1/"


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": b64encode(f"{user}:{password}".encode()).decode()}


def environ(folder: Path, config: object, **helpers: str) -> dict[str, str]:
    """DOCKER_CONFIG with this config.json, and credential helpers, each a shell script, on PATH."""
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    for name, text in helpers.items():
        program = folder / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("config", "registry", "login"),
    [
        ({}, "r.example", None),
        ("not json", "r.example", None),
        ([], "r.example", None),
        ({"auths": {"r.example": auth("u", "p:q")}}, "r.example", Login(user="u", password="p:q")),
        ({"auths": {"https://r.example/v2/": auth("u", "p")}}, "r.example", Login(user="u", password="p")),
        ({"auths": {"r.example:5000": auth("u", "p")}}, "r.example", None),
        ({"auths": {"r.example": {"username": "u", "password": "p"}}}, "r.example", Login(user="u", password="p")),
        ({"auths": {HUB: auth("u", "p")}}, "docker.io", Login(user="u", password="p")),
        ({"auths": {"index.docker.io": auth("u", "p")}}, "docker.io", Login(user="u", password="p")),
        ({"auths": {HUB: auth("u", "p")}}, "r.example", None),
        ({"auths": {"r.example": {}}}, "r.example", None),
        ({"auths": {"r.example": {"auth": "%%%"}}}, "r.example", None),
        ({"auths": {"r.example": {"identitytoken": "t"}}}, "r.example", Login(token="t")),
        ({"auths": {"r.example": 7}}, "r.example", None),
    ],
)
def test_config_json(tmp_path: Path, config: object, registry: str, login: Login | None) -> None:
    assert find_login(registry, environ(tmp_path, config)) == login


def test_no_configuration_at_all(tmp_path: Path) -> None:
    assert find_login("r.example", {"HOME": str(tmp_path)}) is None
    assert find_login("r.example", {}) is None


def test_home(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {"r.example": auth("u", "p")}}))
    assert find_login("r.example", {"HOME": str(tmp_path)}) == Login(user="u", password="p")


ANSWER = """read key; printf '{"Username":"%s","Secret":"from %s"}' "${USERNAME:-u}" "$key" """


def test_a_registry_s_own_helper_comes_before_the_store_and_the_file(tmp_path: Path) -> None:
    config = {"credHelpers": {"r.example": "own"}, "credsStore": "all", "auths": {"r.example": auth("file", "p")}}
    found = environ(tmp_path, config, own=ANSWER, all="exit 9")
    assert find_login("r.example", found) == Login(user="u", password="from r.example")


def test_the_store_is_asked_for_the_hub_by_its_old_name(tmp_path: Path) -> None:
    assert find_login("docker.io", environ(tmp_path, {"credsStore": "all"}, all=ANSWER)) == Login(
        user="u", password=f"from {HUB}"
    )


def test_a_store_s_identity_token(tmp_path: Path) -> None:
    found = environ(tmp_path, {"credsStore": "all"}, all=ANSWER) | {"USERNAME": "<token>"}
    assert find_login("r.example", found) == Login(token="from r.example")


def test_a_store_that_has_nothing_leaves_it_to_the_file(tmp_path: Path) -> None:
    config = {"credsStore": "all", "auths": {"r.example": auth("u", "p")}}
    text = "echo 'credentials not found in native keychain'; exit 1"
    assert find_login("r.example", environ(tmp_path, config, all=text)) == Login(user="u", password="p")
    assert find_login("other.example", environ(tmp_path, config, all=text)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [("echo locked >&2; exit 3", "locked"), ("echo '{'", "something else than a login"), ("exit 3", "it ended with 3")],
)
def test_a_helper_that_fails_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RegistryUnreachable, match=said) as caught:
        find_login("r.example", environ(tmp_path, {"credsStore": "all"}, all=text))
    assert "docker-credential-all" in caught.value.message
    assert "docker login" in caught.value.hint


def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnreachable, match="docker-credential-gone"):
        find_login("r.example", environ(tmp_path, {"credHelpers": {"r.example": "gone"}}))


def test_passwords_are_not_printed() -> None:
    assert "hidden" not in repr(Login(user="u", password="hidden", token="hidden"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("Basic", {}),
        ('Basic realm="x"', {"basic": {"realm": "x"}}),
        (
            'Bearer realm="https://a/token",service="r",scope="repository:a/b:pull,push"',
            {"bearer": {"realm": "https://a/token", "service": "r", "scope": "repository:a/b:pull,push"}},
        ),
        ('BEARER Realm="a\\"b" , service=r', {"bearer": {"realm": 'a"b', "service": "r"}}),
        (
            'Basic realm="x", Bearer realm="y",service="z"',
            {"basic": {"realm": "x"}, "bearer": {"realm": "y", "service": "z"}},
        ),
    ],
)
def test_challenges(text: str, found: dict[str, dict[str, str]]) -> None:
    assert parse_challenges(text) == found
