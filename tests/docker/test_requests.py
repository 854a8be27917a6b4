"""What an engine is asked: counted on the way to the real one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.docker.between import Between
from tests.docker.conftest import RECIPES, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun


@pytest.mark.parametrize("made_elsewhere", [False, True], ids=["a new image", "all of it cached"])
def test_the_second_run_asks_one_thing(slimrun: Slimrun, tmp_path: Path, made_elsewhere: bool) -> None:
    """With the backend that `auto` chooses: whether the image is still there, and nothing else; also where the engine's address
    is new and what it would make is known from another.
    """
    fresh = slimrun.fresh(tmp_path / "cache")
    if made_elsewhere:
        assert fresh(RECIPES / "hello.yaml").code == 0
    with Between(os.environ["DOCKER_HOST"], path=tmp_path / "s") as between:
        first = fresh(RECIPES / "hello.yaml", DOCKER_HOST=between.address)
        assert first.code == 0, first.text
        between.asked.clear()
        second = fresh(RECIPES / "hello.yaml", DOCKER_HOST=between.address)
        assert second.code == 0, second.text
        assert second.recap("hello")["changed"] == 0
        assert between.asked == ["GET /images/hello%3Alatest/json"]


def test_a_pull_tells_how_far_it_is(slimrun: Slimrun, tmp_path: Path, only_there: str) -> None:
    """In bytes of all layers together, as they come; the engine had nothing of the image."""
    recipe = write_recipe(tmp_path, f"python: {{image: 'python:3.11-slim'}}\nruntime: {only_there}\n")
    done = slimrun(recipe, "--backend", "docker", "--output", "json")
    assert done.code == 0, done.text
    events = [json.loads(line) for line in done.out.splitlines()]
    steps = [event for event in events if event["event"] == "Progress" and event["what"].startswith("pull ")]
    assert {event["what"] for event in steps} == {f"pull {os.environ['SLIMRUN_TEST_REGISTRY']}/library/{only_there}"}
    assert [event["done"] for event in steps] == sorted(event["done"] for event in steps)
    assert 0 < steps[0]["done"] <= steps[-1]["done"] <= steps[-1]["total"]
    assert steps[-1]["total"] > 6_000_000, "what is random cannot be packed"
    kinds = [event["event"] for event in events]
    assert kinds.index("Progress") < kinds.index("TaskEnded"), "while resolve was at it"
    again = slimrun(recipe, "--backend", "docker", "--output", "json", "--refresh")
    assert '"what": "pull ' not in again.out, "what is there is not pulled again"


def test_a_timeout_below_a_second_is_a_second(slimrun: Slimrun, tmp_path: Path) -> None:
    """docker-py takes whole seconds, and 0 is none to it."""
    config = tmp_path / "slim.yaml"
    config.write_text(f"{slimrun.config.read_text()}docker: {{timeout: 1ms}}\n", encoding="utf-8")
    assert slimrun(RECIPES / "hello.yaml").code == 0
    done = slimrun(RECIPES / "hello.yaml", "--backend", "docker", "--refresh", "--config", config)
    assert done.code == 0, done.text
