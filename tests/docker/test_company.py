"""A company's network: an index of its own behind TLS that nobody else trusts, and a cache where it has room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import docker, inspect, left_over, write_recipe
from tests.fetch.authority import Authority, make_authority
from tests.fetch.loopback import SimpleIndex, Site
from tests.fetch.wheelmaker import make
from tests.reports import report_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docker.conftest import Slimrun

RECIPE = """name: company
python: {image: 'python:3.11-slim'}
wheels: [demo==1.0]
verify:
  imports: [demo, helper]
"""
BACKENDS = pytest.mark.parametrize("backend", ["docker", "local"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def index(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleIndex]:
    """What the company's index has: nothing of it is on PyPI."""
    folder = tmp_path_factory.mktemp("wheels")
    with Site(authority.context()) as site:
        index = SimpleIndex(site)
        index.add(make(folder, "demo", "1.0", requires=("helper",)))
        index.add(make(folder, "helper", "2.0"))
        yield index


def configure(slimrun: Slimrun, folder: Path, index: SimpleIndex, ca: Path | None) -> Path:
    """A slim.yaml that names all three."""
    text = f"{slimrun.config.read_text()}  pypi: {index.url}\ncache: {{dir: {folder}/own}}\n"
    text += f"build: {{ca_certificates: {ca}}}\n" if ca else ""
    config = folder / "slim.yaml"
    config.write_text(text, encoding="utf-8")
    return config


@BACKENDS
def test_index_authority_and_cache(
    slimrun: Slimrun, tmp_path: Path, index: SimpleIndex, authority: Authority, backend: str
) -> None:
    config = configure(slimrun, tmp_path, index, authority.ca)
    words = ("--config", config, "--backend", backend, "--save", tmp_path / "company.tar")
    nowhere = slimrun.fresh(tmp_path / "unused")
    done = nowhere(write_recipe(tmp_path, RECIPE), *words)
    assert done.code == 0, done.text
    asked = {path.rpartition("/")[2] or path for path in index.site.asked}
    assert {"/main/simple/demo/", "demo-1.0-py3-none-any.whl", "helper-2.0-py3-none-any.whl"} <= asked
    assert not (tmp_path / "unused").exists(), "cache.dir is the only cache"
    report = report_of(tmp_path / "own", "company")
    assert report["distributions"] == [{"name": "demo", "version": "1.0"}, {"name": "helper", "version": "2.0"}]
    again = nowhere(write_recipe(tmp_path, RECIPE), *words)
    assert again.recap("company")["changed"] == 0
    docker("load", "-i", str(tmp_path / "company.tar"))
    assert docker("run", "--rm", "company", "-c", "import demo; print(demo.version)").out == "1.0\n"
    assert left_over() == []


def test_nothing_of_it_is_in_the_image(
    slimrun: Slimrun, tmp_path: Path, index: SimpleIndex, authority: Authority
) -> None:
    """The layers hold neither the address nor the certificate, nor where they were."""
    config = configure(slimrun, tmp_path, index, authority.ca)
    done = slimrun(write_recipe(tmp_path, RECIPE), "--config", config, "--save", tmp_path / "company.tar")
    assert done.code == 0, done.text
    data = (tmp_path / "company.tar").read_bytes()
    secret = authority.ca.read_bytes().splitlines()[1]
    for word in (index.site.url.encode(), secret, b"ca.pem", str(tmp_path).encode()):
        assert word not in data
    assert "company:latest" in str(inspect("company:latest")["RepoTags"])


@BACKENDS
def test_an_authority_that_nobody_named(slimrun: Slimrun, tmp_path: Path, index: SimpleIndex, backend: str) -> None:
    config = configure(slimrun, tmp_path, index, None)
    done = slimrun(write_recipe(tmp_path, RECIPE), "--config", config, "--backend", backend)
    assert done.code == 4, done.text
    assert index.url in done.text
    assert "build.ca_certificates in slim.yaml" in done.text
    assert "Traceback" not in done.text
    assert left_over() == []


def test_a_file_of_certificates_that_is_not_there(slimrun: Slimrun, tmp_path: Path, index: SimpleIndex) -> None:
    config = configure(slimrun, tmp_path, index, tmp_path / "none.pem")
    done = slimrun(write_recipe(tmp_path, RECIPE), "--config", config)
    assert done.code == 2, done.text
    assert f"build.ca_certificates: {tmp_path}/none.pem: No such file or directory" in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    "text", ["", "no certificate\n", "-----BEGIN CERTIFICATE-----\nxyz\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_holds_no_certificates(slimrun: Slimrun, tmp_path: Path, index: SimpleIndex, text: str) -> None:
    (tmp_path / "bad.pem").write_text(text)
    config = configure(slimrun, tmp_path, index, tmp_path / "bad.pem")
    done = slimrun(write_recipe(tmp_path, RECIPE), "--config", config)
    assert done.code == 2, done.text
    assert f"build.ca_certificates: {tmp_path}/bad.pem holds no certificate" in done.text
    assert "hint: " in done.text


@pytest.mark.parametrize("local", [True, False], ids=["a file", "an index"])
def test_a_wheel_for_a_newer_glibc(
    slimrun: Slimrun, tmp_path: Path, index: SimpleIndex, authority: Authority, local: bool
) -> None:
    tag = "cp311-cp311-manylinux_2_99_x86_64"
    wheel = make(tmp_path, "newest", "1.0", {"newest/__init__.py": b""}, tag=tag)
    index.add(wheel)
    config = configure(slimrun, tmp_path, index, authority.ca)
    line = f"./{wheel.name}" if local else "newest"
    text = f"python: {{image: 'python:3.11-slim'}}\nwheels:\n  - {line}\n"
    done = slimrun(write_recipe(tmp_path, text), "--config", config)
    assert done.code == 2, done.text
    assert "FAILED!" in done.text
    assert f"{tmp_path}/image.yaml:3:" in done.text
    for word in ("newest", "glibc 2.41", "2.99", "hint:"):
        assert word in done.text, done.text
    assert "Traceback" not in done.text
    assert left_over() == []
