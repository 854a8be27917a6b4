"""What helps when a build failed: the words of compilers and tools, and what to name in the recipe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = "name it in pip.build_packages"
# The first that is found in the failure's last lines.
_ADVICE = (
    (
        r"(?:^|[\s'/-])(?:g?cc|clang)(?:-\d+)?'?(?: failed: No such file|: (?:command )?not found)"
        r"|unable to execute '\S*cc'",
        "there is no compiler: name gcc in pip.build_packages",
    ),
    (
        r"[gc]\+\+'?(?: failed: No such file|: (?:command )?not found)",
        "there is no C++ compiler: name g++ in pip.build_packages",
    ),
    (r"fatal error: (?P<what>[^\s:]+): No such file or directory", "{what} comes with some -dev package: " + _PACKAGE),
    (r"cannot find -l(?P<what>[^\s:]+)", "lib{what} comes with some -dev package: " + _PACKAGE),
    (r"(?P<what>[\w.-]+[_-]config) (?:executable )?not found", "{what} comes with some -dev package: " + _PACKAGE),
    (
        r"(?:Package|Dependency) ['\"]?(?P<what>[\w.+-]+)['\"]?.* not found",
        "{what} comes with some -dev package: " + _PACKAGE,
    ),
    (
        r"can't find Rust compiler|cargo\b.*(?:not found|No such file)",
        "it wants Rust: name cargo in pip.build_packages",
    ),
    (
        r"setuptools[-_]scm was unable to detect version",
        "the folder's .git is no part of the sources: give SETUPTOOLS_SCM_PRETEND_VERSION as build.env in slim.yaml",
    ),
)


def advice(lines: Sequence[str]) -> str:
    """What to do about the failure that these lines of a log tell of, or ""."""
    for pattern, text in _ADVICE:
        for line in lines:
            if match := re.search(pattern, line):
                return text.format(**match.groupdict())
    return ""
