"""The command `slimrun`: the first word is a command, or all words are recipes; this is the only place that exits."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from slimrun import __version__
from slimrun.cli.signals import Signals
from slimrun.errors import BadCommandLine, DiskFull, Interrupted, SlimrunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

# Each command is the module of its name in this folder, with SUMMARY and main(argv); loaded when it is called.
COMMANDS = ("run", "init", "list", "show", "lint", "explain", "schema", "clean", "doctor")

# What writing to standard output may say that no program can mend; of a file there would be a name.
_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)

HELP = """slimrun makes the smallest glibc Python container images there are, from declarative recipes, and proves each one.

usage: slimrun FILE... [options]      the same as `slimrun run FILE...`
       slimrun COMMAND [options]

commands:
{commands}

`slimrun COMMAND --help` says more. Exit codes: 0 ok, 1 slimrun's own fault, 2 an image failed, 3 a recipe or
configuration is invalid, 4 engine or registry unreachable, 5 bad command line, 6 differences found (--check --exit-code),
130 interrupted, 143 terminated.
"""
# Values here hold no cycles, and going through all of them in search of some takes longer than many a stage.
_OBJECTS = 200_000


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    words = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(_OBJECTS)
    sys.exit(_guarded(words))


def _guarded(words: list[str]) -> int:
    """What a command answers; every failure becomes a message and a code."""
    Signals(_aside).install()
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return _say(Interrupted("interrupted; what was begun has been cleared away"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except SlimrunError as error:
        return _say(error)
    except OSError as error:
        if error.filename is None and error.errno in _OUTPUT:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            msg = f"what there is to say cannot be written: {error.strerror}"
            return _say(DiskFull(msg, hint="look at where standard output goes"))
        return _own_fault()
    except Exception:
        return _own_fault()


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        names = (f"  {name:10}{_command(name).SUMMARY}" for name in COMMANDS)
        print(HELP.format(commands="\n".join(names)), end="")
        return 0
    if words[0] in ("-V", "--version"):
        print(f"slimrun {__version__}")
        return 0
    try:
        Path.cwd()
    except OSError as error:
        msg = f"the current folder cannot be used: {error.strerror}"
        raise BadCommandLine(msg, hint="it was removed, or may not be entered: cd to another one") from error
    if words[0] in COMMANDS:
        return int(_command(words[0]).main(words[1:]))
    if not words[0].startswith("-") and not _looks_like_a_file(words[0]):
        raise _unknown_word(words[0])
    return int(_command("run").main(words))


def _command(name: str) -> ModuleType:
    return import_module(f"slimrun.cli.{name}")


def _looks_like_a_file(word: str) -> bool:
    return "/" in word or "." in word or Path(word).exists()


def _unknown_word(word: str) -> SlimrunError:
    import difflib

    files = [str(path) for folder in (Path(), *_recipe_folders()) for path in sorted(folder.glob("*.y*ml"))]
    known = {**{name: name for name in COMMANDS}, **{Path(name).stem: name for name in files}}
    near = [known[name] for name in difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.6)]
    hint = (
        f"did you mean {' or '.join(f'`slimrun {name}`' for name in near)}?" if near else "`slimrun --help` lists both"
    )
    return BadCommandLine(f"'{word}' is neither a command nor a file", hint=hint)


def _recipe_folders() -> tuple[Path, ...]:
    """The folders that slim.yaml names, as paths from here where they are below it; its own faults are told elsewhere."""
    from slimrun.cli.options import nearest_slim

    try:
        folders = nearest_slim(Path()).recipes
    except SlimrunError:
        return ()
    here = Path.cwd()
    return tuple(folder.relative_to(here) if folder.is_relative_to(here) else folder for folder in folders)


def _aside(text: str) -> None:
    """Out of a signal's handler: past every buffer that may be in the middle of something."""
    os.write(2, f"{text}\n".encode())


def _say(error: SlimrunError) -> int:
    print(error.render(), file=sys.stderr)
    return error.exit_code


def _own_fault() -> int:
    with NamedTemporaryFile("w", prefix="slimrun-fault-", suffix=".txt", delete=False) as file:
        file.write(f"slimrun {__version__}, Python {sys.version}\nargv: {sys.argv}\n\n{traceback.format_exc()}")
    last = traceback.format_exc().strip().splitlines()[-1]
    print(f"error: this is slimrun's own fault, please report it with {file.name}: {last}", file=sys.stderr)
    return 1
