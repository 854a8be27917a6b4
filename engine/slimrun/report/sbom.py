"""A report as a software bill of materials: CycloneDX 1.5 in JSON, the same bytes for the same image."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import quote

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://slimrun.invalid/sbom")


def to_sbom(report: dict[str, Any]) -> str:
    """CPython, wheels, Debian packages and the images they come from, each with the address that scanners know it by.

    There is no time in it, and its serial number is that of the image's digest.
    """
    components = [
        *_python(report["python"]),
        *(_wheel(row["name"], row["version"]) for row in report["distributions"]),
        *(_package(row) for row in report["packages"]),
        *(_image(row) for row in report["pins"]),
        *(_commit(row) for row in report["commits"]),
    ]
    value = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, report['digest'])}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "slimrun", "version": report["slimrun"]}]},
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": report["image"],
                "version": report["digest"],
                "properties": [{"name": "slimrun:tag", "value": tag} for tag in report["tags"]],
            },
        },
        "components": sorted(components, key=lambda item: str(item["bom-ref"])),
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _python(version: str) -> list[dict[str, Any]]:
    if not version:
        return []
    purl = f"pkg:generic/python@{version}"
    cpe = f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
    return [{"type": "platform", "bom-ref": purl, "name": "python", "version": version, "cpe": cpe, "purl": purl}]


def _commit(row: dict[str, Any]) -> dict[str, Any]:
    name = row["repo"].rstrip("/").rpartition("/")[2].removesuffix(".git")
    vcs = quote(f"git+{row['repo']}@{row['commit']}", safe="")
    purl = f"pkg:generic/{quote(name, safe='.')}@{row['commit']}?vcs_url={vcs}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": row["commit"], "purl": purl}


def _wheel(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{quote(version, safe='.')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _package(row: dict[str, Any]) -> dict[str, Any]:
    arch = f"?arch={quote(row['arch'], safe='')}" if row["arch"] else ""
    purl = f"pkg:deb/debian/{quote(row['name'], safe='.')}@{quote(row['version'], safe='.')}{arch}"
    source = {"name": "slimrun:source", "value": row["source"]}
    return {
        "type": "library",
        "bom-ref": purl,
        "name": row["name"],
        "version": row["version"],
        "purl": purl,
        "properties": [source],
    }


def _image(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "container",
        "bom-ref": f"{row['reference']}@{row['digest']}",
        "name": row["reference"],
        "version": row["digest"],
        "properties": [{"name": "slimrun:platform", "value": row["platform"]}],
    }
