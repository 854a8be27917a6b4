"""A real HTTP server on loopback, told what to answer, and a simple index on top of it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from pathlib import Path
    from typing import Self


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`cut` sends only so many bytes of what it promised; `drip` seconds pass between pieces; `before` the headers."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    drip: float = 0.0
    before: float = 0.0


class Site:
    """Answers for a path are given one after another, the last one for ever; `asked` are the requests, in order."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.stop = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                # uv asks so whether ranges are served; they are not.
                self.send_response(200 if self.path in site.answers else 404)
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                site.headers.append(dict(self.headers))
                waiting = site.answers.get(self.path, [Answer(status=404)])
                answer = waiting[0] if len(waiting) == 1 else waiting.pop(0)
                site.stop.wait(answer.before)
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                body = answer.body if answer.cut is None else answer.body[: answer.cut]
                step = 1024 if answer.drip else max(1, len(body))
                try:
                    for start in range(0, len(body), step):
                        self.wfile.write(body[start : start + step])
                        if site.stop.wait(answer.drip):
                            return
                except OSError:
                    return
                if answer.cut is not None:
                    self.close_connection = True

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()

    def serve(self, path: str, *answers: Answer | bytes) -> str:
        """Answer so at `path`; returns its address."""
        self.answers[path] = [Answer(body=one) if isinstance(one, bytes) else one for one in answers]
        return self.url + path


@dataclass
class SimpleIndex:
    """Packages under /NAME/simple (PEP 503 or, with `json`, PEP 691) and their files under /NAME/files."""

    site: Site
    name: str = "main"
    json: bool = False
    files: dict[str, dict[str, tuple[str, str]]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def url(self) -> str:
        return f"{self.site.url}/{self.name}/simple"

    def add(self, wheel: Path, *, requires_python: str = "") -> None:
        """Publish a file."""
        data = wheel.read_bytes()
        project = wheel.name.partition("-")[0].replace("_", "-").lower()
        self.site.serve(f"/{self.name}/files/{wheel.name}", data)
        self.files[project][wheel.name] = (hashlib.sha256(data).hexdigest(), requires_python)
        self._page(project)

    def _page(self, project: str) -> None:
        files = self.files[project]
        if self.json:
            value = {
                "meta": {"api-version": "1.0"},
                "name": project,
                "files": [
                    {
                        "filename": name,
                        "url": f"../../files/{name}",
                        "hashes": {"sha256": sha},
                        "requires-python": python,
                    }
                    for name, (sha, python) in files.items()
                ],
            }
            body, kind = json.dumps(value).encode(), "application/vnd.pypi.simple.v1+json"
        else:
            links = [
                f'<a href="../../files/{name}#sha256={sha}" data-requires-python="{python.replace(">", "&gt;")}">{name}</a>'
                for name, (sha, python) in files.items()
            ]
            body, kind = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), "text/html"
        self.site.serve(f"/{self.name}/simple/{project}/", Answer(body=body, headers=(("Content-Type", kind),)))


def until(condition: object, seconds: float = 5.0) -> bool:
    """Wait for a callable to be true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False
