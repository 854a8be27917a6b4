"""An image's config (OCI image-spec, config.md): read from a base, written for a result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slimrun.errors import BadArchive

Pairs = tuple[tuple[str, str], ...]
MAX_CONFIG = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of an image's history; `empty` for one that has no layer."""

    created_by: str
    comment: str = ""
    created: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A health check; times in nanoseconds, as the format has them."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an image says of itself. `diff_ids` are bare sha256 hex, lowest layer first; `created` is RFC 3339."""

    architecture: str
    os: str = "linux"
    variant: str = ""
    created: str = ""
    env: Pairs = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    expose: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Pairs = ()
    stop_signal: str = ""
    health: Health | None = None
    history: tuple[Step, ...] = ()
    diff_ids: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """The config's bytes: canonical JSON, so that its digest depends on the values alone."""
        inner: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.expose},
            "Env": [f"{name}={value}" for name, value in self.env],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Volumes": {path: {} for path in self.volumes},
            "WorkingDir": self.workdir,
            "Labels": dict(self.labels),
            "StopSignal": self.stop_signal,
            "Healthcheck": _health(self.health) if self.health else None,
        }
        value = {
            "architecture": self.architecture,
            "os": self.os,
            "created": self.created,
            "config": {key: item for key, item in inner.items() if item},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{item}" for item in self.diff_ids]},
            "history": [_step(step) for step in self.history],
        }
        if self.variant:
            value["variant"] = self.variant
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()

    def digest(self) -> str:
        """The bare sha256 hex of the config's bytes: what slimrun calls the image's digest."""
        return hashlib.sha256(self.to_json()).hexdigest()


def read_config(data: bytes, *, what: str) -> Config:
    """A config from its bytes; raises BadArchive for what is not one. Keys that slimrun has no use for are not kept."""
    try:
        value = json.loads(data)
        inner = value.get("config") or {}
        return Config(
            architecture=value["architecture"],
            os=value["os"],
            variant=value.get("variant") or "",
            created=value.get("created") or "",
            env=tuple(_pair(item) for item in inner.get("Env") or ()),
            entrypoint=tuple(inner.get("Entrypoint") or ()),
            cmd=tuple(inner.get("Cmd") or ()),
            user=inner.get("User") or "",
            workdir=inner.get("WorkingDir") or "",
            expose=tuple(sorted(inner.get("ExposedPorts") or ())),
            volumes=tuple(sorted(inner.get("Volumes") or ())),
            labels=tuple(sorted((inner.get("Labels") or {}).items())),
            stop_signal=inner.get("StopSignal") or "",
            history=tuple(_read_step(item) for item in value.get("history") or ()),
            diff_ids=tuple(item.removeprefix("sha256:") for item in value["rootfs"]["diff_ids"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{what} has no config that can be read: {error}"
        raise BadArchive(msg) from error


def timestamp(epoch: int) -> str:
    """Seconds since 1970 as RFC 3339."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def _step(step: Step) -> dict[str, Any]:
    value: dict[str, Any] = {"created_by": step.created_by}
    if step.created:
        value["created"] = step.created
    if step.comment:
        value["comment"] = step.comment
    if step.empty:
        value["empty_layer"] = True
    return value


def _read_step(item: dict[str, Any]) -> Step:
    return Step(
        created_by=item.get("created_by") or "",
        comment=item.get("comment") or "",
        created=item.get("created") or "",
        empty=bool(item.get("empty_layer")),
    )


def _health(health: Health) -> dict[str, Any]:
    value: dict[str, Any] = {
        "Test": list(health.test),
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "Retries": health.retries,
    }
    return {key: item for key, item in value.items() if item}
