"""What an engine says of an image, as our values; the engine itself is tried in tests/docker."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from tests.treetext import entry

from slimrun.backend.daemon import _alive, _pin, _same_config
from slimrun.backend.docker_image import _below
from slimrun.backend.host import config_of
from slimrun.oci.config import Config
from slimrun.tree.tar import Member

FACTS: dict[str, Any] = {
    "Id": "sha256:" + "a" * 64,
    "RepoDigests": ["r.test/x@sha256:" + "c" * 64, "x@sha256:" + "b" * 64],
    "Os": "linux",
    "Architecture": "arm64",
    "Variant": "v8",
    "Config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": None},
    "RootFS": {"Type": "layers", "Layers": ["sha256:" + "d" * 64]},
}


def test_a_pin() -> None:
    found = _pin("x:1", FACTS)
    assert (found.reference, found.digest, found.platform) == ("x:1", FACTS["Id"], "linux/arm64/v8")
    assert found.manifest == "sha256:" + "b" * 64
    local = _pin("x:1", {**FACTS, "RepoDigests": None, "Variant": ""})
    assert (local.manifest, local.platform) == ("", "linux/arm64")


def test_a_config() -> None:
    found = config_of(FACTS)
    assert found == Config(
        architecture="arm64", variant="v8", env=(("PATH", "/bin"),), cmd=("sh",), diff_ids=("d" * 64,)
    )
    empty = config_of({**FACTS, "Config": None, "RootFS": {"Type": "layers"}})
    assert (empty.env, empty.diff_ids) == ((), ())


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"created": "2024", "history": ()}, True),
        ({"env": (("A", "1"),)}, False),
        ({"entrypoint": ("x",)}, False),
        ({"cmd": ()}, False),
        ({"user": "0"}, False),
        ({"workdir": "/"}, False),
        ({"labels": (("a", "b"),)}, False),
        ({"diff_ids": ("e" * 64,)}, False),
        ({"architecture": "amd64"}, False),
        ({"variant": ""}, False),
        ({"expose": ("80/tcp",)}, False),
        ({"volumes": ("/v",)}, False),
        ({"stop_signal": "SIGINT"}, False),
    ],
)
def test_what_makes_an_image_the_same(change: dict[str, Any], same: bool) -> None:
    found = config_of(FACTS)
    assert _same_config(found, replace(found, **change)) is same


def test_who_is_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert _alive(f"{os.getpid()}-abc")
    assert _alive("1-abc")
    assert not _alive(f"{child.pid}-abc")
    assert not _alive("")
    assert not _alive("x-1")


def test_an_archive_s_names_begin_with_its_own_folder() -> None:
    members = [
        Member("/local", entry("dir")),
        Member("/local/a", entry("file 0644 a")),
        Member("/local/b", None, "/local/a"),
    ]
    found = list(_below("/usr", members))
    assert [(member.path, member.same_as) for member in found] == [
        ("/usr/local", ""),
        ("/usr/local/a", ""),
        ("/usr/local/b", "/usr/local/a"),
    ]
    assert [member.path for member in _below("/", members)] == ["/local", "/local/a", "/local/b"]
