"""Logins for registries, as `docker login` keeps them: config.json, credential stores and helpers.

Format: docker/cli, `configfile`; helpers speak docker-credential-helpers' protocol. Read by us, since docker-py takes 0.2 s to load
and the local backend needs nothing else of it.
"""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slimrun.errors import RegistryUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 60.0
# What a helper answers for a registry that it has nothing for (docker-credential-helpers, credentials/error.go).
_NOTHING = "credentials not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user with a password, or an identity token that an OAuth2 server exchanges (`user` is then not sent)."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def find_login(registry: str, environ: Mapping[str, str]) -> Login | None:
    """What `docker login REGISTRY` left, or None; raises RegistryUnreachable where a helper fails."""
    config = _read(environ)
    key = _HUB_KEY if registry == _HUB else registry
    helper = _dict(config, "credHelpers").get(registry) or config.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _ask(helper, key, environ)
        if found is not None:
            return found
    for name, entry in sorted(_dict(config, "auths").items()):
        if isinstance(entry, dict) and _host(name) == _host(key):
            return _login(entry)
    return None


def config_file(environ: Mapping[str, str]) -> Path:
    """Where Docker's own configuration is or would be."""
    folder = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME") or "/nonexistent") / ".docker")
    return Path(folder) / "config.json"


def _read(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        value = json.loads(config_file(environ).read_bytes())
    except (OSError, ValueError):  # the docker command, too, goes on without it
        return {}
    return value if isinstance(value, dict) else {}


def _dict(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _host(key: str) -> str:
    """`https://index.docker.io/v1/` and `index.docker.io` are one entry."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _login(entry: dict[str, Any]) -> Login | None:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = b64decode(str(entry["auth"])).decode().partition(":")
        except ValueError:
            return None
    token = str(entry.get("identitytoken") or "")
    return Login(user=user, password=password.rstrip("\0"), token=token) if user or token else None


def _ask(helper: str, key: str, environ: Mapping[str, str]) -> Login | None:
    """`docker-credential-<helper> get`, given the registry on its standard input."""
    program = f"docker-credential-{helper}"
    hint = f"run `echo {key} | {program} get` to see it, or log in again with `docker login`"
    try:
        done = subprocess.run(
            [program, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            env=dict(environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"the credential helper {program}, which Docker's config.json names for {key}, does not work: {error}"
        raise RegistryUnreachable(msg, hint=hint) from error
    if done.returncode != 0:
        said = (done.stdout.strip() or done.stderr.strip()).partition("\n")[0]
        if _NOTHING in said:
            return None
        msg = f"the credential helper {program} has no login for {key}: {said or f'it ended with {done.returncode}'}"
        raise RegistryUnreachable(msg, hint=hint)
    try:
        value = json.loads(done.stdout)
        user, secret = str(value["Username"]), str(value["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"the credential helper {program} answers with something else than a login"
        raise RegistryUnreachable(msg, hint=hint) from error
    if not user and not secret:
        return None
    return Login(token=secret) if user == "<token>" else Login(user=user, password=secret)
