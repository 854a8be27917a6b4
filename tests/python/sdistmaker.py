"""Source distributions made in pure Python, honest ones and others."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# A backend of the project's own (PEP 517, backend-path): it needs nothing but Python, and writes the wheel by hand.
BACKEND = """\
import base64, hashlib, os, zipfile

def build_wheel(out, config=None, metadata=None):
    files = dict(FILES)
    info = f"{NAME}-{VERSION}.dist-info"
    lines = [f"Metadata-Version: 2.1", f"Name: {NAME}", f"Version: {VERSION}", *(f"Requires-Dist: {r}" for r in REQUIRES)]
    files[f"{info}/METADATA"] = "\\n".join(lines) + "\\n"
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: {TAG}\\n"
    rows = []
    files = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}")
    files[f"{info}/RECORD"] = ("\\n".join([*rows, f"{info}/RECORD,,"]) + "\\n").encode()
    name = f"{NAME}-{VERSION}-{TAG}.whl"
    with zipfile.ZipFile(os.path.join(out, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    return name
"""
PYPROJECT = '[build-system]\nrequires = [{requires}]\nbuild-backend = "own"\nbackend-path = ["."]\n'


def project(
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    build_requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    files: dict[str, str] | None = None,
    more: str = "",
) -> dict[str, bytes]:
    """The files of a project whose backend is its own; `more` is code that the backend ends with."""
    files = {f"{name}/__init__.py": f"version = {version!r}\n"} if files is None else files
    facts = f"NAME, VERSION, TAG, REQUIRES, FILES = {(name, version, tag, requires, files)!r}\n"
    wanted = ", ".join(f'"{one}"' for one in build_requires)
    return {
        "pyproject.toml": PYPROJECT.format(requires=wanted).encode(),
        "own.py": (facts + BACKEND + more).encode(),
    }


def pkg_info(name: str, version: str, *lines: str, metadata_version: str = "2.2") -> bytes:
    """PKG-INFO as an sdist has it at its top."""
    return "\n".join(
        [f"Metadata-Version: {metadata_version}", f"Name: {name}", f"Version: {version}", *lines, ""]
    ).encode()


def tar(*members: tuple[str, bytes | None, dict[str, Any]]) -> bytes:
    """A .tar.gz of (name, data, TarInfo's fields); the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, data, facts in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data or b""), 0o644
            for key, value in facts.items():
                setattr(info, key, value)
            out.addfile(info, io.BytesIO(data or b""))
    return gzip.compress(buffer.getvalue(), mtime=0)


def sdist(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """An sdist on disk, its files in one folder."""
    path = folder / f"{name}-{version}.tar.gz"
    path.write_bytes(tar(*((f"{name}-{version}/{inside}", data, {}) for inside, data in files.items())))
    return path
