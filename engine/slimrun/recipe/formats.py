"""What `format` means in our schemas: a function a name, which says what is wrong with a text, or None.

They are checked on merged, interpolated values only; editors ignore formats that they do not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from slimrun.recipe.model import SCRATCH
from slimrun.recipe.reference import is_file, parse_reference, split_file
from slimrun.recipe.units import parse_duration, parse_size
from slimrun.recipe.words import near_miss, quoted
from slimrun.settings import ENGINE_ADDRESS

Format = Callable[[str], str | None]

_SCHEMES = ("file", "http", "https", "ssh")
_SCP = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^\s:][^\s]*")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9.+~:-]+)?")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_SONAME = re.compile(r"[^\s/]+")
_CLOSED_CLASS = re.compile(r"\[!?\]?[^\]]*\]")
_PREFIX = re.compile(r"[a-zA-Z0-9.-]+(?::[0-9]+)?(?:/[a-z0-9._-]+)*/?")

MAX_ID = 2**32 - 2
_LAST_SIGNAL = 64
_NAMED = """
    ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN
    TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX
"""
# Real-time signals are named from both ends of their range, which glibc leaves 31 numbers of.
SIGNALS = frozenset(
    (
        *(f"SIG{name}" for name in _NAMED.split()),
        *(f"SIGRTMIN+{number}" for number in range(1, 16)),
        *(f"SIGRTMAX-{number}" for number in range(1, 15)),
    )
)


def _matches(pattern: re.Pattern[str], what: str) -> Format:
    return lambda text: None if pattern.fullmatch(text) else f"{quoted(text)} is not {what}"


def _parses(parse: Callable[[str], object]) -> Format:
    def complaint(text: str) -> str | None:
        try:
            parse(text)
        except ValueError as error:
            return str(error)
        return None

    return complaint


_reference = _parses(parse_reference)


def _image_reference(text: str) -> str | None:
    return "'scratch' is empty: it can stand only in 'runtime'" if text == SCRATCH else _source(text)


def _image_tag(text: str) -> str | None:
    if "@" in text:
        return f"{quoted(text)} holds a digest, which is known only when the image is made"
    return "'scratch' is empty: it can stand only in 'runtime'" if text == SCRATCH else _reference(text)


def _runtime(text: str) -> str | None:
    return None if text == SCRATCH else _source(text)


def _source(text: str) -> str | None:
    """An image of a registry, or one in a file."""
    if not is_file(text):
        return _reference(text)
    return None if split_file(text)[1] else f"{quoted(text)} names no file"


def _absolute_path(text: str) -> str | None:
    if not text.startswith("/"):
        return f"{quoted(text)} is not an absolute path: begin with '/'"
    return f"{quoted(text)} may not hold '..'" if ".." in text.split("/") else None


def _volume(text: str) -> str | None:
    return "a volume cannot be the whole file system" if not text.strip("/") else _absolute_path(text)


def _user(text: str) -> str | None:
    """Numbers as the kernel has them (uid_t, less the one that means none), or names."""
    for part in text.split(":"):
        if part.isdigit() and int(part) > MAX_ID:
            return f"{quoted(part)} is no user or group: the largest is {MAX_ID}"
    return None


def _port(text: str) -> str | None:
    number = text.partition("/")[0]
    return f"{quoted(text)} is no port: they go up to 65535" if number.isdigit() and int(number) > 65535 else None


def _signal(text: str) -> str | None:
    """A signal that the kernel knows; an engine takes any word, and says that it knows none when a container is stopped."""
    if text.isdigit():
        return (
            None if 1 <= int(text) <= _LAST_SIGNAL else f"{quoted(text)} is no signal: they go from 1 to {_LAST_SIGNAL}"
        )
    if text in SIGNALS:
        return None
    close = near_miss(text, SIGNALS)
    return f"{quoted(text)} is no signal of Linux" + (f": did you mean {quoted(close)}?" if close else "")


def _relative_path(text: str) -> str | None:
    if not text or text.startswith("/"):
        return f"{quoted(text)} is not a path from this file: write one without '/' at the beginning"
    return None


def _absolute_glob(text: str) -> str | None:
    if not text.startswith("/"):
        return f"{quoted(text)} is no pattern over absolute paths: begin with '/' or '/**/'"
    return _glob(text)


def _relative_glob(text: str) -> str | None:
    if not text or text.startswith("/"):
        return f"{quoted(text)} is no pattern over paths in the folder: leave out the '/' at the beginning"
    return _glob(text)


def _glob(text: str) -> str | None:
    parts = text.split("/")
    if ".." in parts:
        return f"{quoted(text)} may not hold '..'"
    if any("**" in part and part != "**" for part in parts):
        return f"{quoted(text)}: '**' stands alone between two '/'"
    if any("[" in _CLOSED_CLASS.sub("", part) for part in parts):
        return f"{quoted(text)}: '[' is not closed by ']'"
    return None


def _wheel_line(text: str) -> str | None:
    option, _, rest = text.partition(" ")
    if option == "-r":
        return _relative_path(rest.strip()) if rest.strip() else "'-r' wants a file: '-r requirements.txt'"
    if text.startswith("-"):
        return f"{quoted(text)}: '-r FILE' is the only option here"
    if "://" in text:
        return f"{quoted(text)}: an address cannot stand here; download the wheel and write './dist/x.whl'"
    if text.startswith(("./", "../", "/")) or text in (".", "..") or text.endswith(".whl"):
        return _wheel_path(text)
    return _requirement(text)


def _wheel_path(text: str) -> str | None:
    if not text.startswith(("./", "../")):
        return f"{quoted(text)}: write a path from this file as './…'"
    if not text.endswith((".whl", "/")):
        return f"{quoted(text)} is neither a wheel ('./dist/x.whl') nor a folder (it ends in '/')"
    return None


# Many recipes name no wheels, most slim.yaml no versions: packaging is loaded by those that do.


def _requirement(text: str) -> str | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        return f"{quoted(text)} is not a requirement, such as 'psycopg2-binary==2.9.9'"
    return None


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return f"{quoted(text)} is not an address"
    if parts.scheme not in _SCHEMES or not (parts.netloc or parts.scheme == "file") or re.search(r"\s", text):
        return f"{quoted(text)} is not an address with one of {', '.join(_SCHEMES)}"
    if "@" in parts.netloc and parts.scheme != "ssh":
        return "an address may not hold a user or a password: put them into ~/.netrc"
    return None


def _git_ref(text: str) -> str | None:
    """As `git check-ref-format` has it, or a commit."""
    parts = text.split("/")
    bad = re.search(r"[\s~^:?*\[\\\x00-\x1f\x7f]|\.\.|@\{", text) or text.startswith("-") or text == "@"
    if bad or any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts):
        return f"{quoted(text)} is not the name of a branch or tag, nor a commit"
    return None


def _git_repository(text: str) -> str | None:
    """What git clones from: an address, `user@host:path`, or a path from the recipe."""
    if text.startswith(("./", "../", "/")) or _SCP.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        known = parts.scheme in (*_SCHEMES, "git") and (parts.netloc or parts.scheme == "file")
    except ValueError:
        return f"{quoted(text)} is not an address"
    if not known or re.search(r"\s", text):
        return (
            f"{quoted(text)} is no git repository: an address (https, ssh, git, file), user@host:path, or a path './…'"
        )
    if parts.password is not None or (parts.username and parts.scheme != "ssh"):
        return "an address may not hold a user or a password: git asks your credential helper, agent or ~/.netrc"
    return None


def _python_regex(text: str) -> str | None:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"{quoted(text)} is not a regular expression: {error}"
    return None


def _module(text: str) -> str | None:
    if all(part.isidentifier() for part in text.split(".")):
        return None
    return f"{quoted(text)} is not the name of a module, such as 'psycopg2' or 'os.path'"


def _specifier(text: str) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return f"{quoted(text)} does not say versions as '>=0.1,<2' does"
    return None


FORMATS: dict[str, Format] = {
    "absolute-glob": _absolute_glob,
    "absolute-path": _absolute_path,
    "debian-package": _matches(_DEBIAN, "the name of a Debian package"),
    "distribution": _matches(_DISTRIBUTION, "the name of a distribution"),
    "duration": _parses(parse_duration),
    "engine-address": _matches(ENGINE_ADDRESS, "an engine's address, such as 'unix:///var/run/docker.sock'"),
    "git-ref": _git_ref,
    "git-repository": _git_repository,
    "image-prefix": _matches(_PREFIX, "the beginning of an image's address, such as 'registry.example.org/team'"),
    "image-reference": _image_reference,
    "image-tag": _image_tag,
    "module": _module,
    "python-regex": _python_regex,
    "relative-glob": _relative_glob,
    "relative-path": _relative_path,
    "port": _port,
    "runtime": _runtime,
    "size": _parses(parse_size),
    "signal": _signal,
    "soname": _matches(_SONAME, "a soname, such as 'libgomp.so.1'"),
    "specifier": _specifier,
    "url": _url,
    "user": _user,
    "volume": _volume,
    "wheel-line": _wheel_line,
}
