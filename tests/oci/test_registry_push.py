"""Pushing against docker-registry itself, plain and with TLS and a login: what arrives is what was assembled, and once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tests.fetch.loopback import Site
from tests.oci.registry_kit import PASSWORD, USER, real_registry, registry
from tests.treetext import tree

from slimrun.cache.store import Cache
from slimrun.errors import BadArchive, RegistryUnreachable
from slimrun.events import Event, Note, Progress
from slimrun.fetch.network import Network
from slimrun.oci.auth import Login
from slimrun.oci.config import Config
from slimrun.oci.layer import write_layer
from slimrun.oci.layout import make_layout
from slimrun.oci.manifest import OCI_MANIFEST
from slimrun.oci.push import Pushed, Pusher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slimrun.oci.layout import Layout

LOGIN = Login(user=USER, password=PASSWORD)


@dataclass(frozen=True)
class Served:
    plain: str
    secure: str
    ca: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("registry")
    for name in ("plain", "secure"):
        (folder / name).mkdir()
    with (
        real_registry(folder / "plain", folder / "storage") as plain,
        real_registry(folder / "secure", folder / "storage2", secure=True) as secure,
    ):
        yield Served(plain, secure, folder / "secure/ca.pem")


class Image:
    """A small image in a cache, ready to be pushed."""

    def __init__(self, folder: Path, text: str = "x") -> None:
        self.cache = Cache(folder)
        layers = [write_layer(tree({f"/{name}": data}), self.cache, name="x", epoch=0) for name, data in
                  (("a", bytes(range(256)) * 20_000), ("b", text.encode()))]  # fmt: skip
        self.config = Config(architecture="amd64", cmd=(text,), diff_ids=tuple(layer.diff_id for layer in layers))
        self.events: list[Event] = []

    def layout(self) -> Layout:
        return make_layout(self.config, ("x",), self.cache)

    def pusher(self, login: Login | None = None, **facts: Any) -> Pusher:
        network = Network(**({"retries": 1, "backoff": 0.01, "connect_timeout": 2.0, "read_timeout": 5.0} | facts))
        return Pusher(network, self.cache, self.events.append, lambda _: login)

    def push(self, *names: str, login: Login | None = None, **facts: Any) -> Pushed:
        return self.pusher(login, **facts).push(self.config, names, None)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path / "cache")


def test_what_arrives_is_the_image(image: Image, served: Served, tmp_path: Path) -> None:
    name = f"{served.plain}/team/app:1"
    pushed = image.push(name)
    assert pushed == Pushed(digest=image.layout().digest, names=(name,))
    other = Cache(tmp_path / "other")
    settled = registry(other).settle(name, "linux/amd64")
    assert (settled.digest, settled.config_digest) == (pushed.digest, image.config.digest())
    registry(other).fetch(name, settled)
    for diff_id in image.config.diff_ids:
        assert other.blob_path(diff_id).read_bytes() == image.cache.blob_path(diff_id).read_bytes()
    (last,) = [event for event in image.events if isinstance(event, Progress)][-1:]
    assert image.events[-1] == Note(text=f"pushed {name}@sha256:{pushed.digest}", level=0)
    assert last.done == last.total == sum(layer.size for layer in image.layout().layers)


def test_several_names_and_only_what_is_missing(image: Image, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    original = requests.Session.request

    def request(session: requests.Session, method: str, url: str, **more: Any) -> requests.Response:
        sent.append(f"{method} {url.partition('/v2/')[2].partition('?')[0]}")
        return original(session, method, url, **more)

    image.push(f"{served.plain}/once/app:1")
    monkeypatch.setattr(requests.Session, "request", request)
    pushed = image.push(f"{served.plain}/once/app:1", f"{served.plain}/once/app:2")
    assert [line for line in sent if not line.startswith(("HEAD", "GET"))] == [
        "PUT once/app/manifests/1", "PUT once/app/manifests/2",
    ]  # fmt: skip
    assert image.pusher().is_there(pushed)


def test_whether_it_is_still_there(image: Image, served: Served, tmp_path: Path) -> None:
    name = f"{served.plain}/moves/app:1"
    pushed = image.push(name)
    assert image.pusher().is_there(pushed)
    other = Image(tmp_path / "other", "y")
    other.push(name)
    assert not image.pusher().is_there(pushed)
    assert not image.pusher().is_there(Pushed(digest=pushed.digest, names=(f"{served.plain}/none/app:1",)))
    image.push(name)
    assert image.pusher().is_there(pushed)


def test_tls_and_a_login(image: Image, served: Served) -> None:
    name = f"{served.secure}/team/app:1"
    pushed = image.push(name, login=LOGIN, ca_bundle=served.ca)
    assert image.pusher(LOGIN, ca_bundle=served.ca).is_there(pushed)


@pytest.mark.parametrize("login", [None, Login(user=USER, password="wrong")])
def test_no_access(image: Image, served: Served, login: Login | None) -> None:
    with pytest.raises(RegistryUnreachable, match="gives no access to") as caught:
        image.push(f"{served.secure}/team/other:1", login=login, ca_bundle=served.ca)
    assert "docker login" in caught.value.hint
    assert "wrong" not in caught.value.render()
    assert caught.value.exit_code == 4


def test_no_registry(image: Image) -> None:
    with pytest.raises(RegistryUnreachable):
        image.push("127.0.0.1:9/team/app:1")


def test_a_registry_that_does_not_say_what_it_has(image: Image) -> None:
    with Site() as site:
        site.answers["/v2/app/manifests/1"] = []
        pushed = Pushed(digest="a" * 64, names=(f"{site.url.removeprefix('http://')}/app:1",))
        with pytest.raises(BadArchive, match="does not say which image"):
            image.pusher().is_there(pushed)


def test_the_manifest_comes_last(image: Image, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that breaks off leaves no name behind."""
    original = Pusher._upload

    def upload(pusher: Pusher, client: Any, digest: str, body: Any) -> None:
        if digest == image.config.digest():
            msg = "it went away"
            raise RegistryUnreachable(msg)
        original(pusher, client, digest, body)

    monkeypatch.setattr(Pusher, "_upload", upload)
    with pytest.raises(RegistryUnreachable):
        image.push(f"{served.plain}/broken/app:1")
    url = f"http://{served.plain}/v2/broken/app/manifests/1"
    assert requests.get(url, headers={"Accept": OCI_MANIFEST}, timeout=10).status_code == 404
