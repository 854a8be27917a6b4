"""slimrun beside multi-stage Dockerfiles with the same COPYs and the builder's libraries.

    eval "$(.ci/services env)"; .venv/bin/python benchmarks/dockerfile.py [IMAGE]

IMAGE (python:3.11 by default, a stand-in of 1 GB or more where .ci/images made it) is pulled before the clock starts. The peers are
built by the engine's classic builder, or BuildKit where DOCKER_BUILDKIT=1 is set: one with all folders that the loader searches
(/usr/lib; /lib leads there), one with the multiarch folder alone. They take turns with slimrun, ROUNDS times, and each begins when
all that was written before is on the disk and the machine is idle, or has not been for half a minute. Prints medians of seconds,
ratios, slimrun's peak memory and a second run.

slimrun runs from byte code, as pip leaves it, also where PYTHONDONTWRITEBYTECODE is set.

root beside the engine reads layers where they are; `setpriv --bounding-set -sys_admin --inh-caps -sys_admin` before the command
makes it read archives, as everybody else does.
"""

from __future__ import annotations

import compileall
import os
import resource
import shutil
import statistics
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
COPY --from=build {libraries} {libraries}
COPY --from=build /etc/ld.so.cache /etc/ld.so.cache
ENTRYPOINT ["/usr/local/bin/python3"]
"""
ROUNDS = 3
PATIENCE, IDLE = 30.0, 0.1
LIBRARIES = ("/usr/lib", "/usr/lib/x86_64-linux-gnu")
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
    """Run all in turn, and print one line each."""
    image = sys.argv[1] if len(sys.argv) > 1 else "python:3.11"
    prefix = f"{REGISTRY}/library/" if REGISTRY else ""
    compileall.compile_dir(ROOT / "engine", quiet=1)
    folder = Path(tempfile.mkdtemp(prefix="slimrun-benchmark-"))
    try:
        for name in (image, "busybox:glibc"):
            _run(["docker", "pull", "--quiet", prefix + name])
        size = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Size}}", prefix + image],
            capture_output=True,
            check=True,
            text=True,
        )
        print(f"base build {image}: {int(size.stdout) / 1e9:.2f} GB")
        peers: dict[str, list[float]] = {libraries: [] for libraries in LIBRARIES}
        runs = []
        for _ in range(ROUNDS):  # in turn, so that what else the machine does is everybody's
            for libraries, seconds in peers.items():
                seconds.append(_peer(folder, prefix + image, f"{prefix}busybox:glibc", libraries))
            shutil.rmtree(folder / "cache", ignore_errors=True)
            runs.append(_slimrun(folder, image))
        first = statistics.median(runs)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        second = min(_slimrun(folder, image) for _ in range(3))
        print(f"slimrun, empty cache, with verify: {first:.2f} s")
        for libraries, seconds in peers.items():
            peer = statistics.median(seconds)
            print(f"Dockerfile with {libraries}: {peer:.2f} s; slimrun takes {first / peer:.2f} of it")
        print(f"peak memory of slimrun, or of the docker client where that is larger: {memory:.0f} MB")
        print(f"slimrun, second run: {second:.2f} s")
    finally:
        shutil.rmtree(folder)


def _peer(folder: Path, image: str, runtime: str, libraries: str) -> float:
    text = DOCKERFILE.format(image=image, runtime=runtime, libraries=libraries)
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    environ = {"DOCKER_BUILDKIT": "0"} | dict(os.environ)
    _rest()
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
    _rest()
    began = time.monotonic()
    _run([sys.executable, "-m", "slimrun", str(recipe), "--config", str(config), "--backend", "docker"], environ)
    return time.monotonic() - began


def _rest() -> None:
    """Wait until nobody works on what an earlier command left behind, as engines do for seconds."""
    os.sync()
    before, until = _busy(), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(1)
        now = _busy()
        if now - before < IDLE:
            return
        before = now


def _busy() -> float:
    """Seconds that all processors have worked, or waited for disks."""
    _, user, nice, system, _, waiting, *_ = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    return sum(map(int, (user, nice, system, waiting))) / os.sysconf("SC_CLK_TCK")


def _run(argv: list[str], environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
