"""What all tests share: golden files, rewritten only by `pytest --update-golden`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xdist.remote import Producer


def pytest_configure() -> None:
    """Ctrl-C works in what the tests start, also where a shell that runs them in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files with what the code gives now")


# Start processes, compilers, servers or namespaces by the dozen: not for `make unit`.
SLOW = (
    "assemble/test_compiler",
    "assemble/test_ldconfig",
    "backend/test_local",
    "backend/test_sandbox",
    "cli/test_commands",
    "cli/test_signals",
    "debian/test_release",
    "debian/test_unpack",
    "elf/test_elf_closure",
    "elf/test_elf_host.",
    "elf/test_elf_hostile",
    "elf/test_elf_matrix",
    "elf/test_elf_musl",
    "elf/test_elf_preload",
    "elf/test_elf_reader",
    "elf/test_elf_releases",
    "elf/test_elf_run",
    "elf/test_elf_traps",
    "elf/test_elf_trees",
    "fetch/",
    "local/",
    "oci/test_layout",
    "oci/test_registry_",
    "prune/test_strip_tools",
    "python/test_bytecode",
    "python/test_hookdriver",
    "python/test_sources",
    "python/test_wheels",
    "recipe/test_any_text",
    "test_schedule_many",
    "test_compile_stages",
    "tree/test_resolve",
    "work/test_deadline",
)


# The engine is one for all: what talks to it does so in one process, one test after another.
ENGINE = ("tests/docker/", "tests/local/")


class _ByFile(LoadFileScheduling):
    """A file's tests in one process, and all that talk to the engine in one."""

    def _split_scope(self, nodeid: str) -> str:
        return "engine" if nodeid.startswith(ENGINE) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """How `pytest -n 2` deals tests out."""
    return _ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow; leave what reads the world's indexes to .ci/run and to `-m network`."""
    for item in items:
        if any(name in item.path.as_posix() for name in SLOW):
            item.add_marker("slow")
    if os.environ.get("SLIMRUN_CI") or "network" in config.option.markexpr:
        return
    away = [item for item in items if item.get_closest_marker("network")]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [item for item in items if not item.get_closest_marker("network")]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """`golden(path, text)`: the file holds exactly this text; a missing file is a failure too."""
    update: bool = request.config.getoption("--update-golden")

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: pytest --update-golden writes it"
        assert text == path.read_text(encoding="utf-8")

    return compare


# Under SLIMRUN_CI nothing may be skipped but what cannot be had on such a machine at all; such a reason begins with this.
CANNOT = "cannot be had here: "
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every skip that .ci/run must not pass over."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if not reason.startswith(CANNOT):
            _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a CI run in which something was skipped that should have run."""
    if os.environ.get("SLIMRUN_CI") and _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what should have run."""
    if os.environ.get("SLIMRUN_CI") and _skipped:
        terminalreporter.section("skipped, and should have run under SLIMRUN_CI")
        for line in sorted(_skipped):
            terminalreporter.line(line)
