"""Keys whose work is not there are valid, and named with their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slimrun import machine
from slimrun.recipe.load import load_recipe
from slimrun.recipe.planned import PLANNED, PLANNED_SLIM, not_yet, slim_not_yet
from slimrun.recipe.slim import load_slim
from slimrun.recipe.slim_model import Slim

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "python: {image: x}\n"
USES = {
    "level tiny": (IMAGE + "prune: {level: tiny}\n", "2:9"),
    "traces": (IMAGE + "prune: {trace: x.json}\n", "2:9"),
    "images for another machine": (IMAGE + "platforms: [linux/riscv64]\n", "2:1"),
}


@pytest.mark.parametrize("what", USES)
def test_use(what: str, tmp_path: Path) -> None:
    text, place = USES[what]
    path = tmp_path / "r.yaml"
    path.write_text(text)
    (problem,) = not_yet(load_recipe(path, slim=Slim()), host="linux/amd64")
    assert problem.text == f"{what}: not done yet"
    assert problem.rule == "not-yet"
    assert str(problem.where) == f"{path}:{place}"
    assert problem.source == text.splitlines()[problem.where.line - 1]


def test_every_row_has_a_test() -> None:
    assert {what for what, _ in PLANNED} | {"images for another machine"} == set(USES)


def test_nothing_planned(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        IMAGE + f"prune: {{level: small, bytecode: only, dedupe: true}}\nplatforms: [{machine.host().platform}]\n"
    )
    assert not_yet(load_recipe(path, slim=Slim())) == ()


SLIM = {
    "requiring a lock": "lock: require\n",
    "a shared cache": "cache: {registry: registry.example.org/cache}\n",
    "Dask": "run: {dask: 'tcp://127.0.0.1:8786'}\n",
}


@pytest.mark.parametrize("what", SLIM)
def test_use_in_slim_yaml(what: str, tmp_path: Path) -> None:
    path = tmp_path / "slim.yaml"
    path.write_text(f"requires: '>=0.1'\n{SLIM[what]}")
    (problem,) = slim_not_yet(load_slim(path))
    assert problem.text == f"{what}: not done yet"
    assert problem.where.line == 2
    assert problem.source == SLIM[what].rstrip()


def test_every_row_of_slim_yaml_has_a_test() -> None:
    assert {what for what, _, _ in PLANNED_SLIM} == set(SLIM)


def test_nothing_planned_in_slim_yaml(tmp_path: Path) -> None:
    assert slim_not_yet(Slim()) == ()
    path = tmp_path / "slim.yaml"
    path.write_text("policy: {forbid_root: true}\nlock: use\nregistry: {push: false}\n")
    assert slim_not_yet(load_slim(path)) == ()
