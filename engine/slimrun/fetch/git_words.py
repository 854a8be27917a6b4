"""What git's complaints mean: one table, from its words to an error and the next step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import DiskFull, GitUnreachable, RefNotFound, RepositoryNotFound, RequirementNotMet

if TYPE_CHECKING:
    from slimrun.errors import SlimrunError


@dataclass(frozen=True, slots=True)
class Meaning:
    """An error class, what it is in a few words, and what to do."""

    error: type[SlimrunError]
    text: str
    hint: str


_LOGIN = "git asks nobody for a password here: give it a credential helper, an ssh agent or ~/.netrc, and try `git ls-remote`"
_NETWORK = "check the network, build.proxy and mirrors.git in slim.yaml; then run again"
_CA = "give your network's CA bundle as build.ca_certificates in slim.yaml"
_ADDRESS = "check python.git.repo in the recipe"

# The first row that fits; the words are those of git 2.30 to 2.50 and OpenSSH under LC_ALL=C.
_ROWS: tuple[tuple[str, Meaning], ...] = (
    (
        r"dubious ownership|unsafe repository",
        Meaning(
            RequirementNotMet,
            "it belongs to another user, and git refuses to read it",
            "git config --global --add safe.directory PATH",
        ),
    ),
    (
        r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|HTTP Basic: Access denied"
        r"|Permission denied \(|Host key verification failed|The requested URL returned error: 40[137]",
        Meaning(GitUnreachable, "it refuses access", _LOGIN),
    ),
    (
        r"certificate|SSL",
        Meaning(GitUnreachable, "its certificate is not trusted", _CA),
    ),
    (
        r"not our ref|[Cc]ould(?:n't| not) find remote ref|unadvertised object|no such remote ref|did not send all necessary",
        Meaning(RefNotFound, "it has no such commit", "run with --refresh; a branch may have been rewritten"),
    ),
    (
        r"No space left on device",
        Meaning(DiskFull, "no space is left for it", "free some space, or set cache.dir in slim.yaml to another disk"),
    ),
    (
        r"does not appear to be a git repository|[Rr]epository .*not found|not found: did you run|returned error: 404"
        r"|no such repository|access denied or repository not exported|not a git repository",
        Meaning(RepositoryNotFound, "there is no git repository", _ADDRESS),
    ),
    (
        r"is not a valid repository|unsupported protocol|Unable to find remote helper|transport '\w+' not allowed",
        Meaning(RepositoryNotFound, "git cannot read from such an address", _ADDRESS),
    ),
    ("", Meaning(GitUnreachable, "it does not answer", _NETWORK)),
)


def meaning(stderr: str) -> Meaning:
    """The first row that fits; what no row knows is a repository that does not answer."""
    return next(row for words, row in _ROWS if re.search(words, stderr))


def gives_tips_only(stderr: str) -> bool:
    """Whether a server answered that it gives no single commit, which says nothing about whether it has it."""
    return re.search(r"unadvertised object|does not support shallow", stderr) is not None


def last_words(stderr: str) -> str:
    """git's own complaint, without its progress and advice, in one line."""
    lines = [line.strip() for line in stderr.replace("\r", "\n").splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal: ", "error: ", "remote: ", "ssh: "))]
    chosen = [line for line in said if not line.startswith("remote: ")] or said or lines[-1:]
    return "; ".join(dict.fromkeys(line.removeprefix("fatal: ").removeprefix("error: ") for line in chosen))
