"""Wheels made in pure Python, honest ones and others."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from slimrun.plan.pins import WheelPin

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)


def record_line(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def contents(
    name: str,
    version: str,
    files: dict[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    requires: tuple[str, ...] = (),
    requires_python: str = "",
    metadata: str = "",
) -> dict[str, bytes]:
    """All members of a wheel but RECORD."""
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    lines += [f"Requires-Dist: {one}\n" for one in requires]
    lines += [f"Requires-Python: {requires_python}\n"] if requires_python else []
    pure = "true" if tag.endswith("none-any") else "false"
    default = {f"{name}/__init__.py": f"version = {version!r}\n".encode()}
    return (default if files is None else files) | {
        f"{info}/METADATA": (metadata or "".join(lines)).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode(),
    }


def with_record(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members and a RECORD of them."""
    info = next(path.partition("/")[0] for path in members if ".dist-info/" in path)
    lines = "".join(record_line(path, data) for path, data in members.items())
    return members | {f"{info}/RECORD": f"{lines}{info}/RECORD,,\n".encode()}


def pack(members: dict[str, bytes], *, executable: tuple[str, ...] = (), method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of them, the same bytes each time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, data in members.items():
            info = zipfile.ZipInfo(path, EPOCH)
            info.external_attr = (0o100755 if path in executable else 0o100644) << 16
            info.compress_type = method
            archive.writestr(info, data)
    return stream.getvalue()


def make(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    executable: tuple[str, ...] = (),
    requires: tuple[str, ...] = (),
    requires_python: str = "",
) -> Path:
    """A wheel on disk."""
    members = contents(name, version, files, tag=tag, requires=requires, requires_python=requires_python)
    path = folder / f"{name}-{version}-{tag}.whl"
    path.write_bytes(pack(with_record(members), executable=executable))
    return path


def pin_of(path: Path) -> WheelPin:
    """The pin of a wheel file."""
    name, version = path.name.split("-")[:2]
    data = path.read_bytes()
    return WheelPin(
        name=name.replace("_", "-").lower(),
        version=version,
        filename=path.name,
        url=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )
