"""`slimrun doctor`: what of this machine slimrun would use, whether it works, and what to do where it does not."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from slimrun import __version__
from slimrun.cli.options import Parser, default_cache, nearest_slim
from slimrun.cli.output import bytes_text
from slimrun.errors import EngineUnreachable, Invalid, RequirementNotMet, SlimrunError
from slimrun.recipe.slim_model import Slim
from slimrun.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUMMARY = "what of this machine works, and what to do where it does not"
_PATIENCE = 5.0
_LITTLE = 2 * 10**9
State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `warn` is what some recipes can do without, `fail` what none can."""

    name: str
    state: State
    text: str
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.state:5}{self.name:12}{self.text}"
        return f"{line}\n{'':17}{self.hint}" if self.hint else line


def main(argv: Sequence[str]) -> int:
    """Look at everything, print a line for each thing; 2 where something that every recipe needs is not there."""
    words = Parser(prog="slimrun doctor", description=SUMMARY)
    words.add_argument("--config", metavar="FILE", help="the slim.yaml to use")
    words.add_argument("--offline", action="store_true", help="do not try registries, indexes and archives")
    given = words.parse_args(argv)
    found = []
    for finding in _all(given.config, offline=given.offline):
        print(finding, flush=True)
        found.append(finding.state)
    print(f"\n{found.count('ok')} ok, {found.count('warn')} warnings, {found.count('fail')} failures")
    return RequirementNotMet.exit_code if "fail" in found else 0


def _all(config: str | None, *, offline: bool) -> Iterator[Finding]:
    where = f"Python {platform.python_version()} on {platform.machine()}, Linux {platform.release()}"
    yield Finding(name="slimrun", state="ok", text=f"{__version__}, {where}")
    try:
        slim = nearest_slim(Path(), config)
    except Invalid as error:
        yield Finding(name="slim.yaml", state="fail", text=error.render().splitlines()[0], hint=error.hint)
        slim = Slim()
    else:
        text = slim.document.file if slim.document else "none from here up: built-in values count"
        yield Finding(name="slim.yaml", state="ok", text=text)
    yield from _cache(slim)
    yield from _makers(slim)
    yield _uv()
    yield _git()
    yield from _certificates(slim)
    if not offline:
        yield from _world(slim)


def _cache(slim: Slim) -> Iterator[Finding]:
    from slimrun.cache.store import writing
    from slimrun.cache.trim import size_of

    try:
        folder = slim.cache.dir or default_cache()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (probe := folder / ".doctor").touch()
            probe.unlink()
    except SlimrunError as error:
        yield Finding(name="cache", state="fail", text=error.message, hint=error.hint)
        return
    most = f" of at most {bytes_text(slim.cache.max_size)}" if slim.cache.max_size is not None else ""
    yield Finding(name="cache", state="ok", text=f"{folder}, {bytes_text(size_of(folder))}{most}")
    free = shutil.disk_usage(folder).free
    hint = "`slimrun clean --max-size SIZE` makes room, cache.dir in slim.yaml moves it" if free < _LITTLE else ""
    yield Finding(name="disk", state="warn" if hint else "ok", text=f"{bytes_text(free)} free for the cache", hint=hint)


def _makers(slim: Slim) -> Iterator[Finding]:
    """The engine, and what runs commands without one."""
    from slimrun.backend.base import NotRun
    from slimrun.backend.host import choose_host, refusal
    from slimrun.backend.sandbox import find_tool

    engine, why, hint = "", "", ""
    try:
        host = choose_host(slim.docker, os.environ)
        engine = f"{host.url} ({host.chosen_by})"
        why = refusal(host, timeout=min(_PATIENCE, slim.docker.timeout))
    except EngineUnreachable as error:
        why, hint = error.message, error.hint
    needed = slim.backend == "docker"
    if why:
        text = f"no Docker Engine answers at {engine}: {why}" if engine else why
        hint = hint or ("start it" if needed else "images are then made without one")
        yield Finding(name="engine", state="fail" if needed else "warn", text=text, hint=hint)
    else:
        yield Finding(name="engine", state="ok", text=f"a Docker Engine answers at {engine}")
    with TemporaryDirectory() as scratch:
        tool = find_tool(Path(scratch), os.environ)
    if isinstance(tool, NotRun):
        text = f"without an engine nothing can be run here: {tool.reason}"
        yield Finding(
            name="namespaces",
            state="warn",
            text=text,
            hint="install bubblewrap, or use an engine: verify is else skipped",
        )
    else:
        yield Finding(name="namespaces", state="ok", text=f"commands run without an engine, through {tool.path}")


def _uv() -> Finding:
    from slimrun.fetch.uv import binary

    try:
        said = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True, timeout=_PATIENCE)
    except SlimrunError as error:
        return Finding(name="uv", state="fail", text=error.message, hint=error.hint)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(
            name="uv", state="fail", text=f"it cannot be run: {error}", hint="pip install --force-reinstall uv"
        )
    return Finding(name="uv", state="ok", text=said.stdout.strip())


def _git() -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding(name="git", state="warn", text="there is none", hint="python.git needs it: apt-get install git")
    return Finding(name="git", state="ok", text=path)


def _certificates(slim: Slim) -> Iterator[Finding]:
    given = slim.build.ca_certificates
    if given is None:
        return
    try:
        count = given.read_bytes().count(b"-----BEGIN CERTIFICATE-----")
    except OSError as error:
        yield Finding(
            name="authorities", state="fail", text=f"{given}: {error.strerror}", hint="it is build.ca_certificates"
        )
        return
    if count:
        yield Finding(name="authorities", state="ok", text=f"{count} certificates in {given}")
    else:
        hint = "build.ca_certificates is a PEM file of certificate authorities"
        yield Finding(name="authorities", state="fail", text=f"there is no certificate in {given}", hint=hint)


def _world(slim: Slim) -> Iterator[Finding]:
    """Where wheels, images and packages come from; each may be out of reach for recipes that need none of it."""
    from slimrun.fetch.network import public
    from slimrun.fetch.reach import unreachable
    from slimrun.outside import network

    nowhere = slim.cache.dir or Path()  # what is only reached is not kept
    reached = network(Settings(cache_dir=nowhere, mirrors=slim.mirrors, build=slim.build))
    for name, url in _addresses(slim):
        shown = public(reached.mirrored(url))
        why = _no_folder(url) if url.startswith("file:") else unreachable(url, reached)
        if why:
            yield Finding(
                name=name, state="warn", text=f"{shown}: {why.partition('; ')[0]}", hint=why.partition("; ")[2]
            )
        else:
            yield Finding(name=name, state="ok", text=f"{shown} answers")


def _no_folder(url: str) -> str:
    """An index may be a folder of this machine."""
    path = Path(unquote(urlsplit(url).path))
    return "" if path.is_dir() else "there is no such folder; pip's configuration or slim.yaml names it"


def _addresses(slim: Slim) -> Iterator[tuple[str, str]]:
    from slimrun.debian.archive import MAIN
    from slimrun.fetch.index import choose_indexes, pip_config
    from slimrun.fetch.network import is_loopback
    from slimrun.oci.registry_client import HUB
    from slimrun.recipe.reference import mirror, parse_reference

    for url in choose_indexes(recipe=None, recipe_extra=(), pip=pip_config(dict(os.environ))).urls:
        yield "index", url.rstrip("/") + "/"
    registries = {parse_reference(mirror("python", slim.mirrors.images)).registry}
    registries |= {parse_reference(f"{target.rstrip('/')}/x").registry for _, target in slim.mirrors.images}
    for registry in sorted(registries):
        scheme = "http" if is_loopback(registry.partition(":")[0]) else "https"
        yield "registry", f"{scheme}://{HUB.get(registry, registry)}/v2/"
    yield "debian", f"{(slim.mirrors.debian or MAIN).rstrip('/')}/"
