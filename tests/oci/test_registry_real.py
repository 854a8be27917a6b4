"""Against docker-registry itself: plain on loopback, and with TLS by a private CA and htpasswd."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.oci.registry_kit import PASSWORD, USER, Made, index, make, push, real_registry, registry, sha
from tests.treetext import tree

from slimrun.errors import ImageNotFound, RegistryUnreachable
from slimrun.oci.auth import Login, find_login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slimrun.cache.store import Cache

AMD64 = "linux/amd64"
LOGIN = Login(user=USER, password=PASSWORD)


@dataclass(frozen=True)
class Served:
    """One image, `team/app:1` alone and `team/app:all` in an index, in two registries over one storage."""

    plain: str
    secure: str
    ca: Path
    made: Made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("registry")
    (folder / "plain").mkdir()
    (folder / "secure").mkdir()
    made = make(folder / "made", tree({"/a": bytes(range(256)) * 9999}), tree({"/b": b"b"}), docker=True)
    other = make(folder / "made", tree({"/c": b"c"}), platform="linux/arm64/v8", docker=True)
    data, kind = index({AMD64: made, "linux/arm64/v8": other}, docker=True)
    with (
        real_registry(folder / "plain", folder / "storage") as plain,
        real_registry(folder / "secure", folder / "storage", secure=True) as secure,
    ):
        for tag, image in (("2", other), ("1", made)):
            push(f"http://{plain}", image, "team/app", tag)
        push(f"http://{plain}", Made(manifest=data, media_type=kind), "team/app", "all")
        yield Served(plain, secure, folder / "secure/ca.pem", made)


@pytest.mark.parametrize("tag", ["1", "all"])
def test_plain(served: Served, cache: Cache, tag: str) -> None:
    address = f"{served.plain}/team/app:{tag}"
    pulling = registry(cache)
    settled = pulling.settle(address, AMD64)
    assert settled.config_digest == served.made.config
    pulling.fetch(address, settled)
    assert [sha(cache.blob_path(item).read_bytes()) for item in settled.config.diff_ids] == list(served.made.diff_ids)


def test_unknown(served: Served, cache: Cache) -> None:
    for name in ("team/app:9", "team/none:1", f"team/app@sha256:{'0' * 64}"):
        with pytest.raises(ImageNotFound, match="there is no image"):
            registry(cache).settle(f"{served.plain}/{name}", AMD64)


def test_tls_and_htpasswd_with_docker_s_own_configuration(served: Served, cache: Cache, tmp_path: Path) -> None:
    auth = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {served.secure: {"auth": auth}}}))
    login = find_login(served.secure, {"DOCKER_CONFIG": str(tmp_path)})
    address = f"{served.secure}/team/app:1"
    pulling = registry(cache, login=login, ca_bundle=served.ca)
    settled = pulling.settle(address, AMD64)
    pulling.fetch(address, settled)
    assert all(map(cache.has_blob, served.made.diff_ids))


@pytest.mark.parametrize("login", [None, Login(user=USER, password="wrong")])
def test_no_or_a_wrong_login(served: Served, cache: Cache, login: Login | None) -> None:
    with pytest.raises(RegistryUnreachable, match="gives no access to") as caught:
        registry(cache, login=login, ca_bundle=served.ca).settle(f"{served.secure}/team/app:1", AMD64)
    assert caught.value.exit_code == 4
    assert f"docker login {served.secure}" in caught.value.hint
    assert "wrong" not in caught.value.render()


def test_a_ca_that_nobody_gave(served: Served, cache: Cache) -> None:
    with pytest.raises(RegistryUnreachable, match="certificate is not trusted") as caught:
        registry(cache, login=LOGIN).settle(f"{served.secure}/team/app:1", AMD64)
    assert "build.ca_certificates" in caught.value.hint
