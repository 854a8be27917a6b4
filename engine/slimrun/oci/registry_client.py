"""Requests to one repository of a registry (distribution-spec 1.1), logged in where it asks for that."""

from __future__ import annotations

from threading import Event as Flag
from threading import Lock
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from slimrun.errors import ImageNotFound, IndexUnreachable, RegistryUnreachable
from slimrun.fetch.http import Refused, again, asking
from slimrun.fetch.network import is_loopback
from slimrun.oci.registry_token import Header, basic, bearer, parse_challenges

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from slimrun.fetch.network import Network
    from slimrun.oci.auth import Login
    from slimrun.recipe.reference import Reference

T = TypeVar("T")

HUB = {"docker.io": "registry-1.docker.io"}
_DOWN = "check the network and build.proxy in slim.yaml, or map the registry with mirrors.images; then run again"


class Client:
    """One repository; safe for several threads, which share a token. A login is looked for when the registry asks for one."""

    def __init__(
        self,
        reference: Reference,
        network: Network,
        find_login: Callable[[str], Login | None],
        *,
        actions: str = "pull",
    ) -> None:
        self._reference, self._network, self._find_login = reference, network, find_login
        self._scope = f"repository:{reference.repository}:{actions}"
        self._header, self._base = Header(""), ""
        self._login: Login | None = None
        self._lock = Lock()

    def get(
        self,
        path: str,
        use: Callable[[requests.Response], T],
        *,
        accept: str = "*/*",
        opened: Callable[[requests.Response], None] = lambda _: None,
        stop: Flag | None = None,
    ) -> T:
        """What `use` makes of the answer for `/v2/<repository>/<path>`; asking and using are tried again where that may help.

        Raises ImageNotFound, RegistryUnreachable, DownloadFailed, and what `use` raises.
        """
        return self.ask("GET", path, use, accept=accept, opened=opened, stop=stop)

    def ask(
        self,
        method: str,
        path: str,
        use: Callable[[requests.Response], T],
        *,
        accept: str = "*/*",
        opened: Callable[[requests.Response], None] = lambda _: None,
        stop: Flag | None = None,
        body: Callable[[], BinaryIO] | None = None,
        kind: str = "",
    ) -> T:
        """The same for any method, and for a whole address that the registry gave; each try opens `body` anew.

        The login goes to the registry's own address alone.
        """
        own = f"{self._address()}/"
        url = path if "://" in path else f"{own}v2/{self._reference.repository}/{path}"
        found: list[T] = []

        def once(header: Header) -> None:
            auth = header if url.startswith(own) else Header("")
            with asking(url, self._network, accept, opened, auth=auth, method=method, body=body, kind=kind) as answer:
                found.append(use(answer))

        def attempt() -> None:
            header = self._header
            try:
                try:
                    once(header)
                except Refused as refused:
                    if refused.status != 401:
                        raise
                    once(self._log_in(refused, header))
            except Refused as refused:
                self._explain(refused.status)
                raise

        try:
            again(attempt, url, self._network, stop or Flag())
        except IndexUnreachable as error:
            hint = error.hint if isinstance(error.__cause__, requests.exceptions.SSLError) else _DOWN
            msg = f"the registry {self._reference.registry}: {error.message}"
            raise RegistryUnreachable(msg, hint=hint) from error
        return found[-1]

    def _explain(self, status: int) -> None:
        """Raise what a status means here; nothing where it is as everywhere."""
        name, registry = self._reference, self._reference.registry
        if status == 404:
            hint = "check the name and tag, or map it with mirrors.images in slim.yaml"
            msg = f"there is no image {name}"
            raise ImageNotFound(msg, hint=hint) from None
        if status in (401, 403):
            known = "with the login that Docker's configuration has for it" if self._login else "without a login"
            msg = f"the registry {registry} gives no access to {name} {known} ({status})"
            raise RegistryUnreachable(msg, hint=f"`docker login {registry}`, and check the name") from None

    def _log_in(self, refused: Refused, instead_of: Header) -> Header:
        """A header that the registry may accept; raises the refusal where there is none."""
        with self._lock:
            if self._header is not instead_of:
                return self._header  # another thread was faster
            registry = self._reference.registry
            asked = parse_challenges(refused.headers.get("WWW-Authenticate", ""))
            self._login = self._find_login(registry)
            if "bearer" in asked:
                self._header = bearer(
                    asked["bearer"],
                    self._login,
                    registry=registry,
                    scope=self._scope,
                    network=self._network,
                    https=self._base.startswith("https:"),
                )
            elif "basic" in asked and self._login is not None and self._login.user:
                self._header = basic(self._login)
            else:
                raise refused
            return self._header

    def _address(self) -> str:
        """Where the registry is; one on this machine may speak plain HTTP, as it may to Docker."""
        with self._lock:
            if not self._base:
                host = HUB.get(self._reference.registry, self._reference.registry)
                local = is_loopback(urlsplit(f"//{host}").hostname or "")
                self._base = f"http://{host}" if local and not self._speaks_tls(host) else f"https://{host}"
        return self._base

    def _speaks_tls(self, host: str) -> bool:
        """A server that wants TLS answers plain HTTP with 400, or with nothing that is HTTP."""
        try:
            with asking(f"http://{host}/v2/", self._network, "*/*", lambda _: None, auth=Header("")):
                return False
        except Refused as refused:
            return refused.status == 400
        except requests.exceptions.ReadTimeout as error:  # whoever says nothing at all would not say more over TLS
            msg = f"the registry {self._reference.registry} takes the connection and does not answer"
            raise RegistryUnreachable(msg, hint=_DOWN) from error
        except requests.ConnectionError as error:
            return isinstance(error.args[0] if error.args else None, urllib3.exceptions.ProtocolError)
        except requests.RequestException:
            return False
