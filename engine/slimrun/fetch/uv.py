"""Versions that fit together, by `uv pip compile` as a child process: a question to the index, nothing is installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

from uv import find_uv_bin

from slimrun.errors import RequirementNotMet
from slimrun.events import Progress, silent
from slimrun.fetch.network import Network, origin, userinfo
from slimrun.fetch.sources import source_options, uv_configuration
from slimrun.fetch.unsolved import failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.sources import Declared
    from slimrun.fetch.target import Target

# What a child needs of this process's environment; UV_*, PIP_*, VIRTUAL_ENV and PYTHON* would change its answer.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
KEPT = frozenset(
    ("PATH", "HOME", "TMPDIR", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", *_PROXIES, *map(str.lower, _PROXIES))
)
_TELL = 0.25
RETRIES = 2
_HERE = "localhost,127.0.0.1,::1"
_CONFIGURATION = "uv.toml"
# sysconfig, which uv looks itself up with, gives half of an answer to whoever asks while another thread asks first.
_FINDING = Lock()
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def compile_requirements(
    requirements: Sequence[str],
    *,
    target: Target,
    indexes: Indexes,
    network: Network,
    cache: Cache,
    constraints: Sequence[str] = (),
    declared: Sequence[Declared] = (),
    emit: Emit = silent,
) -> dict[str, Any]:
    """One wheel for each distribution that `requirements` (PEP 508) need, as the values of a pylock.toml (PEP 751).

    Of what is `declared` the sdist instead; no build of it runs here. Raises WheelNotFound, its hint saying what there is
    instead, or IndexUnreachable. Ctrl-C ends the child too.
    """
    environ = child_environment(os.environ, indexes=indexes, network=network, cache=cache)
    with TemporaryDirectory(dir=cache.scratch()) as folder:
        # An empty folder, so that no pyproject.toml, uv.toml, .python-version or pylock.toml is found.
        argv = command(target, native_tls="SSL_CERT_FILE" not in environ, declared=declared)
        if declared:
            Path(folder, _CONFIGURATION).write_text(uv_configuration(declared), encoding="utf-8")
        lines = "\n".join(requirements) + "\n"
        if constraints:
            Path(folder, "constraints.txt").write_text("\n".join(constraints) + "\n", encoding="utf-8")
            argv += ("--constraints", "constraints.txt")
        code, out, err = _run(argv, lines, environ, folder, emit)
    if code != 0:
        raise failure(err, target=target, indexes=indexes, network=network)
    try:
        return tomllib.loads(out)
    except tomllib.TOMLDecodeError as error:
        msg = f"uv's answer cannot be read: {error}"
        raise RequirementNotMet(msg, hint="install another release of uv: pip install -U uv") from error


def command(target: Target, *, native_tls: bool, declared: Sequence[Declared] = ()) -> tuple[str, ...]:
    """The argument list, requirements on standard input; no address stands in it (`ps` would show its password)."""
    return (
        *(binary(), "pip", "compile", "-", "--format", "pylock.toml"),
        *(("--config-file", _CONFIGURATION) if declared else ("--no-config",)),
        *("--no-header", "--no-annotate", "--quiet", "--color", "never", "--no-progress"),
        *("--python", sys.executable, "--no-python-downloads", "--python-version", target.full_version),
        *("--python-platform", target.uv_platform, "--only-binary", ":all:", *source_options(declared)),
        *("--index-strategy", "first-index", "--keyring-provider", "disabled"),
        *(("--system-certs",) if native_tls else ()),
    )


def child_environment(
    environ: Mapping[str, str], *, indexes: Indexes, network: Network, cache: Cache
) -> dict[str, str]:
    """The child's whole environment."""
    kept = {name: value for name, value in environ.items() if name in KEPT}
    bundle = network.ca_bundle or next((environ[name] for name in _BUNDLES if environ.get(name)), None)
    if bundle:
        kept["SSL_CERT_FILE"] = str(bundle)
    if network.proxy:
        kept |= {"HTTP_PROXY": network.proxy, "HTTPS_PROXY": network.proxy, "ALL_PROXY": network.proxy}
        # As for our own requests: an index on this machine is never asked through a proxy.
        kept["NO_PROXY"] = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), _HERE)))
    # uv asks --index before --default-index: all but the last are the former, so that the order is ours.
    *first, last = [with_login(network.mirrored(url), network) for url in indexes.urls]
    return kept | {
        "UV_INDEX": " ".join(first),
        "UV_DEFAULT_INDEX": last,
        "UV_CACHE_DIR": str(cache.root / "uv"),
        # Its timeout is that of each try: a silent index is given up after `patience` in all.
        "UV_HTTP_TIMEOUT": str(max(1, round(network.patience / (RETRIES + 1)))),
        "UV_HTTP_RETRIES": str(min(RETRIES, network.retries)),
        "LC_ALL": "C.UTF-8",
    }


def with_login(url: str, network: Network) -> str:
    """The address with the user and password that are known for its host; only ever a child's environment sees it."""
    known = dict(network.credentials).get(origin(url))
    return url if not known or userinfo(url) else re.sub("^([a-z]+://)", lambda match: f"{match[1]}{known}@", url)


def binary() -> str:
    """The uv program that came with its Python package; raises RequirementNotMet."""
    try:
        with _FINDING:
            return find_uv_bin()
    except FileNotFoundError as error:
        msg = "the uv program is not where its Python package should have put it"
        raise RequirementNotMet(msg, hint="pip install --force-reinstall uv") from error


def _run(argv: Sequence[str], text: str, environ: Mapping[str, str], folder: str, emit: Emit) -> tuple[int, str, str]:
    """Exit code, output and errors; its own process group, so that Ctrl-C reaches it by our hand and only once.

    While it works it is told of, so that a run that is being stopped need not wait for it.
    """
    began = time.monotonic()
    with subprocess.Popen(
        argv,
        cwd=folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            left: str | None = text
            while True:
                try:
                    out, err = child.communicate(left, timeout=_TELL)
                    break
                except subprocess.TimeoutExpired:
                    left = None  # it is sent on; only the first call may have any
                    emit(Progress(what="uv resolves", done=round(time.monotonic() - began), unit="s"))
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
    return child.returncode, out, err
