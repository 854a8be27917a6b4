"""Which index is asked first, what pip's configuration may say, and what an address is called in a pin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loopback import Answer, SimpleIndex, Site
from wheelmaker import make

from slimrun.errors import DownloadFailed
from slimrun.fetch.index import PYPI, Indexes, PipConfig, canonical, choose_indexes, pip_config, pypi_mirror
from slimrun.fetch.network import Network
from slimrun.fetch.simple import listing, parse

if TYPE_CHECKING:
    from pathlib import Path

FILE = f"packages/aa/bb/{'0' * 60}/six-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (PYPI,)),
        ({"recipe": "https://a/simple/"}, ("https://a/simple",)),
        ({"recipe": "https://a/simple", "settings": "https://b", "pip": PipConfig(index="https://c")}, ("https://a/simple",)),
        ({"settings": "https://b", "pip": PipConfig(index="https://c", extra=("https://d",))}, ("https://b",)),
        ({"pip": PipConfig(index="https://c", extra=("https://d", "https://c"))}, ("https://c", "https://d")),
        ({"pip": PipConfig(extra=("https://d",)), "recipe_extra": ("https://e",)}, (PYPI, "https://e", "https://d")),
        ({"recipe": "https://a", "recipe_extra": ("https://e",), "pip": PipConfig(extra=("https://d",))}, ("https://a", "https://e")),
    ],
)  # fmt: skip
def test_the_order_of_indexes(given: dict[str, object], expected: tuple[str, ...]) -> None:
    assert choose_indexes(**{"recipe": None, **given}).urls == expected  # type: ignore[arg-type]


def test_pip_config_reads_what_pip_reads(tmp_path: Path) -> None:
    etc, home = tmp_path / "etc", tmp_path / "home"
    for path, text in {
        etc / "pip.conf": "[global]\nindex-url = https://etc\nextra-index-url =\n  https://one\n  https://two\n",
        home
        / ".config/pip/pip.conf": "[global]\nindex_url = https://home\n[install]\nextra-index-url = https://three\n",
        tmp_path / "given.conf": "[global]\nindex-url = https://given%20\n",
        home / ".pip/pip.conf": "no section\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    environ = {"HOME": str(home)}
    assert pip_config({}, etc=etc) == PipConfig(index="https://etc", extra=("https://one", "https://two"))
    assert pip_config(environ, etc=etc) == PipConfig(index="https://home", extra=("https://three",))
    assert pip_config(environ | {"PIP_CONFIG_FILE": str(tmp_path / "given.conf")}, etc=etc).index == "https://given%20"
    assert pip_config(environ | {"PIP_CONFIG_FILE": "/dev/null"}, etc=etc) == PipConfig()
    assert pip_config(environ | {"PIP_INDEX_URL": "https://env"}, etc=etc).index == "https://env"
    assert pip_config({"PIP_FIND_LINKS": "/opt/wheels"}, etc=tmp_path / "none") == PipConfig()


@pytest.mark.parametrize("address", ["https://me:pw@host/pypi", "https://me:pw@host/pypi/simple/"])
def test_a_mirror_never_stands_in_a_pin(address: str) -> None:
    network = Network(mirrors=pypi_mirror(address))
    assert network.mirrored(PYPI) == "https://me:pw@host/pypi/simple"
    assert network.mirrored(f"https://files.pythonhosted.org/{FILE}") == f"https://me:pw@host/pypi/{FILE}"
    assert canonical(f"https://host/pypi/{FILE}", network) == f"https://files.pythonhosted.org/{FILE}"
    assert canonical("https://me:pw@host/pypi/own/six.whl", network) == "https://host/pypi/own/six.whl"
    assert network.login("https://me:pw@host/x") == ("me", "pw")


def test_credentials_are_not_shown() -> None:
    assert str(Indexes(urls=("https://me:pw@host/simple", PYPI))) == f"https://host/simple, {PYPI}"


@pytest.mark.parametrize("as_json", [False, True])
def test_listing(as_json: bool, site: Site, network: Network, tmp_path: Path) -> None:
    first, second = SimpleIndex(site, "first", json=as_json), SimpleIndex(site, "second", json=as_json)
    first.add(make(tmp_path, "a_b", "1.0"), requires_python=">=3.8")
    second.add(make(tmp_path, "a_b", "9.0"))
    sdist = tmp_path / "a_b-1.1.tar.gz"
    sdist.write_bytes(b"")
    first.files["a-b"][sdist.name] = ("0" * 64, "")
    first.add(make(tmp_path, "a_b", "2.0"))
    found = listing("A.b", Indexes(urls=(first.url, second.url)), network)
    assert found is not None
    assert [(str(wheel.version), wheel.requires_python) for wheel in found.wheels] == [("1.0", ">=3.8"), ("2.0", "")]
    assert (found.index, found.sdists) == (first.url, ("a_b-1.1.tar.gz",))
    assert listing("nothing", Indexes(urls=(first.url,)), network) is None


def test_listing_of_a_folder(tmp_path: Path, network: Network) -> None:
    page = tmp_path / "simple" / "six" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="../../six-1.0-py3-none-any.whl">six</a><a>none</a><a href="six-2.whl" data-yanked>x</a>')
    found = listing("six", Indexes(urls=((tmp_path / "simple").as_uri(),)), network)
    assert found is not None
    assert [wheel.filename for wheel in found.wheels] == ["six-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"files": 3}'])
def test_json_that_is_none(body: bytes) -> None:
    with pytest.raises(DownloadFailed, match="PEP 691"):
        parse(body, "application/json")


def test_withdrawn_files_are_not_listed() -> None:
    body = b'{"files": [{"filename": "a", "yanked": "bad"}, {"filename": "b", "requires-python": null}]}'
    assert parse(body, "application/vnd.pypi.simple.v1+json") == [("b", "")]


def test_an_unreachable_page_is_absent(site: Site, network: Network) -> None:
    site.serve("/main/simple/six/", Answer(status=404))
    assert listing("six", Indexes(urls=(f"{site.url}/main/simple",)), network) is None
