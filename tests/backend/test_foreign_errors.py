"""Every error of docker-py, requests and urllib3 becomes one of ours: the table is complete."""

from __future__ import annotations

import errno
import inspect
import os
import ssl
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests
import requests.exceptions
import urllib3.exceptions

from slimrun.backend.connection import Refused
from slimrun.backend.docker import FOREIGN, _tag, translate
from slimrun.backend.host import Host
from slimrun.backend.trouble import pull_error
from slimrun.errors import DiskFull, EngineUnreachable, ImageFailed, ImageNotFound, RegistryUnreachable, SlimrunError

HOST = Host("unix:///run/x.sock", "DOCKER_HOST")
MODULES = (docker.errors, requests.exceptions, urllib3.exceptions)


def foreign() -> list[type[Exception]]:
    """Every exception class of the three libraries, warnings aside: those are never raised as errors here."""
    found = {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Exception) and not issubclass(kind, Warning)
        if kind.__module__.partition(".")[0] in ("docker", "requests", "urllib3")
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def test_the_libraries_were_found() -> None:
    names = {kind.__name__ for kind in foreign()}
    assert {"APIError", "ReadTimeout", "ProtocolError", "TLSParameterError", "ContextNotFound"} <= names
    assert len(foreign()) > 60


@pytest.mark.parametrize("kind", foreign(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_nothing_is_left_out(kind: type[Exception]) -> None:
    assert issubclass(kind, FOREIGN)


@pytest.mark.parametrize("kind", [kind for kind in FOREIGN if kind is not Refused], ids=lambda kind: kind.__name__)
def test_each_becomes_one_of_ours(kind: type[Exception]) -> None:
    found = translate(kind("it broke"), "asking", HOST)
    assert isinstance(found, EngineUnreachable)
    assert "unix:///run/x.sock (DOCKER_HOST): it broke" in found.message
    assert found.hint


def test_a_refusal_is_told_in_the_engine_s_words() -> None:
    found = translate(Refused("it broke"), "reading /usr", HOST)
    assert isinstance(found, ImageFailed)
    assert found.message == "reading /usr: the engine says: it broke"


def api(status: int, text: str, kind: type[docker.errors.APIError] = docker.errors.APIError) -> Exception:
    response: Any = SimpleNamespace(status_code=status, reason="x")
    return kind(text, response=response, explanation=text)


def wrapped(inner: Exception) -> Exception:
    """As it arrives from below: requests around urllib3 around the system's error."""
    middle = urllib3.exceptions.ProtocolError("Connection aborted.", inner)
    return requests.exceptions.ConnectionError(middle)


TABLE: list[tuple[Exception, type[SlimrunError], str, str]] = [
    (api(500, "write /x: no space left on device"), DiskFull, "no space left on device", "docker system df"),
    (api(409, "conflict"), ImageFailed, "asking: the engine says: conflict", ""),
    (api(404, "no such image", docker.errors.ImageNotFound), ImageFailed, "no such image", ""),
    (api(400, "client version 1.24 is too old"), EngineUnreachable, "too old or too new", "update the engine"),
    (requests.exceptions.ReadTimeout("x"), EngineUnreachable, "did not answer in time", "docker.timeout"),
    (
        wrapped(PermissionError(errno.EACCES, os.strerror(errno.EACCES))),
        EngineUnreachable,
        "Permission denied",
        "group `docker`",
    ),
    (
        wrapped(FileNotFoundError(errno.ENOENT, "x")),
        EngineUnreachable,
        "No such file or directory",
        "systemctl start docker",
    ),
    (
        wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "x")),
        EngineUnreachable,
        "Connection refused",
        "systemctl start",
    ),
    (OSError(errno.EPIPE, "x"), EngineUnreachable, "Broken pipe", ""),
    (ssl.SSLError("bad certificate"), EngineUnreachable, "bad certificate", ""),
    (docker.errors.DockerException("Invalid bind address"), EngineUnreachable, "Invalid bind address", ""),
]


@pytest.mark.parametrize(("error", "kind", "text", "hint"), TABLE)
def test_what_a_person_reads(error: Exception, kind: type[SlimrunError], text: str, hint: str) -> None:
    found = translate(error, "asking", HOST)
    assert type(found) is kind
    assert text in found.message
    assert hint in found.hint


def test_the_hint_knows_where_the_engine_is() -> None:
    found = translate(OSError(errno.ECONNREFUSED, "x"), "asking", Host("tcp://10.0.0.1:2375", "DOCKER_HOST"))
    assert found.hint.startswith("check the address")
    assert "(DOCKER_HOST)" in found.message


def test_errors_in_a_circle_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    found = translate(requests.exceptions.ConnectionError(one), "asking", HOST)
    assert isinstance(found, EngineUnreachable)
    assert "one" in found.message


PULLS: list[tuple[str, type[SlimrunError]]] = [
    ("manifest for x:1 not found: manifest unknown", ImageNotFound),
    ("pull access denied for x, repository does not exist or may require 'docker login'", ImageNotFound),
    ("denied: requested access to the resource is denied", ImageNotFound),
    ("Get https://registry-1.docker.io/v2/: dial tcp: i/o timeout", RegistryUnreachable),
    ("toomanyrequests: You have reached your pull rate limit", RegistryUnreachable),
    ("x509: certificate signed by unknown authority", RegistryUnreachable),
    ("failed to register layer: write /x: No space left on device", DiskFull),
]


@pytest.mark.parametrize(("text", "kind"), PULLS)
def test_what_an_engine_says_of_a_pull(text: str, kind: type[SlimrunError]) -> None:
    found = pull_error("x:1", text)
    assert type(found) is kind
    assert text in found.message
    assert found.hint


@pytest.mark.parametrize(
    ("reference", "tag"),
    [("x", "latest"), ("x:1", None), ("r:5000/x", "latest"), ("r:5000/x:1", None), ("x@sha256:00", None)],
)
def test_a_pull_takes_one_tag(reference: str, tag: str | None) -> None:
    assert _tag(reference) == tag
