"""Steps of a build have keys: each of all that came before it, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from slimrun.backend.chain import BuildStep, step_keys
from slimrun.plan.pins import ImagePin
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree

BASE = ImagePin(reference="debian:bookworm-slim", digest="sha256:" + "a" * 64, platform="linux/amd64")
STEPS = (
    BuildStep(name="packages", commands=(("apt-get", "update"), ("apt-get", "install", "gcc")), network=True),
    BuildStep(name="source", tree=Tree({"/src/configure": file(b"#!/bin/sh")})),
    BuildStep(name="configure", commands=(("./configure", "--a"),), env=(("A", "1"), ("B", "2")), workdir="/src"),
    BuildStep(name="make", commands=(("make",),), hints=(("MAKEFLAGS", "-j2"),), workdir="/src"),
)
CHANGES: dict[str, Any] = {
    "name": "other",
    "commands": (("true",),),
    "env": (("C", "3"),),
    "workdir": "/else",
    "tree": Tree({"/src/configure": file(b"#!/bin/bash")}),
    "network": "flip",
}


def changed(number: int, **what: Any) -> tuple[BuildStep, ...]:
    step = replace(STEPS[number], **what)
    return (*STEPS[:number], step, *STEPS[number + 1 :])


def test_every_step_has_a_key_of_its_own() -> None:
    keys = step_keys(BASE, STEPS, ())
    assert len(set(keys)) == len(STEPS)
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    assert step_keys(BASE, STEPS[:2], ()) == keys[:2], "what follows does not matter"


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_change_reaches_what_follows_and_nothing_before(number: int, field: str) -> None:
    value = not STEPS[number].network if field == "network" else CHANGES[field]
    keys, others = step_keys(BASE, STEPS, ()), step_keys(BASE, changed(number, **{field: value}), ())
    assert others[:number] == keys[:number]
    assert all(one != two for one, two in zip(others[number:], keys[number:], strict=True))


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_hints_are_in_no_key(number: int) -> None:
    assert step_keys(BASE, changed(number, hints=(("MAKEFLAGS", "-j64"),)), ()) == step_keys(BASE, STEPS, ())


def test_the_order_of_an_environment_is_in_no_key() -> None:
    keys = {step_keys(BASE, changed(2, env=env), ()) for env in permutations((("A", "1"), ("B", "2"), ("C", "3")))}
    assert len(keys) == 1


def test_the_builder_and_the_environment_of_builds_are_in_every_key() -> None:
    plain = step_keys(BASE, STEPS, ())
    bases = [replace(BASE, digest="sha256:" + "b" * 64), replace(BASE, platform="linux/arm64")]
    for others in (*(step_keys(base, STEPS, ()) for base in bases), step_keys(BASE, STEPS, (("TOKEN", "x"),))):
        assert not set(others) & set(plain)
    # Where an image is called something else it is the same image.
    assert step_keys(replace(BASE, reference="localhost/debian", manifest="sha256:1"), STEPS, ()) == plain


def test_an_argument_is_not_two() -> None:
    one, two = (BuildStep(name="x", commands=(argv,)) for argv in (("a", "b c"), ("a", "b", "c")))
    assert step_keys(BASE, (one,), ()) != step_keys(BASE, (two,), ())
    joined = BuildStep(name="x", commands=(("a",), ("b",)))
    assert step_keys(BASE, (joined,), ()) != step_keys(BASE, (BuildStep(name="x", commands=(("a", "b"),)),), ())
