"""`build.ca_certificates`: whom a machine's network asks to trust, looked at before anything is asked of the world."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from slimrun.errors import RequirementNotMet

if TYPE_CHECKING:
    from pathlib import Path


def read_authorities(path: Path) -> bytes:
    """The file's bytes; raises RequirementNotMet where it cannot be read or holds no certificate (PEM).

    Without a look, uv would leave the file out in silence and say of every server that nobody vouches for it.
    """
    hint = "name a PEM file of certificate authorities, such as /etc/ssl/certs/ca-certificates.crt"
    try:
        data = path.read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        msg = f"build.ca_certificates: {path} holds no certificate that can be read"
        raise RequirementNotMet(msg, hint=hint) from error
    except OSError as error:
        msg = f"build.ca_certificates: {path}: {error.strerror}"
        raise RequirementNotMet(msg, hint=hint) from error
    return data


def trusted(path: Path | None) -> Path | None:
    """The same path, after the look that `read_authorities` has."""
    if path is not None:
        read_authorities(path)
    return path
