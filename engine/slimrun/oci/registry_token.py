"""What a registry asks of those who ask it: basic logins and bearer tokens (RFC 7235; distribution, `spec/auth/token`)."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from slimrun.errors import DownloadFailed, IndexUnreachable, RegistryUnreachable
from slimrun.fetch.http import read

if TYPE_CHECKING:
    import requests

    from slimrun.fetch.network import Network
    from slimrun.oci.auth import Login

_MAX_TOKEN = 1 << 20
_SCHEME = re.compile(r'(\w+) +((?:\w+ *= *(?:"(?:\\.|[^"\\])*"|[^\s",]+) *,? *)+)')
_PARAMETER = re.compile(r'(\w+) *= *(?:"((?:\\.|[^"\\])*)"|([^\s",]+))')


class Header:
    """An Authorization header for requests, which drops it where another host is redirected to; "" sends none.

    It is given even when it is empty: without one, requests would send what ~/.netrc has.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.text:
            request.headers["Authorization"] = self.text
        return request


def parse_challenges(text: str) -> dict[str, dict[str, str]]:
    """The schemes of a WWW-Authenticate header, in small letters, each with its parameters."""
    return {
        scheme.lower(): {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(rest)
        }
        for scheme, rest in _SCHEME.findall(text)
    }


def basic(login: Login) -> Header:
    """User and password as they are sent."""
    return Header("Basic " + b64encode(f"{login.user}:{login.password}".encode()).decode())


def bearer(
    asked: dict[str, str], login: Login | None, *, registry: str, scope: str, network: Network, https: bool
) -> Header:
    """A token from the server that the challenge names, anonymous where there is no login; raises RegistryUnreachable."""
    realm = asked.get("realm", "")
    if urlsplit(realm).scheme != "https" and https:
        msg = f"the registry {registry} sends for tokens to {realm or 'no address'}, which is not https"
        raise RegistryUnreachable(msg, hint="do not use it until its administrator has mended that")
    wanted = {"service": asked.get("service", ""), "scope": asked.get("scope") or scope}
    form = None
    if login is not None and login.token:
        form = wanted | {"grant_type": "refresh_token", "client_id": "slimrun", "refresh_token": login.token}
    else:
        realm += ("&" if "?" in realm else "?") + urlencode({name: value for name, value in wanted.items() if value})
    auth = basic(login) if login is not None and login.user and form is None else Header("")
    try:
        data, _ = read(realm, network=network, accept="application/json", limit=_MAX_TOKEN, auth=auth, form=form)
        value = json.loads(data)
        return Header(f"Bearer {value.get('token') or value['access_token']}")
    except (IndexUnreachable, DownloadFailed) as error:
        hint = f"`docker login {registry}`, and check the name" if "refuses access" in error.message else error.hint
        msg = f"no token for the registry {registry}: {error.message}"
        raise RegistryUnreachable(msg, hint=hint) from error
    except (ValueError, KeyError, AttributeError) as error:
        msg = f"no token for the registry {registry}: its token server answers without one"
        raise RegistryUnreachable(msg, hint="run again; if it stays, ask its administrator") from error
