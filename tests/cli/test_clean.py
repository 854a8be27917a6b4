"""`slimrun clean`: the cache is trimmed whatever the engine does."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.cache.store import Cache
from slimrun.cache.trim import running
from slimrun.cli import clean
from slimrun.errors import BadCommandLine, EngineUnreachable, RecipeInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache with three blobs of a thousand bytes, used a day apart; an engine that is not there."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)
    made = Cache(tmp_path / "home/slimrun")
    for day, text in enumerate("abc"):
        with made.new_blob() as blob:
            blob.write(text.encode() * 1000)
        os.utime(blob.path, (1_600_000_000 + day * 86400,) * 2)
    return made


def blobs(cache: Cache) -> int:
    return len(list((cache.root / "blobs/sha256").iterdir()))


def test_without_a_size_nothing_is_trimmed(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean.main([]) == 0
    out = capsys.readouterr().out
    assert "no Docker Engine answers" in out
    assert out.endswith("nothing to remove\n")
    assert blobs(cache) == 3


def test_the_size_of_slim_yaml_and_of_the_command_line(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    Path("slim.yaml").write_text("cache: {max_size: 2kB}\nbackend: local\n")
    assert clean.main([]) == 0
    assert capsys.readouterr().out == f"removed 1.0kB from the cache in {cache.root} (1 entries); 2.0kB left\n"
    assert clean.main(["--max-size", "0B"]) == 0
    assert blobs(cache) == 0


def test_what_is_left_for_others_is_said(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    with running(cache.root):
        assert all(cache.has_blob(path.name) for path in sorted((cache.root / "blobs/sha256").iterdir())[:1])
        time.sleep(0.02)
        assert clean.main(["--max-size", "0B"]) == 0
    assert "1.0kB left, 1.0kB of it for runs that are at work" in capsys.readouterr().out
    assert blobs(cache) == 1


@pytest.mark.parametrize("size", ["1", "-1MB", "many", "1 parsec"])
def test_a_size_that_is_none(size: str, cache: Cache) -> None:
    with pytest.raises(BadCommandLine, match="is not a size"):
        clean.main([f"--max-size={size}"])
    assert blobs(cache) == 3


def test_a_bad_slim_yaml_removes_nothing(cache: Cache) -> None:
    Path("slim.yaml").write_text("cache: {max_size: 0}\n")
    with pytest.raises(RecipeInvalid):
        clean.main([])
    assert blobs(cache) == 3


def test_an_engine_that_is_insisted_on_and_gone(cache: Cache) -> None:
    Path("slim.yaml").write_text("backend: docker\ncache: {max_size: 1kB}\n")
    with pytest.raises(EngineUnreachable):
        clean.main([])
    assert blobs(cache) == 1, "the cache needs no engine"


@contextmanager
def hanging(path: Path) -> Iterator[None]:
    """A socket that takes connections and never answers."""
    taken: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["auto", "docker"])
def test_an_engine_that_hangs(
    backend: str, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("slim.yaml").write_text(f"backend: {backend}\ncache: {{max_size: 1kB}}\n")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/hangs.sock")
    began = time.monotonic()
    with hanging(tmp_path / "hangs.sock"):
        if backend == "docker":
            with pytest.raises(EngineUnreachable):
                clean.main([])
        else:
            assert clean.main([]) == 0
    assert time.monotonic() - began < 20
    assert capsys.readouterr().out.startswith("removed 2.0kB from the cache")
    assert blobs(cache) == 1
