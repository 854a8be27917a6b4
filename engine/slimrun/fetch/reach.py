"""Whether an address answers at all, for a person who asks why nothing can be fetched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import requests

from slimrun.fetch.http import Refused, asking
from slimrun.fetch.network import meaning_of

if TYPE_CHECKING:
    from slimrun.fetch.network import Network

PATIENCE = 5.0


def unreachable(url: str, network: Network, *, patience: float = PATIENCE) -> str:
    """Why nothing answers at an address, "" where something does; a refusal is an answer too."""
    quick = replace(network, connect_timeout=patience, read_timeout=patience, patience=patience)
    try:
        with asking(url, quick, "*/*", lambda _: None):
            return ""
    except Refused as refused:
        return "" if refused.status < 500 else f"it answers {refused.status}"
    except requests.RequestException as error:
        meaning = meaning_of(error)
        return f"{meaning.text}; {meaning.hint}" if meaning.hint else meaning.text
