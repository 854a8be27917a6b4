"""Requests and replies over TCP and IPC, with a key each."""

import threading

import zmq

context = zmq.Context()
assert zmq.has("curve") and zmq.has("ipc")


def answer(server, count):
    for _ in range(count):
        server.send(server.recv().upper())


for place in ("tcp://127.0.0.1:*", "ipc:///tmp/socket"):
    public, secret = zmq.curve_keypair()
    server, client = context.socket(zmq.REP), context.socket(zmq.REQ)
    server.curve_server, server.curve_secretkey = True, secret
    server.bind(place)
    client.curve_serverkey = public
    client.curve_publickey, client.curve_secretkey = zmq.curve_keypair()
    client.connect(server.last_endpoint)
    client.rcvtimeo = 20_000
    thread = threading.Thread(target=answer, args=(server, 3))
    thread.start()
    for text in (b"a", b"b" * 100_000, b"c"):
        client.send(text)
        assert client.recv() == text.upper()
    thread.join()
    client.close()
    server.close()
context.term()
print("ok")
