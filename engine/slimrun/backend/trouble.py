"""What goes wrong with an engine, in words for a person; which library said so is told apart in docker.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from slimrun.errors import DiskFull, EngineUnreachable, ImageNotFound, RegistryUnreachable

if TYPE_CHECKING:
    from slimrun.backend.host import Host
    from slimrun.errors import SlimrunError


def unreachable(host: Host, reason: str) -> EngineUnreachable:
    """No engine answers: which one was meant, who chose it, and what to do."""
    msg = f"no Docker Engine answers at {host.url} ({host.chosen_by}): {reason}"
    return EngineUnreachable(msg, hint=_how_to_reach(host, reason))


def _how_to_reach(host: Host, reason: str) -> str:
    if "paramiko" in reason:
        return "pip install 'docker[ssh]' beside slimrun, or forward the engine's socket with ssh -L and name that"
    if "Permission denied" in reason:
        return "join the group `docker` (and log in again), or run slimrun as a user that may use this socket"
    if host.url.startswith("unix://"):
        return "start the engine (`sudo systemctl start docker`), or name another with DOCKER_HOST or docker.host in slim.yaml"
    return "check the address and that the engine listens there, or name another with DOCKER_HOST or docker.host in slim.yaml"


def innermost(error: BaseException) -> str:
    """The system's own words below the layers of libraries that wrapped them."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and item not in seen:
            seen.append(item)
            todo += [*item.args, item.__cause__, item.__context__, getattr(item, "reason", None)]
    system = [item for item in seen if isinstance(item, OSError) and item.errno]
    return os.strerror(system[-1].errno or 0) if system else str(error)


def pull_error(reference: str, text: str) -> SlimrunError:
    """What an engine says of a pull, told apart by its words."""
    lowered = text.lower()
    if "no space left" in lowered:
        return disk_full(text)
    if any(word in lowered for word in ("not found", "manifest unknown", "repository does not exist", "denied")):
        hint = "check the name and tag, `docker login` if it is private, or map it with mirrors.images in slim.yaml"
        return ImageNotFound(f"there is no image {reference}, or no access to it: {text}", hint=hint)
    hint = "check the network and proxy of the engine, or map the registry with mirrors.images in slim.yaml"
    return RegistryUnreachable(f"the engine cannot pull {reference}: {text}", hint=hint)


def disk_full(text: str) -> DiskFull:
    """The engine's disk, not this machine's."""
    return DiskFull(f"the engine has no space left: {text}", hint="`docker system df` shows what takes it")
