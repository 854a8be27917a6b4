"""A certificate authority of a test's own, as companies have: nobody trusts it who was not given its certificate."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """`ca` is its certificate; `certificate` and `key` are a server's on 127.0.0.1."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What the server speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_authority(folder: Path) -> Authority:
    """One with a server's certificate; a server's own certificate as authority would not do, as uv refuses it."""
    made = Authority(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    names = folder / "names"
    names.write_text("subjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n")
    request, key = str(folder / "request"), str(folder / "ca.key")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for words in (
        [*new, "-x509", "-days", "2", "-subj", "/CN=Tests", "-keyout", key, "-out", str(made.ca)],
        [*new, "-subj", "/CN=127.0.0.1", "-keyout", str(made.key), "-out", request],
        ["x509", "-req", "-in", request, "-CA", str(made.ca), "-CAkey", key, "-CAcreateserial", "-days", "2",
         "-extfile", str(names), "-out", str(made.certificate)],
    ):  # fmt: skip
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    return made
