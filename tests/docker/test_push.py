"""registry.push on a real engine and registry: what people pull is what was verified."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docker.conftest import RECIPES, Slimrun, docker, inspect

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_pulled_is_what_was_verified(slimrun: Slimrun, registry: str, tmp_path: Path) -> None:
    config = tmp_path / "slim.yaml"
    team = f"{registry}/push-{tmp_path.name.replace('_', '-')}"
    config.write_text(slimrun.config.read_text() + f"registry: {{prefix: '{team}', push: true}}\n")
    name, words = f"{team}/hello:latest", (RECIPES / "hello.yaml", "--config", config)
    done = slimrun(*words)
    assert done.code == 0, done.text
    digest = re.search(rf"pushed {re.escape(name)}@(sha256:[0-9a-f]{{64}})", done.out)
    assert digest, done.out
    verified = inspect(name)["Id"]
    docker("image", "rm", "--force", name)
    assert f"Digest: {digest[1]}" in docker("pull", name).out
    assert inspect(name)["Id"] == verified
    again = slimrun(*words)
    assert again.recap("hello")["changed"] == 0, again.text
    # Somebody moves the name in the registry: the next run leads it back.
    docker("tag", f"{registry}/library/busybox:glibc", name)
    docker("push", name)
    moved = slimrun(*words, "-v")
    assert moved.code == 0, moved.text
    assert "the registry has another image there, or none" in moved.out
    assert digest[1] in docker("pull", name).out
    docker("image", "rm", "--force", name)
