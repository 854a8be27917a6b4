"""What of slim.yaml reaches a build container, and in which form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import certifi
import pytest
from tests.treetext import content, tree

from slimrun.backend.surroundings import AUTHORITIES, FOLDER, surroundings
from slimrun.errors import RequirementNotMet
from slimrun.settings import BuildSettings, Mirrors, Settings

APT = {
    "/etc/apt": "dir",
    "/etc/apt/sources.list": "file 0644 'deb http://deb.debian.org/debian bookworm main\n'",
    "/etc/apt/sources.list.d/debian.sources": "file 0644 'URIs: http://deb.debian.org/debian-security\nSigned-By: /k\n'",
    "/etc/apt/sources.list.d/own.list": "file 0644 'deb https://deb.debian.org/debian/ x y\ndeb http://example.org/debian z\n'",
    "/etc/apt/trusted.gpg.d/a.gpg": "file 0644 key",
    "/etc/apt/sources.list.d/link.list": "symlink /nowhere",
}  # fmt: skip


def settings(build: BuildSettings | None = None, **mirrors: Any) -> Settings:
    return Settings(cache_dir=Path("/none"), build=build or BuildSettings(), mirrors=Mirrors(**mirrors))


def test_without_settings_apt_is_only_made_quiet() -> None:
    files, env = surroundings(settings(), tree(APT))
    assert list(files) == [f"{FOLDER}/apt/apt.conf"]
    assert 'Acquire::Languages "none";' in files.read(f"{FOLDER}/apt/apt.conf").decode()
    assert dict(env) == {"APT_CONFIG": f"{FOLDER}/apt/apt.conf", "DEBIAN_FRONTEND": "noninteractive"}


def test_authorities_are_a_file_that_each_program_is_told_of(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    files, env = surroundings(settings(BuildSettings(ca_certificates=bundle)), tree(APT))
    assert files.read(AUTHORITIES) == bundle.read_bytes()
    names = {name for name, value in env if value == AUTHORITIES}
    assert names == {
        *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO")
    }
    assert f'Acquire::https::CaInfo "{AUTHORITIES}";' in files.read(f"{FOLDER}/apt/apt.conf").decode()
    assert str(tmp_path) not in str(content(files)), "no path of this machine"


def test_authorities_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequirementNotMet, match=r"build\.ca_certificates: .*/none: No such file"):
        surroundings(settings(BuildSettings(ca_certificates=tmp_path / "none")), tree(APT))


def test_a_proxy_is_environment_and_in_no_file() -> None:
    files, env = surroundings(settings(BuildSettings(proxy="http://u:secret@p.test:3128")), tree(APT))
    assert {name for name, value in env if "secret" in value} == {
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
    }
    assert dict(env)["no_proxy"] == dict(env)["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert "secret" not in str(content(files))


@pytest.mark.parametrize("mirror", ["http://deb.test/debian", "http://deb.test/debian/"])
def test_a_mirror_replaces_debians_own_addresses_in_the_builders_lists(mirror: str) -> None:
    files, _ = surroundings(settings(debian=mirror), tree(APT))
    apt = f"{FOLDER}/apt"
    text = content(files)
    assert text[f"{apt}/sources.list"] == "deb http://deb.test/debian bookworm main\n"
    assert text[f"{apt}/sources.list.d/debian.sources"] == ("URIs: http://deb.test/debian-security\nSigned-By: /k\n")
    assert (
        text[f"{apt}/sources.list.d/own.list"] == "deb http://deb.test/debian/ x y\ndeb http://example.org/debian z\n"
    )
    assert f'Dir::Etc::SourceList "{apt}/sources.list";' in text[f"{apt}/apt.conf"]
    assert f'Dir::Etc::SourceParts "{apt}/sources.list.d";' in text[f"{apt}/apt.conf"]
    # A folder that is not there would be an error of apt's.
    assert f"{apt}/sources.list.d/none.list" in text
    assert not any("trusted" in path or "link.list" in path for path in text)


def test_a_mirror_of_another_name_has_no_security_updates() -> None:
    files, _ = surroundings(settings(debian="http://deb.test/frozen"), tree(APT))
    text = content(files)
    assert text[f"{FOLDER}/apt/sources.list"] == "deb http://deb.test/frozen bookworm main\n"
    assert "http://deb.debian.org/debian-security\n" in text[f"{FOLDER}/apt/sources.list.d/debian.sources"]


def test_the_order_of_settings_does_not_matter() -> None:
    one, two = (
        surroundings(settings(debian="http://deb.test/debian"), tree(rows))
        for rows in (APT, dict(reversed(APT.items())))
    )
    assert one[0].digest() == two[0].digest()
    assert one[1] == two[1] == tuple(sorted(one[1]))
