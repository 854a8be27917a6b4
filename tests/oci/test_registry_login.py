"""Tokens and basic logins: what is sent, to whom, and what is said where it does not help."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from tests.fetch.loopback import Answer, Site
from tests.oci.registry_kit import Made, host, make, publish, registry
from tests.treetext import tree

from slimrun.errors import RegistryUnreachable
from slimrun.oci.auth import Login

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.cache.store import Cache

AMD64 = "linux/amd64"
LOGIN = Login(user="u", password="p")
BASIC = "Basic " + b64encode(b"u:p").decode()
MANIFEST = "/v2/app/manifests/1"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path / "made", tree({"/a": b"a"}), tree({"/b": b"b"}))


def refused(challenge: str) -> Answer:
    return Answer(status=401, headers=(("WWW-Authenticate", challenge),))


def bearer(site: Site, path: str = "/token") -> Answer:
    return refused(f'Bearer realm="{site.url}{path}",service="reg",scope="repository:app:pull"')


def sent(site: Site, path: str) -> list[str | None]:
    """The Authorization headers that came with requests for a path, in order."""
    return [
        headers.get("Authorization") for asked, headers in zip(site.asked, site.headers, strict=True) if asked == path
    ]


@pytest.mark.parametrize("key", ["token", "access_token"])
@pytest.mark.parametrize(("login", "header"), [(None, None), (LOGIN, BASIC)], ids=["anonymous", "login"])
def test_a_token_is_fetched_once_and_sent_with_everything(
    site: Site, cache: Cache, made: Made, login: Login | None, header: str | None, key: str
) -> None:
    address = publish(site, made)
    site.answers[MANIFEST].insert(0, bearer(site))
    token = "/token?service=reg&scope=repository%3Aapp%3Apull"
    site.serve(token, f'{{"{key}": "T"}}'.encode())
    pulling = registry(cache, login=login)
    settled = pulling.settle(address, AMD64)
    assert sent(site, token) == [header]
    assert sent(site, MANIFEST) == [None, "Bearer T"]
    assert sent(site, f"/v2/app/blobs/sha256:{made.config}") == ["Bearer T"]
    for digest in made.layers:
        site.answers[f"/v2/app/blobs/sha256:{digest}"].insert(0, bearer(site))
    pulling.fetch(address, settled)
    assert all(map(cache.has_blob, made.diff_ids))


def test_an_identity_token_is_exchanged_and_never_in_an_address(site: Site, cache: Cache, made: Made) -> None:
    address = publish(site, made)
    site.answers[MANIFEST].insert(0, bearer(site, "/exchange"))
    site.serve("/exchange", b'{"access_token": "T"}')
    registry(cache, login=Login(token="identity")).settle(address, AMD64)
    assert sent(site, MANIFEST)[-1] == "Bearer T"
    assert not any("identity" in path for path in site.asked)
    assert site.bodies[site.asked.index("/exchange")].startswith(
        b"service=reg&scope=repository%3Aapp%3Apull&grant_type=refresh_token"
    )


def test_a_token_that_ran_out_is_fetched_again(site: Site, cache: Cache, made: Made) -> None:
    address = publish(site, made)
    site.answers[MANIFEST].insert(0, bearer(site))
    token = "/token?service=reg&scope=repository%3Aapp%3Apull"
    site.serve(token, b'{"token": "one"}', b'{"token": "two"}')
    config = f"/v2/app/blobs/sha256:{made.config}"
    site.answers[config].insert(0, bearer(site))
    registry(cache).settle(address, AMD64)
    assert sent(site, config) == ["Bearer one", "Bearer two"]


def test_basic(site: Site, cache: Cache, made: Made) -> None:
    address = publish(site, made)
    site.answers[MANIFEST].insert(0, refused('Basic realm="x"'))
    registry(cache, login=LOGIN).settle(address, AMD64)
    assert sent(site, MANIFEST) == [None, BASIC]


@pytest.mark.parametrize("login", [None, LOGIN, Login(token="t")])
@pytest.mark.parametrize("challenge", ['Basic realm="x"', "", "Negotiate"])
def test_no_login_or_a_wrong_one_says_docker_login(
    site: Site, cache: Cache, made: Made, login: Login | None, challenge: str
) -> None:
    address = publish(site, made)
    site.serve(MANIFEST, refused(challenge))
    with pytest.raises(RegistryUnreachable, match="gives no access to") as caught:
        registry(cache, login=login).settle(address, AMD64)
    assert f"`docker login {host(site)}`" in caught.value.hint
    assert ("without a login" in caught.value.message) == (login is None)
    assert len(sent(site, MANIFEST)) <= 2, "a refusal is not tried again"


def test_a_token_server_that_refuses(site: Site, cache: Cache, made: Made) -> None:
    address = publish(site, made)
    site.serve(MANIFEST, bearer(site))
    site.serve("/token?service=reg&scope=repository%3Aapp%3Apull", Answer(status=401))
    with pytest.raises(RegistryUnreachable, match=r"no token for the registry .*refuses access") as caught:
        registry(cache, login=LOGIN).settle(address, AMD64)
    assert "docker login" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff"])
def test_a_token_server_without_tokens(site: Site, cache: Cache, made: Made, body: bytes) -> None:
    address = publish(site, made)
    site.serve(MANIFEST, bearer(site))
    site.serve("/token?service=reg&scope=repository%3Aapp%3Apull", body)
    with pytest.raises(RegistryUnreachable, match="answers without one"):
        registry(cache).settle(address, AMD64)


def test_an_image_that_the_token_does_not_open(site: Site, cache: Cache, made: Made) -> None:
    """Docker Hub answers so for a name that does not exist: the hint says both."""
    address = publish(site, made)
    site.serve(MANIFEST, bearer(site))
    site.serve("/token?service=reg&scope=repository%3Aapp%3Apull", b'{"token": "T"}')
    with pytest.raises(RegistryUnreachable, match=r"without a login \(401\)") as caught:
        registry(cache).settle(address, AMD64)
    assert "check the name" in caught.value.hint


def test_a_redirect_to_another_host_gets_no_login(site: Site, cache: Cache, made: Made) -> None:
    address = publish(site, made)
    site.answers[MANIFEST].insert(0, refused('Basic realm="x"'))
    with Site() as store:
        config = f"/v2/app/blobs/sha256:{made.config}"
        store.serve("/signed", made.blobs[made.config])
        site.serve(config, Answer(status=307, headers=(("Location", f"{store.url}/signed"),)))
        registry(cache, login=LOGIN).settle(address, AMD64)
        assert sent(site, config) == [BASIC]
        assert sent(store, "/signed") == [None]


def test_netrc_is_for_indexes_and_is_not_sent(
    site: Site, cache: Cache, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    registry(cache).settle(publish(site, made), AMD64)
    assert {headers.get("Authorization") for headers in site.headers} == {None}


def test_loopback_is_never_asked_through_a_proxy(
    site: Site, cache: Cache, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    registry(cache, proxy="http://127.0.0.1:9").settle(publish(site, made), AMD64)
