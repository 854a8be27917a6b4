"""slimrun beside a multi-stage Dockerfile with the same COPYs and all of the builder's libraries.

    eval "$(.ci/services env)"; .venv/bin/python benchmarks/dockerfile.py [IMAGE]

IMAGE (python:3.11 by default, a stand-in of 1 GB or more where .ci/images made it) must be in the engine or its mirror; it is
pulled before the clock starts. The peer is the engine's classic builder, or BuildKit where DOCKER_BUILDKIT=1 is set. Prints seconds,
the ratio, slimrun's peak memory and the time of a second run.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = os.environ.get("SLIMRUN_TEST_REGISTRY", "")
DOCKERFILE = """FROM {image} AS build
FROM {runtime}
COPY --from=build /usr/local /usr/local
COPY --from=build /usr/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu
COPY --from=build /etc/ld.so.cache /etc/ld.so.cache
ENTRYPOINT ["/usr/local/bin/python3"]
"""
RECIPE = """name: benchmark
python:
  image: {image}
runtime: busybox:glibc
verify:
  imports: [ssl, sqlite3]
"""
SLIM = """mirrors:
  images:
    docker.io/library: {registry}/library
"""


def main() -> None:
    """Run both, the peer first, and print one line each."""
    image = sys.argv[1] if len(sys.argv) > 1 else "python:3.11"
    prefix = f"{REGISTRY}/library/" if REGISTRY else ""
    folder = Path(tempfile.mkdtemp(prefix="slimrun-benchmark-"))
    try:
        for name in (image, "busybox:glibc"):
            _run(["docker", "pull", "--quiet", prefix + name])
        size = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Size}}", prefix + image], capture_output=True, check=True, text=True
        )
        print(f"base build {image}: {int(size.stdout) / 1e9:.2f} GB")
        peer = _peer(folder, prefix + image, f"{prefix}busybox:glibc")
        print(f"Dockerfile: {peer:.2f} s")
        first = _slimrun(folder, image)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        second = min(_slimrun(folder, image) for _ in range(3))
        print(f"slimrun, empty cache, with verify: {first:.2f} s; ratio {first / peer:.2f} (wanted: at most 0.25)")
        print(f"peak memory of slimrun's run or the docker client, whichever is larger: {memory:.0f} MB (wanted: under 250)")
        print(f"slimrun, second run: {second:.2f} s (wanted: under 0.5)")
    finally:
        shutil.rmtree(folder)


def _peer(folder: Path, image: str, runtime: str) -> float:
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=image, runtime=runtime), encoding="utf-8")
    environ = {"DOCKER_BUILDKIT": "0"} | dict(os.environ)
    began = time.monotonic()
    _run(["docker", "build", "--no-cache", "--quiet", "--tag", "slimrun-benchmark-peer", str(folder)], environ)
    took = time.monotonic() - began
    _run(["docker", "image", "rm", "--force", "slimrun-benchmark-peer"])
    return took


def _slimrun(folder: Path, image: str) -> float:
    recipe, config = folder / "benchmark.yaml", folder / "slim.yaml"
    recipe.write_text(RECIPE.format(image=image), encoding="utf-8")
    config.write_text(SLIM.format(registry=REGISTRY) if REGISTRY else "{}\n", encoding="utf-8")
    environ = dict(os.environ) | {"XDG_CACHE_HOME": str(folder / "cache")}
    began = time.monotonic()
    _run([sys.executable, "-m", "slimrun", str(recipe), "--config", str(config)], environ)
    return time.monotonic() - began


def _run(argv: list[str], environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
