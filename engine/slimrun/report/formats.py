"""The formats that `report.formats` of slim.yaml names: how a file of each is called, and what is in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slimrun.report.sbom import to_sbom
from slimrun.report.text import to_html, to_text

if TYPE_CHECKING:
    from collections.abc import Callable


def _json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "text": (".txt", to_text),
    "json": (".json", _json),
    "html": (".html", to_html),
    "sbom": (".cdx.json", to_sbom),
}


def render(report: dict[str, Any], name: str, kind: str) -> tuple[str, str]:
    """The name and the text of one file about the image `name`."""
    ending, make = FORMATS[kind]
    return f"{name}{ending}", make(report)
