"""A web server on loopback that is a proxy, and a mirror of Debian's archive at /frozen; it notes what it was asked."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

ARCHIVE = "http://deb.debian.org/debian"


class Relay:
    """`mirrored` are the paths asked below /frozen, `proxied` the addresses asked through it."""

    def __init__(self) -> None:
        self.mirrored: list[str] = []
        self.proxied: list[str] = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.startswith("/frozen/"):
                    relay.mirrored.append(self.path)
                    self._answer(ARCHIVE + self.path.removeprefix("/frozen"))
                elif self.path.startswith("http://"):
                    relay.proxied.append(self.path)
                    self._answer(self.path)
                else:
                    self.send_error(404)

            def _answer(self, url: str) -> None:
                try:
                    with urllib.request.urlopen(url, timeout=60) as answer:
                        self.send_response(200)
                        for name in ("Content-Length", "Last-Modified"):
                            if name in answer.headers:
                                self.send_header(name, answer.headers[name])
                        self.end_headers()
                        while data := answer.read(1 << 16):
                            self.wfile.write(data)
                except urllib.error.HTTPError as error:
                    self.send_error(error.code)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
