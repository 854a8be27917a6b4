"""Why uv found no answer: its words, turned into one error whose hint says what there is instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import Version

from slimrun.errors import DownloadFailed, IndexUnreachable, SlimrunError, WheelNotFound
from slimrun.fetch.fit import fits, mismatch
from slimrun.fetch.network import public
from slimrun.fetch.simple import Listed, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.fetch.simple import Listing
    from slimrun.fetch.target import Target

_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?"
_SPEC = r"(?P<spec>(?:[=<>!~]=?=?[^ ]+)?)"
_UNREACHABLE = re.compile(
    r"Failed to fetch: `?(?P<url>[^\s`]+)|error sending request for url \((?P<sent>[^)]+)\)|Request failed after"
)
_GONE = re.compile(r"HTTP status client error \((?:400|404|410|451) [^)]*\) for url \((?P<url>[^)]+)\)")
_REFUSED = re.compile(r"An index(?: URL)? \((?P<url>[^)]+)\) (?:could not be queried due to|returned a 403)")
_UNKNOWN = re.compile(rf"{_NAME} was not found in the (?:package registry|provided package locations|cache)")
_PYTHON = re.compile(rf"does not satisfy Python(?P<python>\S+) and {_NAME}{_SPEC} depends on Python")
_WHEELS = re.compile(rf"{_NAME}{_SPEC} has no (?:usable wheels|wheels with a matching)")
_SOURCE = re.compile(rf"{_NAME}{_SPEC} (?:has|have) no source distribution")
_VERSION = re.compile(
    rf"there (?:is|are) no versions? of {_NAME}{_SPEC} "
    rf"|only {_NAME.replace('name', 'only')}\S* (?:is|are) available and you require (?P=only)"
)
_NEWEST = 6


class Unsolved(WheelNotFound):
    """`name` is the distribution to blame, normalised, so that the caller can say which line asked for it; or empty."""

    def __init__(self, message: str, *, hint: str = "", name: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = canonicalize_name(name) if name else ""


def failure(text: str, *, target: Target, indexes: Indexes, network: Network) -> SlimrunError:
    """The error that uv's words mean: Unsolved (a WheelNotFound), IndexUnreachable or DownloadFailed.

    The index is read once more where that helps to say what it has; if it is gone by then, uv's words must do.
    """
    lines = (re.sub(r"^\s*(?:error|cause|hint):", "", line).strip() for line in text.splitlines())
    said = " ".join(line for line in lines if line)
    said = re.sub(r"(\w+://)[^/\s@]+@", r"\1", said)
    if match := _REFUSED.search(said):
        msg = f"the package index {public(match['url'])} refuses access"
        return IndexUnreachable(msg, hint="put user and password for this host in ~/.netrc")
    if match := _GONE.search(said):
        msg = f"{public(match['url'])} is not there"
        return DownloadFailed(msg, hint="check the address in `wheels` and pip.index")
    if match := _UNREACHABLE.search(said):
        where = match["url"] or match["sent"] or str(indexes)
        last = text.strip().splitlines()[-1].strip().removeprefix("cause:").strip()
        hint = "check the network, the proxy, pip.index, and `mirrors` in slim.yaml; then run again"
        if "certificate" in said or "UnknownIssuer" in said:
            hint = "give your network's CA bundle as build.ca_certificates in slim.yaml"
        return IndexUnreachable(f"the package index does not answer: {public(where)}: {last}", hint=hint)
    if match := _UNKNOWN.search(said):
        msg = f"there is no package {match['name']} on {indexes}"
        return Unsolved(msg, hint="check the spelling, or name the index that has it as pip.index", name=match["name"])
    if match := _PYTHON.search(said):
        label = f"{match['name']} {match['spec'].removeprefix('==')}"
        msg = f"{label} is for Python {match['python']}, not {target.full_version}"
        return Unsolved(msg, hint=_other_versions(match["name"], target, indexes, network), name=match["name"])
    if match := _WHEELS.search(said):
        return _no_wheel(match["name"], _required(said, match["name"]) or match["spec"], target, indexes, network)
    if match := _SOURCE.search(said):
        return _no_source(match["name"], _required(said, match["name"]) or match["spec"], indexes, network)
    if match := _VERSION.search(said):
        name = match["name"] or match["only"]
        spec = _required(said, name) or match["spec"] or ""
        return Unsolved(f"there is no version of {name}{spec}", hint=_versions(name, indexes, network), name=name)
    if "No solution found" not in said:
        return Unsolved(f"uv found no answer: {said}", hint="check the lines of `wheels` and pip.constraints")
    because = said.partition("dependencies")[2].strip()
    name = (re.search(rf"you require {_NAME}", said) or {"name": ""})["name"]
    return Unsolved(f"the requirements contradict each other: {because}", hint="relax one of the versions", name=name)


def _no_wheel(name: str, spec: str, target: Target, indexes: Indexes, network: Network) -> Unsolved:
    msg = f"no wheel of {name}{spec} for {target}"
    found = _listing(name, indexes, network)
    if found is None:
        return Unsolved(msg, hint="choose another version, or another Python", name=name)
    chosen = [wheel for wheel in found.wheels if _matches(wheel.version, spec)]
    newer = _fitting(found.wheels, target)
    advice = f"{name} {newer[-1]} has one" if newer else "choose another Python, architecture or base"
    if found.sdists and not newer:
        advice = f"name it in pip.from_source, or {advice}"
    if chosen:
        reason = mismatch({tag for wheel in chosen for tag in wheel.tags}, target)
        # They fit, and still uv took none: Requires-Python, or a wheel that was withdrawn.
        reason = reason or f"only for Python {', '.join(sorted({wheel.requires_python or 'any' for wheel in chosen}))}"
        return Unsolved(msg, hint=f"its wheels are {reason}; {advice}", name=name)
    only = "it has sources only: name it in pip.from_source" if found.sdists else "the index has no wheel of it"
    return Unsolved(msg, hint=f"{only}, or choose another version ({advice})" if newer else only, name=name)


def _no_source(name: str, spec: str, indexes: Indexes, network: Network) -> Unsolved:
    found = _listing(name, indexes, network)
    sdists = found.sdists if found else ()
    hint = (
        f"the newest of its sources is {max(sdists, key=_sdist_version)}; or"
        if sdists
        else "the index has wheels of it only:"
    )
    return Unsolved(f"no source of {name}{spec}", hint=f"{hint} take it out of pip.from_source", name=name)


def _sdist_version(filename: str) -> tuple[bool, Version]:
    """For sorting; names that are none come first."""
    try:
        return True, parse_sdist_filename(filename)[1]
    except InvalidSdistFilename:
        return False, Version("0")


def _versions(name: str, indexes: Indexes, network: Network) -> str:
    found = _listing(name, indexes, network)
    versions = sorted({wheel.version for wheel in found.wheels}) if found else []
    if not versions:
        return "the index lists no wheel of it"
    start = "the newest are " if len(versions) > _NEWEST else "there are " if len(versions) > 1 else "there is only "
    return start + ", ".join(str(version) for version in versions[-_NEWEST:])


def _other_versions(name: str, target: Target, indexes: Indexes, network: Network) -> str:
    found = _listing(name, indexes, network)
    versions = _fitting(found.wheels, target) if found else []
    return f"{name} {versions[-1]} has a wheel for {target}" if versions else "choose another Python"


def _fitting(wheels: Iterable[Listed], target: Target) -> Sequence[Version]:
    fitting = (wheel for wheel in wheels if fits(wheel.tags, target) and _python_ok(wheel.requires_python, target))
    return sorted({wheel.version for wheel in fitting if not wheel.version.is_prerelease})


def _python_ok(requires: str, target: Target) -> bool:
    try:
        return SpecifierSet(requires).contains(target.environment["python_full_version"], prereleases=True)
    except InvalidSpecifier:
        return True


def _matches(version: Version, spec: str) -> bool:
    try:
        return SpecifierSet(spec).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def _required(said: str, name: str) -> str:
    """The version specifier with which a person asked for this name, if one did."""
    for match in re.finditer(r"you require (\S+?),? ", f"{said} "):
        try:
            asked = Requirement(match[1].rstrip(","))
        except InvalidRequirement:
            continue
        if canonicalize_name(asked.name) == canonicalize_name(name):
            return str(asked.specifier)
    return ""


def _listing(name: str, indexes: Indexes, network: Network) -> Listing | None:
    try:
        return listing(name, indexes, network)
    except SlimrunError:
        return None
