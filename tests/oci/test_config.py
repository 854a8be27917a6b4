"""An image's config: canonical when written, forgiving of engines when read, strict about what is none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest

from slimrun.errors import BadArchive
from slimrun.oci.config import Config, Health, Step, read_config, timestamp

FULL = Config(
    architecture="arm64",
    variant="v8",
    created="2023-11-14T22:13:20Z",
    env=(("B", "2"), ("A", "1=2"), ("E", "")),
    entrypoint=("/usr/bin/python3",),
    cmd=("-c", "print('é')"),
    user="65532:65532",
    workdir="/app",
    expose=("53/udp", "80/tcp"),
    volumes=("/data",),
    labels=(("a", "1"), ("b", "2")),
    stop_signal="SIGINT",
    health=Health(test=("CMD", "x"), interval=1, timeout=2, start_period=3, retries=4),
    history=(
        Step(created_by="slimrun python", comment="c", created="2023-11-14T22:13:20Z"),
        Step(created_by="ENV", empty=True),
    ),
    diff_ids=("a" * 64, "b" * 64),
)


def test_the_bytes() -> None:
    assert FULL.to_json().decode() == (
        '{"architecture":"arm64","config":{"Cmd":["-c","print(\'é\')"],"Entrypoint":["/usr/bin/python3"],'
        '"Env":["B=2","A=1=2","E="],"ExposedPorts":{"53/udp":{},"80/tcp":{}},'
        '"Healthcheck":{"Interval":1,"Retries":4,"StartPeriod":3,"Test":["CMD","x"],"Timeout":2},'
        '"Labels":{"a":"1","b":"2"},"StopSignal":"SIGINT","User":"65532:65532","Volumes":{"/data":{}},"WorkingDir":"/app"},'
        '"created":"2023-11-14T22:13:20Z","history":[{"comment":"c","created":"2023-11-14T22:13:20Z",'
        '"created_by":"slimrun python"},{"created_by":"ENV","empty_layer":true}],"os":"linux",'
        f'"rootfs":{{"diff_ids":["sha256:{"a" * 64}","sha256:{"b" * 64}"],"type":"layers"}},"variant":"v8"}}'
    )
    assert FULL.digest() == hashlib.sha256(FULL.to_json()).hexdigest()


def test_it_is_read_back() -> None:
    """All but the health check, which a base's image does not hand on."""
    assert read_config(FULL.to_json(), what="it") == replace(FULL, health=None)
    small = Config(architecture="amd64")
    assert read_config(small.to_json(), what="it") == small


CHANGES: list[dict[str, Any]] = [
    {"architecture": "amd64"},
    {"os": "windows"},
    {"variant": ""},
    {"created": ""},
    {"env": (("A", "1=2"), ("B", "2"), ("E", ""))},
    {"entrypoint": ()},
    {"cmd": ()},
    {"user": ""},
    {"workdir": ""},
    {"expose": ()},
    {"volumes": ()},
    {"labels": ()},
    {"stop_signal": ""},
    {"health": None},
    {"history": ()},
    {"diff_ids": ("b" * 64, "a" * 64)},
]


def test_every_field_reaches_the_digest() -> None:
    assert {key for change in CHANGES for key in change} == {field.name for field in fields(Config)}
    assert len({FULL.digest(), *(replace(FULL, **change).digest() for change in CHANGES)}) == len(CHANGES) + 1


def test_what_engines_write() -> None:
    value = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": None, "Cmd": None, "Labels": None, "ExposedPorts": None, "OnBuild": [], "Unknown": 1},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64]},
        "history": [{"created_by": "x"}, {}, {"empty_layer": True, "author": "y"}],
        "docker_version": "28",
    }
    found = read_config(json.dumps(value).encode(), what="it")
    assert found.history == (Step(created_by="x"), Step(created_by=""), Step(created_by="", empty=True))
    assert (found.env, found.cmd, found.labels, found.expose) == ((), (), (), ())
    assert read_config(json.dumps(value | {"config": None, "history": None}).encode(), what="it").history == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b"{}",
        b'{"architecture": "a", "os": "b"}',
        b'{"architecture": "a", "os": "b", "rootfs": []}',
        b'{"architecture": "a", "os": "b", "rootfs": {"diff_ids": null}}',
        b'{"architecture": "a", "os": "b", "rootfs": {"diff_ids": [1]}}',
        b'{"architecture": "a", "os": "b", "rootfs": {"diff_ids": []}, "config": {"Env": [1]}}',
        b'{"architecture": "a", "os": "b", "rootfs": {"diff_ids": []}, "config": []}x',
        b'{"architecture": "a", "os": "b", "rootfs": {"diff_ids": []}, "history": [1]}',
    ],
)
def test_what_is_no_config(data: bytes) -> None:
    with pytest.raises(BadArchive, match=r"^the base has no config that can be read"):
        read_config(data, what="the base")


@pytest.mark.parametrize(("epoch", "text"), [(0, "1970-01-01T00:00:00Z"), (1_700_000_000, "2023-11-14T22:13:20Z")])
def test_times(epoch: int, text: str) -> None:
    assert timestamp(epoch) == text
