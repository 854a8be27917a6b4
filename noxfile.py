"""The sessions of CI and of a developer who has nox; `make test` needs none of it."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"


@nox.session
def lint(session: nox.Session) -> None:
    """Style and layout."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", "engine", "tests", "benchmarks")
    session.run("ruff", "format", "--check", "engine", "tests", "benchmarks")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over the package."""
    session.install("-e", ".[test]")
    session.run("mypy", "-p", "slimrun", env={"MYPYPATH": "engine"})


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that needs neither an engine nor the network."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "not docker and not network", *session.posargs)


@nox.session
def docker(session: nox.Session) -> None:
    """What talks to a real engine; start it with `.ci/services start` first."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "docker", *session.posargs)


@nox.session
def packaging(session: nox.Session) -> None:
    """The built wheel, in an environment of its own."""
    session.install("-e", ".[test]")
    session.run("pytest", "tests/test_packaging.py", *session.posargs)
