"""How long an image's interpreter takes until it has imported what a service imports, with each prune.bytecode.

    eval "$(.ci/services env)"; .venv/bin/python benchmarks/start.py

Prints size and the best of ROUNDS: CPU and wall time of the interpreter as seen inside the container, so that the engine's own
time to start one is no part of it; beside the base build's image as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = os.environ.get("SLIMRUN_TEST_REGISTRY", "")
IMAGE = "python:3.11-slim"
ROUNDS = 7
RECIPE = """name: start-{mode}
python: {{image: 'python:3.11-slim'}}
runtime: busybox:glibc
prune: {{bytecode: {mode}}}
"""
# Started again from within: the first start pays for reading the image's files.
PROGRAM = """
import json, os, subprocess, sys, time
code = "import asyncio, json, logging, ssl, urllib.request"
best = []
for number in range(ROUNDS):
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    wall, after = time.monotonic() - began, os.times()
    best.append((after.children_user + after.children_system - before.children_user - before.children_system, wall))
print(json.dumps([min(column) for column in zip(*best)]))
""".replace("ROUNDS", str(ROUNDS))


def main() -> None:
    """Build the three images, then run each and the base build's."""
    folder = Path(tempfile.mkdtemp(prefix="slimrun-benchmark-"))
    try:
        base = f"{REGISTRY}/library/{IMAGE}" if REGISTRY else IMAGE
        for name in (base, f"{REGISTRY}/library/busybox:glibc" if REGISTRY else "busybox:glibc"):
            _run(["docker", "pull", "--quiet", name])
        config = folder / "slim.yaml"
        config.write_text(f"mirrors: {{images: {{docker.io/library: {REGISTRY}/library}}}}\n" if REGISTRY else "{}\n")
        images = {f"{IMAGE} as it is": base}
        for mode in ("drop", "keep", "only"):
            recipe = folder / f"{mode}.yaml"
            recipe.write_text(RECIPE.format(mode=mode))
            command = [sys.executable, "-m", "slimrun", str(recipe), "--config", str(config), "--backend", "docker"]
            _run(command, XDG_CACHE_HOME=str(folder / "cache"))
            images[f"bytecode: {mode}"] = f"start-{mode}"
        for what, image in images.items():
            argv = ["docker", "run", "--rm", "--read-only", "--entrypoint", "python3", image, "-c", PROGRAM]
            cpu, wall = json.loads(_run(argv))
            size = int(_run(["docker", "image", "inspect", "--format", "{{.Size}}", image]))
            print(f"{what:28} {size / 1e6:6.1f} MB  {cpu * 1000:4.0f} ms CPU  {wall * 1000:4.0f} ms")
    finally:
        shutil.rmtree(folder)


def _run(argv: list[str], **environ: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | environ, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
