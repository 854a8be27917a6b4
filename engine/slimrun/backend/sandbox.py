"""Commands of a finished image without a daemon: in namespaces, by what the machine has for making them.

Root becomes the image's user in a mount namespace: files keep their owners, and permissions are those of the image. Anyone else
gets a user namespace that maps one id, their own, to the image's user: every file is then that user's, which each answer says.
bubblewrap comes first for them, since distributions that forbid user namespaces may still allow it. crun is not used: it needs a
writable cgroup or a systemd session, and does nothing here that these two do not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from slimrun.backend.base import OUTPUT, Limits, NotRun, Ran
from slimrun.backend.layers import read_layers
from slimrun.backend.sandbox_process import capture
from slimrun.backend.sandbox_root import Root, remove_root
from slimrun.backend.sandbox_user import User, find_user
from slimrun.python.interpreter import DEFAULT_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event as Flag

    from slimrun.cache.store import Cache
    from slimrun.oci.config import Config

PREFIX = "root-"
_NO_SANDBOX = 125
_TOOL_PATH = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
_PROBE_SECONDS = 20.0
_HOST_FILES = ("/etc/resolv.conf", "/etc/hosts")
_ONE_ID = "run without root: every file belonged to the image's user, so permissions of files were not tried"

__all__ = ["Sandbox", "Tool", "find_tool", "left_over", "remove_root"]


@dataclass(frozen=True, slots=True)
class Tool:
    """What makes the namespaces: `unshare` (util-linux) or `bwrap`; `root` where it is root that runs it."""

    name: str
    path: str
    root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A command, ready: paths are of the image, `binds` (host, image)."""

    root: Path
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: User
    tmpfs: tuple[str, ...]
    network: bool

    @property
    def binds(self) -> tuple[tuple[str, str], ...]:
        """With the machine's network comes how it finds names."""
        return tuple((path, path) for path in _HOST_FILES if self.network and Path(path).is_file())


def find_tool(scratch: Path, environ: Mapping[str, str]) -> Tool | NotRun:
    """The first tool that makes a sandbox on this machine, found by making one below `scratch`; or why there is none."""
    root = os.geteuid() == 0
    reasons = []
    for name in ("unshare",) if root else ("bwrap", "unshare"):
        path = shutil.which(name, path=environ.get("PATH"))
        if path is None:
            reasons.append(f"there is no {name}")
            continue
        tool = Tool(name, path, root)
        refusal = _try(tool, scratch)
        if not refusal:
            return tool
        reasons.append(f"{name} cannot: {refusal}")
    return NotRun(reason=f"this machine does not let commands run in namespaces ({'; '.join(reasons)})")


class Sandbox:
    """An image unpacked for running its commands; raises BadArchive, ImageFailed and DiskFull."""

    def __init__(self, tool: Tool, config: Config, cache: Cache, *, name: str) -> None:
        self._tool, self._config = tool, config
        tree = read_layers(config, cache, what="the finished image").tree
        self._user = find_user(config.user, tree)
        self._root = Root(tree, cache.scratch(), name=name, owners=tool.root)

    @property
    def folder(self) -> Path:
        """Where the image is unpacked."""
        return self._root.path

    def run(self, argv: Sequence[str], limits: Limits, *, stopped: Flag | None = None) -> Ran | NotRun:
        """Run a command: file system read-only, no capabilities, no new privileges, no network unless asked for.

        It is killed as soon as `stopped` is set.
        """
        config = self._config
        whole = limits.entrypoint if limits.entrypoint is not None else config.entrypoint
        words = argv or (config.cmd if limits.entrypoint is None else ())
        env = (
            {"PATH": DEFAULT_PATH, "HOSTNAME": "slimrun", "HOME": self._user.home} | dict(config.env) | dict(limits.env)
        )
        job = _Job(
            root=self._root.path,
            argv=(*whole, *words),
            env=tuple(env.items()),
            cwd=self._root.mount_point(config.workdir or "/"),
            user=self._user,
            tmpfs=tuple(self._root.mount_point(path) for path in limits.tmpfs),
            network=limits.network,
        )
        status, out, err = _run(self._tool, job, self._root.folder, limits.timeout, limits.output, stopped)
        if status == _NO_SANDBOX and err.startswith("slimrun: "):
            return NotRun(reason=err.removeprefix("slimrun: ").strip())
        return Ran(exit=status, stdout=out, stderr=err, note="" if self._tool.root else _ONE_ID)

    def remove(self) -> None:
        """Remove the unpacked image."""
        self._root.remove()


def left_over(cache: Cache) -> tuple[Path, ...]:
    """Unpacked images of runs that are over; a run's process id stands in the name."""
    return tuple(path for path in sorted(cache.scratch().glob(f"{PREFIX}*-*")) if not _alive(path.name))


def _alive(name: str) -> bool:
    pid = name.removeprefix(PREFIX).partition("-")[0]
    return pid.isdecimal() and Path("/proc", pid).exists()


def _try(tool: Tool, scratch: Path) -> str:
    """What is said against a sandbox, "" where one was made."""
    with TemporaryDirectory(dir=scratch, prefix="probe-") as name:
        root = Path(name) / "root"
        for path in ("", "dev", "proc", "tmp"):
            (root / path).mkdir()
        if os.statvfs(root).f_flag & os.ST_NOEXEC:
            return f"{scratch} is on a file system mounted noexec"
        bare = tool.name == "unshare"  # the other has to run something, and so needs a root that has something
        job = _Job(
            root=root if bare else Path("/"),
            argv=() if bare else (tool.path, "--version"),
            env=(),
            cwd="/",
            user=User(uid=1, gid=1),
            tmpfs=("/tmp", "/dev/shm"),
            network=False,
        )
        status, _, err = _run(tool, job, Path(name), _PROBE_SECONDS, OUTPUT)
    return "" if status == 0 else err.removeprefix("slimrun: ").strip() or f"it ended with {status}"


def _run(
    tool: Tool, job: _Job, folder: Path, timeout: float, keep: int, stopped: Flag | None = None
) -> tuple[int | None, str, str]:
    if tool.name == "bwrap":
        return capture(_bwrap(tool.path, job), {}, timeout, stopped, keep=keep)
    spec = folder / "job.json"
    spec.write_text(json.dumps(_spec(tool, job)), encoding="utf-8")
    return capture(_unshare(tool, job, spec), _TOOL_PATH, timeout, stopped, keep=keep)


def _unshare(tool: Tool, job: _Job, spec: Path) -> list[str]:
    words = [tool.path, "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    if not job.network:
        words.append("--net")
    if not tool.root:
        words += [f"--map-user={job.user.uid}", f"--map-group={job.user.gid}", "--keep-caps"]
    # --kill-child ends the command with unshare; this ends unshare with slimrun, however that is killed.
    beside = Path(tool.path).with_name("setpriv")
    first = [str(beside), "--pdeathsig", "KILL"] if beside.exists() else []
    return [*first, *words, "--", sys.executable, "-I", "-S", "-c", _init_text(), str(spec)]


def _spec(tool: Tool, job: _Job) -> dict[str, Any]:
    """What sandbox_init.py reads."""
    return {
        "root": str(job.root),
        "argv": job.argv,
        "env": dict(job.env),
        "cwd": job.cwd,
        "tmpfs": job.tmpfs,
        "binds": job.binds,
        "own_network": not job.network,
        "become": tool.root,
        "uid": job.user.uid,
        "gid": job.user.gid,
        "groups": job.user.groups,
    }


def _bwrap(path: str, job: _Job) -> list[str]:
    words = [path, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--hostname", "slimrun"]
    words += [] if job.network else ["--unshare-net"]
    words += ["--uid", str(job.user.uid), "--gid", str(job.user.gid), "--cap-drop", "ALL"]
    words += [
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--ro-bind",
        str(job.root),
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    for mounted in job.tmpfs:
        words += ["--tmpfs", mounted]
    for source, target in job.binds:
        words += ["--ro-bind", source, target]
    for name, value in job.env:  # not bwrap's own environment: the image's LD_LIBRARY_PATH is not for it
        words += ["--setenv", name, value]
    return [*words, "--chdir", job.cwd, "--", *job.argv]


def _init_text() -> str:
    """The source of the sandbox's first process, read from wherever the package is, a zip too."""
    name = "slimrun.backend.sandbox_init"
    spec = find_spec(name)
    loader: Any = spec.loader if spec else None
    return str(loader.get_source(name))
