"""Small git repositories whose commits are the same in every run, and a daemon that serves them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Of 2023-02-07; whatever the machine's own configuration says.
WHO = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1675771200 +0000",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_COMMITTER_DATE": "1675771200 +0000",
}


def git(folder: Path, *words: str, **more: str) -> str:
    """git in a folder, as nobody in particular."""
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **WHO, **more}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)


def repository(folder: Path, files: Mapping[str, str], *, tag: str = "") -> str:
    """A new repository with one commit on `main`; answers with the commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return commit(folder, files, tag=tag)


def commit(folder: Path, files: Mapping[str, str], *, tag: str = "") -> str:
    """One commit more."""
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "change")
    if tag:
        git(folder, "tag", "-a", "-m", tag, tag)
    return git(folder, "rev-parse", "HEAD")


@contextmanager
def daemon(root: Path, *words: str) -> Iterator[str]:
    """git's own server over all repositories below `root`; gives the beginning of their addresses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = ["git", *words, "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", "--export-all"]
    with subprocess.Popen(
        [*argv, f"--base-path={root}"], env={**os.environ, **WHO}, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            _wait(port)
            yield f"git://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)


def _wait(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    msg = "git daemon does not listen"
    raise AssertionError(msg)
