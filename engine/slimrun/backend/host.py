"""Which engine is meant, and who chose it; and the one question that a run asks in which all is cached."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from slimrun.backend.connection import UnixConnection, plain_connection
from slimrun.errors import EngineUnreachable
from slimrun.oci.config import Config, read_config
from slimrun.settings import ENGINE_ADDRESS, HOW_ENGINES_ARE_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.settings import DockerSettings

DEFAULT_HOST = "unix:///var/run/docker.sock"
ANSWER_LIMIT = 8 << 20


@dataclass(frozen=True, slots=True)
class Host:
    """An engine's address, and who chose it: a person needs both to mend it. `context` names one that holds TLS files."""

    url: str
    chosen_by: str
    context: str = ""
    tls_verify: bool = False


def choose_host(settings: DockerSettings, environ: Mapping[str, str]) -> Host:
    """The engine that the docker command would talk to, unless slim.yaml or a flag names another; raises EngineUnreachable."""
    if settings.host:
        return Host(settings.host, "docker.host in slim.yaml, or --docker-host")
    if not settings.context and (url := environ.get("DOCKER_HOST")):
        if not ENGINE_ADDRESS.fullmatch(url):
            msg = f"DOCKER_HOST is {url!r}, which is no address of an engine"
            raise EngineUnreachable(msg, hint=f"{HOW_ENGINES_ARE_WRITTEN}, or unset it")
        return Host(url, "DOCKER_HOST", tls_verify=bool(environ.get("DOCKER_TLS_VERIFY")))
    name = settings.context or environ.get("DOCKER_CONTEXT") or _current_context(environ)
    if name and name != "default":
        from slimrun.backend.docker import context_host  # only Docker's own client knows where contexts are kept

        return Host(context_host(name), f"the docker context '{name}'", context=name)
    return Host(DEFAULT_HOST, "the default: neither slim.yaml nor DOCKER_HOST nor a docker context names another")


def image_facts(host: Host, name: str, *, timeout: float) -> dict[str, Any] | None:
    """What an engine on a Unix socket knows of an image, asked without loading docker (0.2 s); None for any other answer.

    None says nothing: whoever needs to know more asks again through `docker.Engine`.
    """
    if not host.url.startswith("unix://"):
        return None
    connection = UnixConnection(host.url.removeprefix("unix://"), timeout)
    try:
        connection.request("GET", f"/images/{quote(name)}/json", headers={"Host": "docker"})
        answer = connection.getresponse()
        data = answer.read(ANSWER_LIMIT)
        value = json.loads(data) if answer.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return value if isinstance(value, dict) else None


def engine_key(host: Host) -> str:
    """What an engine is remembered by in the cache."""
    return hashlib.sha256(host.url.encode()).hexdigest()


def refusal(host: Host, *, timeout: float, known: bool = False) -> str:
    """Why no engine answers at an address, or "" where one does; only an address with TLS or ssh needs docker for it.

    Of one that is `known` to have answered before, on a Unix socket, nothing is asked: that it takes a connection is enough.
    """
    try:
        connection = plain_connection(host, timeout)
        if connection is None:
            from slimrun.backend.docker import answers

            return answers(host, timeout=timeout)
        with closing(connection):
            if known and isinstance(connection, UnixConnection):
                connection.connect()
                return ""
            connection.request("GET", "/_ping", headers={"Host": "docker"})
            status = connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "" if status == 200 else f"it answers {status}"


def _current_context(environ: Mapping[str, str]) -> str:
    folder = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME") or "/nonexistent") / ".docker")
    try:
        value = json.loads((Path(folder) / "config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    return str(value.get("currentContext") or "") if isinstance(value, dict) else ""


def config_of(facts: dict[str, Any]) -> Config:
    """The config in what an engine says of an image."""
    value = {
        "architecture": facts["Architecture"],
        "os": facts["Os"],
        "variant": facts.get("Variant"),
        "config": facts.get("Config"),
        "rootfs": {"diff_ids": facts["RootFS"].get("Layers") or []},
    }
    return read_config(json.dumps(value).encode(), what=facts["Id"])
