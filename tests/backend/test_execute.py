"""An engine's multiplexed stream, however its bytes arrive."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest

from slimrun.backend import execute
from slimrun.backend.execute import _frames, _pieces

PAYLOADS = [b"one\n", b"", b"x" * 70000, b"\x01\x00\x00\x00\x00\x00\x00\x05", b"last"]


def frame(payload: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


STREAM = b"".join(frame(payload, 1 + number % 2) for number, payload in enumerate(PAYLOADS))


@pytest.mark.parametrize("size", [1, 7, 8, 9, 13, 4096, 1 << 20])
def test_frames_in_pieces_of_one_size(size: int) -> None:
    pieces = (STREAM[at : at + size] for at in range(0, len(STREAM), size))
    assert b"".join(_frames(pieces)) == b"".join(PAYLOADS)


@pytest.mark.parametrize("seed", range(20))
def test_frames_in_pieces_of_any_size(seed: int) -> None:
    generator, pieces, at = random.Random(seed), [], 0
    while at < len(STREAM):
        size = generator.choice((0, 1, 3, 8, 100, 50000))
        pieces.append(STREAM[at : at + size])
        at += size
    assert b"".join(_frames(iter(pieces))) == b"".join(PAYLOADS)


@pytest.mark.parametrize("cut", range(25))
def test_a_stream_that_breaks_off_gives_what_came(cut: int) -> None:
    whole = frame(b"one\n") + frame(b"two\n")
    came = [*range(8, 12), *range(20, 24)]  # where the bytes of "one" and "two" stand
    assert b"".join(_frames(iter([whole[:cut]]))) == bytes(whole[at] for at in came if at < cut)


def read(ours: socket.socket) -> bytes:
    return ours.recv(1 << 16)


def test_silence_is_noticed_and_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "SILENCE", 0.05)
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            raise KeyboardInterrupt

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frame(b"hello"))
        arriving = _frames(_pieces(ours, read, tick))
        assert next(arriving) == b"hello"
        with pytest.raises(KeyboardInterrupt):
            next(arriving)
    assert len(ticks) == 3
    assert ticks[2] - ticks[0] >= 0.1


def test_what_arrives_late_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "SILENCE", 0.02)
    ours, theirs = socket.socketpair()

    def late() -> None:
        for byte in frame(b"late"):
            time.sleep(0.01)
            theirs.sendall(bytes([byte]))
        theirs.close()

    thread = threading.Thread(target=late)
    with ours:
        thread.start()
        assert b"".join(_frames(_pieces(ours, read, lambda: None))) == b"late"
    thread.join()


def test_a_file_over_a_socket_does_too() -> None:
    """As docker-py gives a Unix socket: socket.SocketIO."""
    ours, theirs = socket.socketpair()
    with theirs, ours, ours.makefile("rb", buffering=0) as stream:
        theirs.sendall(STREAM[:20])
        theirs.shutdown(socket.SHUT_WR)
        got = b"".join(_frames(_pieces(stream, lambda it: it.read(1 << 16), lambda: None)))
    assert got == b"one\n"
