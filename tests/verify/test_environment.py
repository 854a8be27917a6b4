"""Variables of an image that name what the image does not have."""

from __future__ import annotations

import pytest
from tests.treetext import tree

from slimrun.verify.environment import PATHS, unfounded

IMAGE = tree(
    {
        "/etc/ssl/certs/ca.crt": b"authorities",
        "/etc/ssl/cert.pem": "symlink certs/ca.crt",
        "/usr/lib/locale/C.utf8/LC_CTYPE": b"",
        "/usr/lib/locale/de_DE@euro/LC_CTYPE": b"",
        "/usr/share/zoneinfo/Europe/Paris": b"TZif",
    }
)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"SSL_CERT_FILE": "/etc/ssl/cert.pem", "SSL_CERT_DIR": "/etc/ssl/certs"},
        {"SSL_CERT_FILE": ""},
        {"LC_ALL": "C.UTF-8"},
        {"LANG": "C.utf8", "LC_CTYPE": "C"},
        {"LANG": "POSIX"},
        {"LC_ALL": "de_DE@euro"},
        {"TZ": "Europe/Paris"},
        {"TZ": ":Europe/Paris"},
        {"TZ": "UTC"},
        {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"},
        {"TZ": "/etc/localtime"},
        {"OTHER": "/nowhere"},
    ],
)
def test_what_is_there(env: dict[str, str]) -> None:
    assert list(unfounded(IMAGE, env)) == []


@pytest.mark.parametrize("name", PATHS)
def test_paths(name: str) -> None:
    (text,) = unfounded(IMAGE, {name: "/nowhere"})
    assert text.startswith(f"{name} names /nowhere, which is not there: ")
    (other,) = unfounded(IMAGE, {name: "/etc/ssl/certs" if name != "SSL_CERT_DIR" else "/etc/ssl/cert.pem"})
    assert other.startswith(f"{name} names ")
    assert len(list(unfounded(IMAGE, {name: "relative"}))) == 1


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"LC_ALL": "en_US.UTF-8"}, "LC_ALL names the locale en_US.UTF-8, which is not there"),
        ({"LANG": "C.ISO-8859-1"}, "LANG names the locale C.ISO-8859-1"),
        ({"TZ": "Europe/Pris"}, "TZ names Europe/Pris, of which there is nothing in /usr/share/zoneinfo"),
        ({"TZ": ":America/Argentina/Buenos_Aires"}, "TZ names America/Argentina/Buenos_Aires"),
    ],
)
def test_what_is_not(env: dict[str, str], text: str) -> None:
    (found,) = unfounded(IMAGE, env)
    assert found.startswith(text)


def test_an_archive_may_hold_any_locale() -> None:
    image = IMAGE.merge(tree({"/usr/lib/locale/locale-archive": b"much"}))
    assert list(unfounded(image, {"LC_ALL": "en_US.UTF-8"})) == []
