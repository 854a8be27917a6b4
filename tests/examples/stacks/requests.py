"""A client over TLS: certifi's authorities by themselves, and a server's own authority where $TLS has its files."""

import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import certifi
import requests

assert os.path.getsize(certifi.where()) > 100_000


class Handler(BaseHTTPRequestHandler):
    """Says what was said."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


if "TLS" in os.environ:
    folder = os.environ["TLS"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/server.crt", f"{folder}/server.key")
    server = HTTPServer(("127.0.0.1", 8443), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with requests.Session() as session:
        session.verify = f"{folder}/ca.crt"
        answer = session.post("https://localhost:8443/", json={"x": "é"}, timeout=20)
        assert answer.status_code == 200
        assert answer.json() == {"x": "é"}
    try:
        requests.post("https://localhost:8443/", data=b"", timeout=20)
    except requests.exceptions.SSLError as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        print("refused")
print("ok")
