"""Why each wheel is there: the line that asks for it, or the wheel whose Requires-Dist does."""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from slimrun.python.install import wheel_why
from slimrun.python.requirements import read_requirements
from slimrun.python.target import target_of
from slimrun.python.wheelfile import open_wheel
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from slimrun.errors import Where
    from slimrun.fetch.target import Target
    from slimrun.plan.pins import WheelPin
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.requirements import Line


def explain_wheels(
    lines: Sequence[Line],
    fetched: Sequence[tuple[WheelPin, Path]],
    interpreter: Interpreter,
    glibc: tuple[int, int] = (2, 99),
    *,
    from_source: Mapping[str, Where] = MappingProxyType({}),
    built_in: str = "",
) -> tuple[tuple[WheelPin, Path, Why], ...]:
    """Each wheel with the shortest reason for it, by name, ready for `install_wheels`.

    Ties go to the name that sorts first. No marker knows of glibc: it only matters for checking tags again. A wheel that was
    built says of what, in which builder, and which line of `from_source` wants it so. Raises BadWheel, and WheelNotFound for
    a wheel that is for something else.
    """
    if not fetched:
        return ()
    target = target_of(interpreter, glibc)
    pins = {pin.name: pin for pin, _ in fetched}
    needs = {pin.name: _needs(pin, path, target) for pin, path in fetched}
    reasons, extras = _roots(lines, target, pins, from_source)
    todo = deque(sorted(reasons))
    while todo:
        name = todo.popleft()
        for need in _wanted(needs[name], extras[name], target):
            other = canonicalize_name(need.name)
            if other not in pins:
                continue
            new = frozenset(need.extras) - extras.get(other, frozenset())
            if other not in reasons:
                text = f"{name} {pins[name].version} requires {need.name}"
                reasons[other] = Why(rule="requires", text=text, because=wheel_why(pins[name], reasons[name]))
            elif not new:
                continue
            extras[other] = extras.get(other, frozenset()) | new
            todo.append(other)
    last = Why(rule="recipe", text=lines[0].text, where=lines[0].where) if lines else Why(rule="lock", text="locked")
    return tuple(
        (pin, path, _built(pin, reasons.get(pin.name, last), from_source, built_in)) for pin, path in sorted(fetched)
    )


def _built(pin: WheelPin, why: Why, from_source: Mapping[str, Where], built_in: str) -> Why:
    """The reason of a wheel that was built here: its sources stand between it and who asked for it."""
    if pin.source is None:
        return why
    text = f"built of {pin.source.filename}{f' in {built_in}' if built_in else ''}"
    return Why(rule="built", text=text, because=why, where=from_source.get(pin.name))


def _roots(
    lines: Sequence[Line], target: Target, pins: Mapping[str, WheelPin], from_source: Mapping[str, Where]
) -> tuple[dict[str, Why], dict[str, frozenset[str]]]:
    asked = read_requirements(lines, target, from_source=from_source)
    reasons: dict[str, Why] = {}
    extras: dict[str, frozenset[str]] = {}
    direct = [(named.name, frozenset(named.requirement.extras), named.why) for named in asked.named]
    direct += [(wheel.name, wheel.extras, wheel.why) for wheel in asked.local]
    direct += [(item.pin.name, frozenset(), item.why) for item in asked.locked]
    folders = {pin.source.url: pin.name for pin in pins.values() if pin.source and not pin.source.name}
    direct += [(folders.get(str(item.path), ""), item.extras, item.why) for item in asked.sources]
    for name, wanted, why in direct:
        if name in pins:
            reasons.setdefault(name, why)
            extras[name] = extras.get(name, frozenset()) | wanted
    return reasons, extras


def _needs(pin: WheelPin, path: Path, target: Target) -> tuple[Requirement, ...]:
    found = []
    with open_wheel(pin, path, target) as wheel:
        for text in wheel.requires:
            try:
                found.append(Requirement(text))
            except InvalidRequirement:
                continue  # old metadata; uv has resolved it, and only a reason is lost
    return tuple(sorted(found, key=lambda need: canonicalize_name(need.name)))


def _wanted(needs: Sequence[Requirement], extras: frozenset[str], target: Target) -> Iterator[Requirement]:
    for need in needs:
        values = [{**target.environment, "extra": extra} for extra in ("", *sorted(extras))]
        if need.marker is None or any(need.marker.evaluate(value) for value in values):  # type: ignore[arg-type]
            yield need
