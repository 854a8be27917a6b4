"""An image read where its engine keeps it, and read through the engine: the same trees, entry for entry."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from struct import pack
from typing import TYPE_CHECKING

import pytest

from slimrun.backend.daemon import DockerBackend
from slimrun.backend.docker_image import DockerImage
from slimrun.backend.host import Host
from slimrun.backend.storage import open_overlay
from slimrun.cache.store import Cache
from slimrun.events import silent
from slimrun.settings import DockerSettings, Settings
from tests.docker.between import Between
from tests.docker.conftest import docker, inspect, write_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slimrun.tree.tree import Tree
    from tests.docker.conftest import Done, Slimrun

IMAGE = "slimrun-test-overlay"
# All that layers can do to each other, in three of them; what no shell can make, perl does.
DOCKERFILE = r"""FROM {base}
RUN set -e; mkdir -p /t/opaque/deep /t/dir /t/sub /t/was-folder /t/both/one; \
    for name in a gone again dir/x dir/y opaque/old opaque/deep/old was-file was-folder/z both/one/1 lib.a libz.so; \
        do echo "$name" >"/t/$name"; done; \
    echo linked >/t/h1; ln /t/h1 /t/sub/h2; ln /t/h1 /outside; echo pair >/outer; ln /outer /t/alone; \
    ln -s t /l; ln -s /nowhere /t/dangling; ln -s dir /t/to-dir; \
    echo s >/t/setuid; chmod 6755 /t/setuid; mkfifo /t/fifo; mknod /t/char c 1 3; mknod /t/block b 7 200; \
    touch "$(printf '/t/\377')" "/t/with space"; chown 1234:55 /t/sub; chmod 1777 /t/sub; \
    perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/t/socket")) or die'; \
    perl -e 'my ($set, $a, $b) = (`uname -m` =~ /x86_64/ ? 188 : 5, "/t/a", "/t/libz.so"); \
             my ($cap, $user) = ("security.capability", "user.comment"); \
             my ($v, $w) = (pack("V5", 0x02000001, 1 << 10, 0, 0, 0), "x"); \
             syscall($set, $a, $cap, $v, 20, 0) == 0 or die; syscall($set, $b, $user, $w, 1, 0)'
RUN set -e; rm -r /t/opaque /t/was-folder /t/was-file /t/gone /t/again; mkdir /t/opaque /t/was-file; \
    echo new >/t/opaque/new; echo f >/t/was-folder; echo d >/t/was-file/d; chmod 600 /t/dir/x; echo 2 >/t/both/one/2
RUN set -e; echo back >/t/again; mkdir /t/opaque/deep; echo 3 >/t/both/one/3; rm /t/both/one/1; chown 7 /t/both
"""
FOLDERS = [
    "/t",
    "/l",
    "/l/dir",
    "/t/to-dir",
    "/t/to-dir/x",
    "/t/dangling",
    "/t/a",
    "/none",
    "/etc",
    "/lib",
]
LIBRARIES = ["/t", "/usr/lib/x86_64-linux-gnu"]
PATHS = ["/t/a", "/l/a", "/t/to-dir", "/l/to-dir/x", "/t/dangling", "/none", "/t/gone", "/bin/sh"]


@pytest.fixture(scope="module")
def image(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=f"{registry}/library/debian:bookworm-slim"))
    docker("build", "--quiet", "--tag", IMAGE, str(folder))
    yield IMAGE
    docker("image", "rm", "--force", IMAGE)


def backend(root: Path, address: str) -> DockerBackend:
    settings = Settings(cache_dir=root, docker=DockerSettings(host=address, pull="never"))
    return DockerBackend(settings, Cache(root), silent, {})


def plain(tree: Tree) -> dict[str, object]:
    """All of each entry but where its bytes are, and these."""
    return {
        path: (*entry.known().row()[:-1], entry.read() if entry.content and entry.size < 100_000 else b"")
        for path, entry in tree.items()
    }


def test_the_same_as_through_the_engine(image: str, tmp_path: Path) -> None:
    asked: list[bool] = []
    trees: list[Tree] = []
    targets: list[dict[str, str | None]] = []
    with ExitStack() as stack:
        for name, path, manifest in (
            ("layers", tmp_path / "s", f"sha256:{64 * '0'}"),
            ("built here", tmp_path / "t", ""),
            ("archives", None, f"sha256:{64 * '0'}"),
        ):
            between = stack.enter_context(Between(os.environ["DOCKER_HOST"], path=path))
            engine = backend(tmp_path / name, between.engine)
            stack.callback(engine.close)
            source = engine.open_image(replace(engine.resolve_image(image), manifest=manifest))
            trees.append(source.tree(FOLDERS, libraries=LIBRARIES))
            targets.append({path: source.target(path) for path in PATHS})
            asked.append(any("/archive" in line or "/create" in line for line in between.asked))
    layers, copied, archives = trees
    assert asked == [False, False, True]
    assert plain(layers) == plain(copied) == plain(archives)
    for path in ("/etc/passwd", "/usr/lib/x86_64-linux-gnu/libc.so.6"):
        left = layers[path]
        assert str(tmp_path) not in str(left.content), "what can be pulled again is left until an image gets it"
        assert (left.digest, len(left.known().digest)) == ("", 64), "and nobody has read it"
        assert str(tmp_path / "built here") in str(copied[path].content), "what nobody keeps for us is copied"
    assert targets[0] == targets[1] == targets[2]
    # And both are what the Dockerfile says.
    assert {path for path in layers if path.startswith("/t/opaque")} == {"/t/opaque", "/t/opaque/deep", "/t/opaque/new"}
    assert {path for path in layers if path.startswith("/t/both/one/")} == {"/t/both/one/2", "/t/both/one/3"}
    assert "/t/gone" not in layers
    assert "/t/socket" not in layers
    assert layers["/t/again"].read() == b"back\n"
    assert layers["/t/a"].xattrs[0][0] == "security.capability"
    assert (layers["/t/h1"].inode, layers["/t/sub/h2"].inode, layers["/t/alone"].inode) == ("/t/h1", "/t/h1", "")


@pytest.mark.parametrize(
    ("change", "host"),
    [
        ({}, "tcp://127.0.0.1:2375"),
        ({}, "ssh://somewhere"),
        ({"Name": "btrfs"}, "unix:///s"),
        ({"Name": "overlay2", "Data": None}, "unix:///s"),
        ({"Name": "overlay2", "Data": {"UpperDir": "/etc"}}, "unix:///s"),
        ({"Name": "overlay2", "Data": {"UpperDir": f"/x/overlay2/{64 * 'a'}/diff"}}, "unix:///s"),
    ],
)
def test_what_is_never_read_directly(image: str, change: dict[str, object], host: str) -> None:
    """An engine elsewhere, another driver, no folder of an engine, a folder that is not here."""
    facts = inspect(image)
    driver = facts["GraphDriver"]
    assert isinstance(driver, dict)
    assert open_overlay(facts, Host("unix:///s", "a test")) is not None
    assert open_overlay(facts | {"GraphDriver": driver | change}, Host(host, "a test")) is None
    assert open_overlay({key: facts[key] for key in facts if key != "GraphDriver"}, Host(host, "a test")) is None
    assert open_overlay(facts | {"RootFS": {"Layers": ["sha256:x"]}}, Host("unix:///s", "a test")) is None


@pytest.mark.parametrize(
    ("mark", "value"),
    [
        ("", b""),
        ("trusted.overlay.redirect", b"/elsewhere"),
        ("trusted.overlay.metacopy", b"x"),
        ("security.capability", pack("<6I", 0x03000001, 1 << 10, 0, 0, 0, 1000)),
    ],
    ids=["gone", "moved", "bytes elsewhere", "capability of a namespace"],
)
def test_what_a_layer_does_not_tell_is_asked_of_the_engine(image: str, tmp_path: Path, mark: str, value: bytes) -> None:
    """Gone as after somebody's `docker image rm`, or marked as what no archive tells of."""
    layer = tmp_path / "overlay2" / (64 * "a") / "diff"
    (layer / "t/dir").mkdir(parents=True)
    (layer / "t/dir/x").write_text("not the image's")
    engine = backend(tmp_path / "cache", os.environ["DOCKER_HOST"])
    driver = {"Name": "overlay2", "Data": {"UpperDir": str(layer)}}
    said = {"GraphDriver": driver, "RootFS": {"Layers": [f"sha256:{64 * '1'}"]}}
    source = DockerImage(engine, engine.resolve_image(image), inspect(image) | said)
    try:
        if mark:
            os.setxattr(layer / "t/dir" / ("x" if "redirect" not in mark else ""), mark, value)
        else:
            assert source.target("/t/to-dir") is None, "the layer that is read has no such link"
            shutil.rmtree(layer / "t/dir")
        found = source.tree(["/t/dir"])["/t/dir/x"]
        assert (found.mode, found.read()) == (0o600, b"dir/x\n")
    finally:
        engine.close()


@pytest.mark.parametrize("pushed", [True, False], ids=["in a registry", "nowhere else"])
def test_an_image_is_in_the_cache_when_its_base_build_is_gone(
    slimrun: Slimrun, registry: str, tmp_path: Path, pushed: bool
) -> None:
    """What was kept is there for the next change. What prune looks for anew is pulled again, where that can be."""
    name = f"slimrun-test-gone-{os.urandom(4).hex()}:1"
    address = f"{registry}/library/{name}"
    docker("pull", "--quiet", f"{registry}/library/python:3.11-slim")
    container = docker("create", f"{registry}/library/python:3.11-slim").out.strip()
    with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
        subprocess.run(["docker", "import", "-", address], stdin=export.stdout, check=True, capture_output=True)
    docker("rm", container)
    if pushed:
        docker("push", "--quiet", address)
    fresh = slimrun.fresh(tmp_path / "cache")

    def run(more: str) -> Done:
        text = f"name: gone\npython: {{image: '{name}'}}\nruntime: busybox:glibc\n{more}"
        return fresh(write_recipe(tmp_path, text), "--backend", "docker")

    def here() -> bool:
        return docker("image", "inspect", address, check=False).code == 0

    try:
        first = run("")
        assert first.code == 0, first.text
        docker("image", "rm", address)
        labelled = run("image: {labels: {a: b}}\n")
        assert labelled.code == 0, labelled.text
        assert labelled.recap("gone")["changed"] == 3, "assemble, verify, report"
        assert not here()
        kept = run("prune: {keep: [/usr/lib/x86_64-linux-gnu/libtic.so*]}\n")
        assert kept.code == (0 if pushed else 2), kept.text
        assert (f"the engine no longer has {name}" in kept.text) != pushed
        if pushed:  # its layers lie elsewhere now, and are the same
            back = run("image: {labels: {a: b}}\n")
            assert back.code == 0, back.text
            assert "ok: [gone]" in back.out.partition("TASK [prune")[2].partition("TASK")[0], back.text
    finally:
        for line in docker("images", "--quiet", "--no-trunc", f"{registry}/library/{name[:-2]}").out.split():
            docker("image", "rm", "--force", line)
