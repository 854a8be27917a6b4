"""A finished image, proved: its libraries by the loader's rules, its modules and commands by running them."""

from __future__ import annotations

import re
from dataclasses import replace
from posixpath import join
from typing import TYPE_CHECKING

from slimrun.backend.base import Limits, NotRun, Ran
from slimrun.elf.closure import check
from slimrun.elf.decision import decided
from slimrun.elf.model import Finding, Level, Unmet
from slimrun.elf.tokens import library_path, preloads
from slimrun.errors import MissingLibrary, VerifyFailed, Where
from slimrun.tree.entry import Kind
from slimrun.verify.environment import unfounded
from slimrun.verify.model import Check, Verified
from slimrun.verify.proof import origin_of, privileges, supply_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.backend.assembled import Assembled
    from slimrun.backend.base import Backend
    from slimrun.deadline import Deadline
    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Missing
    from slimrun.plan.steps import Verify
    from slimrun.prune.pruned import Pruned
    from slimrun.recipe.model import VerifyRun

__all__ = ["Check", "Verified", "raise_failed", "run_checks", "static_checks", "untried"]

# Imports each module named after it and says how each went, so that a crash tells which module it was in. What the modules
# themselves print goes to stderr: stdout is the importer's alone. It needs no module but the builtin ones.
_IMPORTER = """
import importlib, os, sys
out = os.dup(1)
os.dup2(2, 1)
def say(*words):
    os.write(out, (" ".join(" ".join(words).split()) + "\\n").encode("utf-8", "backslashreplace"))
for name in sys.argv[1:]:
    say("begin", name)
    try:
        importlib.import_module(name)
        say("ok", name)
    except BaseException as error:
        say("failed", name, type(error).__name__ + ":", str(error))
"""
_LACKING = "use a base build that has it, name where it is with prune.keep, or drop what needs it with prune.drop"
_OLD = (
    "use a runtime that is as new as the base build, or `scratch`, or drop what needs it with prune.drop; "
    "the runtime's own programs need what it has"
)
IMPORT_TIMEOUT = 300.0
_SHORTEST = 0.1
_TAIL = 12


def static_checks(
    assembled: Assembled, pruned: Pruned, step: Verify, facts: Facts
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Libraries, versions and size, read from the finished tree; answers with checks and warnings.

    Raises MissingLibrary with the chain from each missing library to the recipe line.
    """
    found = check(
        assembled.tree,
        pruned.roots,
        facts=facts,
        library_path=library_path(dict(assembled.config.env)),
        preload=preloads(dict(assembled.config.env)),
        also=pruned.also,
        origin=origin_of(assembled, pruned),
        supply=supply_of(assembled, pruned),
    )
    family = [text] if (text := decided(pruned.closure.family)) else []
    wrong = [item for item in found if not (isinstance(item, Finding) and item.level is Level.WARNING)]
    wrong += [item for item in pruned.closure.unmet if item.symbol]
    if wrong:
        copies = (str(item) for item in pruned.closure.findings if item.rule == "copy-not-taken")
        raise MissingLibrary(
            "\n".join([*(_explain(item) for item in wrong), *copies, *family]),
            hint=_OLD if any(isinstance(item, Unmet) for item in wrong) else _LACKING,
        )
    checks = [Check(name="libraries", ok=True, detail=f"{len(pruned.roots)} executables and extensions, none missing")]
    if (command := (*assembled.config.entrypoint, *assembled.config.cmd)[:1]) and not _starts(assembled, command[0]):
        text = f"{command[0]} is not a program of the image: nothing that can be executed is there"
        checks.append(Check(name="entrypoint", ok=False, detail=text))
    if step.max_size is not None:
        ok = assembled.size <= step.max_size
        text = f"{assembled.size / 1e6:.1f} MB of at most {step.max_size / 1e6:.1f} MB"
        checks.append(Check(name="max_size", ok=ok, detail=text, where=step.max_size_where))
    warnings = [
        *family,
        *(str(item) for item in pruned.findings),
        *unfounded(assembled.tree, dict(assembled.config.env)),
        *(str(item) for item in found if item not in wrong),
        *(str(item) for item in pruned.unresolved),
        *privileges(pruned),
    ]
    return tuple(checks), tuple(warnings)


def _starts(assembled: Assembled, name: str) -> bool:
    """Whether an engine would find a program: a path, from the working folder where it is relative, or a name on PATH."""
    config = assembled.config
    folders = (config.workdir or "/",) if "/" in name else dict(config.env).get("PATH", "").split(":")
    for folder in folders:
        found = assembled.tree.resolve(join("/", folder, name))
        if found is not None and found.entry.kind is Kind.FILE and found.entry.mode & 0o111:
            return True
    return False


def run_checks(
    image: str,
    assembled: Assembled,
    pruned: Pruned,
    step: Verify,
    backend: Backend,
    deadline: Deadline | None = None,
) -> tuple[Check, ...]:
    """Imports and commands, each run in the loaded image as its user, or skipped where this machine cannot run them.

    None has longer than the image has; one that the `deadline` ended says so as any that ran out of time.
    """
    interpreter = pruned.roots[0].path
    dynload = [root.path for root in pruned.roots[1:] if "/lib-dynload/" in root.path]
    stdlib = sorted({path.rpartition("/")[2].partition(".")[0] for path in dynload})
    places = {item.text: item.where for item in step.imports}
    names = [*stdlib, *(name for name in places if name not in stdlib)]
    tmpfs = (*Limits().tmpfs, *assembled.config.volumes)
    owner = _owner(assembled.config.user)
    limits = Limits(entrypoint=(interpreter,), timeout=IMPORT_TIMEOUT, tmpfs=tmpfs, owner=owner)
    ran = backend.run(image, ["-c", _IMPORTER, *names], _within(limits, deadline))
    if isinstance(ran, NotRun):
        imports = [_skipped(f"import {name}", ran, places.get(name)) for name in names]
    else:
        imports = [replace(check, note=ran.note) for check in _imports(names, ran, places)]
    return (
        *imports,
        *(_command(image, run, _within(_limits(run, tmpfs, owner), deadline), backend) for run in step.runs),
    )


def _limits(run: VerifyRun, tmpfs: tuple[str, ...], owner: str) -> Limits:
    return Limits(env=run.env, network=run.network, timeout=run.timeout, tmpfs=tmpfs, owner=owner)


def _within(limits: Limits, deadline: Deadline | None) -> Limits:
    """The limits with no more time than the image has left; raises OutOfTime where it has none."""
    if deadline is None:
        return limits
    deadline.check()
    return replace(limits, timeout=min(limits.timeout, max(deadline.left(), _SHORTEST)))


def _owner(user: str) -> str:
    """The numbers of the image's user, `0:0` where it is named: a name's numbers are the image's own affair."""
    name, _, group = user.partition(":")
    return f"{name}:{group or name}" if name.isdigit() and (group or name).isdigit() else "0:0"


def untried(checks: Sequence[Check]) -> tuple[str, ...]:
    """Warnings: how many checks were skipped for each reason, and what those that ran could not prove."""
    reasons: dict[str, list[str]] = {}
    for item in checks:
        if item.skipped:
            reasons.setdefault(item.skipped, []).append(item.name)
    skipped = [f"{len(names)} checks skipped, not ok: {reason}" for reason, names in reasons.items()]
    return (*skipped, *dict.fromkeys(item.note for item in checks if item.note))


def _skipped(name: str, ran: NotRun, where: Where | None) -> Check:
    return Check(name=name, ok=False, skipped=ran.reason, where=where)


def _name(run: VerifyRun) -> str:
    return f"run {' '.join(run.cmd)}"


def raise_failed(checks: Sequence[Check]) -> None:
    """Raise VerifyFailed, naming every check that did not pass; nothing where all did."""
    failed = [item for item in checks if not item.ok and not item.skipped]
    if failed:
        text = "\n".join(f"{item.name}: {item.detail}" + (f" ({item.where})" if item.where else "") for item in failed)
        where = next((item.where for item in failed if item.where), None)
        raise VerifyFailed(text, where=where, hint="run with --keep-failed to look into the image that failed")


def _imports(names: Sequence[str], ran: Ran, places: dict[str, Where]) -> list[Check]:
    done: dict[str, Check] = {}
    begun = ""
    for line in ran.stdout.splitlines():
        match line.split(" ", 2):
            case ["begin", name]:
                begun = name
            case ["ok", name]:
                done[name] = Check(name=f"import {name}", ok=True)
            case ["failed", name, error]:
                done[name] = Check(name=f"import {name}", ok=False, detail=error, where=places.get(name))
    missing = [name for name in names if name not in done]
    if missing:
        name = begun if begun in missing else missing[0]
        how = "ran out of time" if ran.exit is None else f"ended the interpreter with status {ran.exit}"
        detail = f"{how}: {_tail(ran.stderr)}"
        done[name] = Check(name=f"import {name}", ok=False, detail=detail, where=places.get(name))
    return list(done.values())


def _command(image: str, run: VerifyRun, limits: Limits, backend: Backend) -> Check:
    ran = backend.run(image, run.cmd, limits)
    name = _name(run)
    if isinstance(ran, NotRun):
        return _skipped(name, ran, run.where)
    if ran.exit is None:
        return Check(name=name, ok=False, detail=f"still running after {run.timeout:g} s", where=run.where)
    if ran.exit != run.exit:
        detail = f"exit status {ran.exit}, expected {run.exit}: {_tail(ran.stderr or ran.stdout)}"
        return Check(name=name, ok=False, detail=detail, where=run.where)
    if run.stdout is not None and re.search(run.stdout, ran.stdout) is None:
        detail = f"stdout does not match {run.stdout!r}: {_tail(ran.stdout)!r}"
        return Check(name=name, ok=False, detail=detail, where=run.where)
    return Check(name=name, ok=True, where=run.where, note=ran.note)


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_TAIL:]) or "it printed nothing"


def _explain(item: Missing | Unmet | Finding) -> str:
    if isinstance(item, Finding):
        return str(item)
    chain = "".join(
        f"\n      because {step.text}" + (f" ({step.where})" if step.where else "") for step in item.why.chain()
    )
    return f"{item}{chain}"
