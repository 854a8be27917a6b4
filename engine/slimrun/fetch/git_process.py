"""git as a child process: never asks, never hangs, and takes nothing of the repository that slimrun itself is run in."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from slimrun.errors import ImageFailed, RequirementNotMet
from slimrun.events import Progress
from slimrun.fetch.git_words import last_words, meaning
from slimrun.fetch.network import is_loopback, public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from slimrun.errors import SlimrunError
    from slimrun.events import Emit
    from slimrun.fetch.network import Network

# A server that says nothing for so long is not there. git's own progress counts as words.
SILENCE = 120.0
_PERCENT = re.compile(rb"(?:Receiving|Resolving) \w+: +\d+% \((\d+)/(\d+)\)")
# Set in hooks, where git runs slimrun: they would point our git at that repository.
_OTHERS = re.compile(
    r"GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|QUARANTINE_PATH"
    r"|SHALLOW_FILE|CEILING_DIRECTORIES|ATTR_SOURCE|TRACE\w*)"
)


class Git:
    """Calls of git about one remote repository; `remote` and `fetch` are the person's, `local` knows no configuration."""

    def __init__(self, *, network: Network, address: str, environ: Mapping[str, str], emit: Emit) -> None:
        self._address, self._emit = address, emit
        self._plain = {name: value for name, value in environ.items() if not _OTHERS.fullmatch(name)} | {"LC_ALL": "C"}
        self._own = self._plain | {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
        if network.ca_bundle is not None:
            self._own["GIT_SSL_CAINFO"] = str(network.ca_bundle)
        if network.proxy and not is_loopback(urlsplit(address).hostname or ""):
            self._own |= dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), network.proxy)
        # What of a person's configuration and attributes would change the bytes of an archive.
        self._plain |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        self._plain |= {"GIT_ATTR_NOSYSTEM": "1", "XDG_CONFIG_HOME": os.devnull}

    def remote(self, *words: str) -> str:
        """What a question to the remote repository is answered; raises what its complaint means."""
        code, out, err = self._run(("git", *words), self._own, what="")
        if code:
            raise self.failure(err)
        return out

    def fetch(self, store: Path, what: str, *words: str) -> str | None:
        """Fetch into a bare repository; None where that went well, else git's complaint."""
        quiet = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=/dev/null")
        argv = ("git", *quiet, "-C", str(store), "fetch", "--progress", "--no-tags", "--no-write-fetch-head", *words)
        code, _, err = self._run(argv, self._own, what=what)
        return err if code else None

    def local(self, store: Path | None, *words: str) -> str:
        """What git says about a repository of the cache; raises ImageFailed where it cannot."""
        done = subprocess.run(_at(store, words), capture_output=True, env=self._plain, check=False)
        if done.returncode:
            said = last_words(done.stderr.decode("utf-8", "replace"))
            msg = f"git {words[0]} in {store or 'the cache'}: {said}"
            raise ImageFailed(msg, hint="remove that folder, and run again")
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def succeeds(self, store: Path, *words: str) -> bool:
        """Whether a question about a repository of the cache is answered with yes."""
        return subprocess.run(_at(store, words), capture_output=True, env=self._plain, check=False).returncode == 0

    @contextmanager
    def stream(self, store: Path, *words: str) -> Iterator[BinaryIO]:
        """What git writes, as it comes; raises ImageFailed at the end, where git did not end well."""
        with subprocess.Popen(
            _at(store, words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._plain
        ) as child:
            try:
                yield cast("BinaryIO", child.stdout)
                err = child.stderr.read() if child.stderr else b""
            except BaseException:
                child.kill()
                raise
        if child.returncode:
            msg = f"git {words[-2]} {words[-1]}: {last_words(err.decode('utf-8', 'replace'))}"
            raise ImageFailed(msg, hint="run with --refresh, or remove the folder `git` of the cache")

    def failure(self, stderr: str) -> SlimrunError:
        """git's complaint about the remote repository as one of our errors."""
        found = meaning(stderr)
        secret = urlsplit(self._address).password
        text = last_words(stderr).replace(self._address, public(self._address))
        said = text.replace(secret, "***") if secret else text
        return found.error(f"{public(self._address)}: {found.text}: {said}", hint=found.hint)

    def _run(self, argv: tuple[str, ...], environ: Mapping[str, str], *, what: str) -> tuple[int, str, str]:
        """Exit code, output and errors; in a session of its own, so that nothing can ask at the terminal."""
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environ,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            msg = "python.git needs the git program, which is not on PATH"
            raise RequirementNotMet(msg, hint="install it; on Debian: apt-get install git") from error
        with child:
            try:
                out, err = self._listen(child, what)
            except BaseException:
                os.killpg(child.pid, signal.SIGKILL)
                raise
        return child.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "replace")

    def _listen(self, child: subprocess.Popen[bytes], what: str) -> tuple[bytes, bytes]:
        said = {"out": b"", "err": b""}
        with selectors.DefaultSelector() as waiting:
            waiting.register(cast("BinaryIO", child.stdout), selectors.EVENT_READ, "out")
            waiting.register(cast("BinaryIO", child.stderr), selectors.EVENT_READ, "err")
            while waiting.get_map():
                ready = waiting.select(SILENCE)
                if not ready:
                    silence = f"fatal: no answer for {SILENCE:g} s"
                    raise self.failure(silence)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        waiting.unregister(key.fileobj)
                    said[key.data] += data
                    if key.data == "err" and what and (counts := _PERCENT.findall(data)):
                        done, total = map(int, counts[-1])
                        self._emit(Progress(what=what, done=done, total=total, unit="objects"))
        return said["out"], said["err"]


def _at(store: Path | None, words: tuple[str, ...]) -> tuple[str, ...]:
    # Whoever owns the cache: that it is ours is known.
    return ("git", "-c", "safe.directory=*", *(("-C", str(store)) if store else ()), *words)
