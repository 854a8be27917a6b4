"""The local backend over a loopback registry: pins, images, records, and what it does without the network."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fetch.loopback import Answer, Site
from tests.oci.registry_kit import Made, host, index, make, publish, sha
from tests.treetext import tree

from slimrun import machine
from slimrun.backend.base import Finished, Limits, NotRun
from slimrun.backend.local import LocalBackend
from slimrun.cache.store import Cache
from slimrun.errors import ImageNotFound
from slimrun.events import Event, Warned
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer
from slimrun.settings import DockerSettings, Mirrors, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = machine.host().platform
LOWER = tree(
    {"/usr/bin/python3": "symlink python3.11", "/usr/bin/python3.11": b"ELF", "/etc/gone": b"x", "/opt/old/a": b"a"}
)
UPPER = tree(
    {"/etc/.wh.gone": b"", "/opt/old/.wh..wh..opq": b"", "/opt/old/b": b"b", "/usr/bin/tool": "file 4755 t owner 1:2"}
)
NOTHING = {"PATH": "/nonexistent"}


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def made(site: Site, tmp_path: Path) -> Made:
    made = make(tmp_path / "made", LOWER, UPPER, platform=HERE, Env=["PATH=/usr/bin"])
    publish(site, made, "library/python", "3")
    return made


class Bench:
    """Backends one after another over one cache, as runs are; `events` of all of them."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.cache = Cache(folder)
        self.events: list[Event] = []
        self.settings = Settings(
            cache_dir=folder, mirrors=Mirrors(images=(("docker.io/library", f"{host(site)}/library"),))
        )

    def backend(self, environ: dict[str, str] | None = None, **settings: object) -> LocalBackend:
        return LocalBackend(replace(self.settings, **settings), self.cache, self.events.append, environ or NOTHING)  # type: ignore[arg-type]

    def finished(self, tag: str = "x:1", text: bytes = b"x") -> Finished:
        layer = write_layer(tree({"/a": text}), self.cache, name="x", epoch=0)
        return Finished(config=Config(architecture="amd64", diff_ids=(layer.diff_id,)), tags=(tag,), size=1)


@pytest.fixture
def bench(site: Site, tmp_path: Path) -> Bench:
    return Bench(site, tmp_path / "cache")


def test_a_pin_is_the_config_s_digest_and_what_the_registry_has_it_under(bench: Bench, made: Made) -> None:
    pin = bench.backend().resolve_image("python:3")
    assert (pin.reference, pin.platform) == ("python:3", HERE)
    assert (pin.digest, pin.manifest) == (f"sha256:{made.config}", f"sha256:{sha(made.manifest)}")


def test_layers_become_one_tree(bench: Bench, made: Made) -> None:
    backend = bench.backend()
    image = backend.open_image(backend.resolve_image("python:3"))
    assert image.env == (("PATH", "/usr/bin"),)
    assert image.target("/usr/bin/python3") == "/usr/bin/python3.11"
    layered = image.layered()
    assert layered.config.diff_ids == made.diff_ids
    assert layered.sizes == (LOWER.size(), UPPER.size())
    assert layered.tree.dump() == {
        "/opt/old/b": tree({"/b": b"b"}).dump()["/b"],
        "/usr/bin/python3": "symlink python3.11",
        "/usr/bin/python3.11": LOWER.dump()["/usr/bin/python3.11"],
        "/usr/bin/tool": UPPER.dump()["/usr/bin/tool"],
    }
    assert layered.tree.open("/opt/old/b").read() == b"b"


def test_without_the_network_once_all_is_here(bench: Bench, site: Site, made: Made) -> None:
    first = bench.backend()
    layered = first.open_image(first.resolve_image("python:3")).layered()
    asked = len(site.asked)
    again = bench.backend()
    assert again.open_image(again.resolve_image("python:3")).layered() == layered
    assert len(site.asked) == asked
    assert made


def test_a_tag_is_settled_anew_with_refresh_alone(bench: Bench, site: Site, made: Made, tmp_path: Path) -> None:
    before = bench.backend().resolve_image("python:3")
    moved = make(tmp_path / "made", UPPER, platform=HERE)
    publish(site, moved, "library/python", "3")
    assert bench.backend().resolve_image("python:3") == before
    assert bench.backend(refresh=True).resolve_image("python:3").digest == f"sha256:{moved.config}"
    assert (
        bench.backend(docker=DockerSettings(pull="always")).resolve_image("python:3").digest == f"sha256:{moved.config}"
    )
    assert made


def test_a_pin_still_opens_after_its_tag_moved_and_the_cache_was_lost(
    bench: Bench, site: Site, made: Made, tmp_path: Path
) -> None:
    pin = bench.backend().resolve_image("python:3")
    publish(site, make(tmp_path / "made", UPPER, platform=HERE), "library/python", "3")
    fresh = Bench(site, tmp_path / "fresh")
    assert fresh.backend().open_image(pin).layered().config.diff_ids == made.diff_ids
    with pytest.raises(ImageNotFound, match=r"no longer has python:3") as caught:
        Bench(site, tmp_path / "other").backend().open_image(replace(pin, digest="sha256:" + "0" * 64))
    assert "--refresh" in caught.value.hint


def test_an_index_s_pin_opens_too(bench: Bench, site: Site, made: Made, tmp_path: Path) -> None:
    data, kind = index({HERE: made})
    for name in ("all", f"sha256:{sha(data)}"):
        site.serve(f"/v2/library/python/manifests/{name}", Answer(body=data, headers=(("Content-Type", kind),)))
    pin = bench.backend().resolve_image("python:all")
    assert pin.manifest == f"sha256:{sha(data)}"
    assert Bench(site, tmp_path / "fresh").backend().open_image(pin).layered().config.diff_ids == made.diff_ids


@pytest.mark.parametrize("settings", [{"offline": True}, {"docker": DockerSettings(pull="never")}])
def test_a_run_that_may_not_ask(bench: Bench, site: Site, made: Made, settings: dict[str, object]) -> None:
    with pytest.raises(ImageNotFound, match="was not pulled before"):
        bench.backend(**settings).resolve_image("python:3")
    assert site.asked == []
    pin = bench.backend().resolve_image("python:3")
    assert bench.backend(**settings).resolve_image("python:3") == pin
    assert made


def test_an_unknown_image(bench: Bench) -> None:
    with pytest.raises(ImageNotFound, match="there is no image"):
        bench.backend().resolve_image("python:none")


# What an engine would keep ------------------------------------------------------------------------------------------------


def test_a_tag_means_one_image(bench: Bench) -> None:
    one, two = bench.finished(), bench.finished(text=b"y")
    backend = bench.backend()
    assert not backend.has(one)
    backend.tag(backend.load(one), one)
    assert bench.backend().has(one)
    assert not bench.backend().has(two)
    assert not bench.backend().has(replace(one, tags=("x:1", "x:2")))
    backend.tag(backend.load(two), two)
    assert not bench.backend().has(one)


def test_what_could_not_be_run_is_said_on_every_run_and_tried_again_when_it_can_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = bench.finished()
    backend = bench.backend()
    name = backend.load(image)
    ran = backend.run(name, ["-c", "1"], Limits())
    assert isinstance(ran, NotRun)
    assert "there is no unshare" in ran.reason
    backend.tag(name, image)
    assert bench.backend().has(image)
    (warned,) = bench.events
    assert isinstance(warned, Warned)
    assert "nothing of x:1 was ever run" in warned.text
    monkeypatch.setattr("slimrun.backend.sandbox.find_tool", lambda *_: object())
    assert not bench.backend().has(image), "verify is to run again"


def test_clean_removes_what_dead_runs_left_and_nothing_else(bench: Bench) -> None:
    scratch = bench.cache.scratch()
    for name in ("root-999999999-abcdef-x", f"root-{os.getpid()}-abcdef-y", "tmpother"):
        (scratch / name / "root/closed").mkdir(parents=True)
        (scratch / name / "root/closed").chmod(0)
    assert bench.backend().clean() == (f"folder {scratch}/root-999999999-abcdef-x",)
    assert sorted(path.name for path in scratch.iterdir()) == [f"root-{os.getpid()}-abcdef-y", "tmpother"]
    for path in scratch.iterdir():
        (path / "root/closed").chmod(0o700)
