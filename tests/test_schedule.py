"""The whole program over two small images: ten stages, a cache, and a backend that writes down what is asked of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from slimrun.backend.base import Ran
from slimrun.cache.store import Cache
from slimrun.errors import EngineUnreachable, ImageNotFound, MissingLibrary, VerifyFailed
from slimrun.events import Event, PlayStarted, Recap, TaskEnded, TaskStarted
from slimrun.given import Context
from slimrun.oci.layer import write_tar
from slimrun.pipeline import WORKERS
from slimrun.plan.compile import BUILDING, STAGES, TOOLCHAIN, compile_plan
from slimrun.prune import stripped
from slimrun.recipe.load import load_recipe
from slimrun.recipe.schema import load_schema
from slimrun.recipe.slim_model import Slim
from slimrun.schedule import Outcome, run_image
from slimrun.settings import Settings
from slimrun.tree.layers import apply_layers
from slimrun.tree.tar import read_tar
from tests.images import LIB, OFFICIAL, PY, RUNTIME, TAG
from tests.recording import Held, Recording, imports_all
from tests.tinyelf import shared
from tests.treetext import tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.oci.layer import Writable
    from slimrun.tree.tree import Tree

RECIPE = """
name: app
description: A test
python: {image: "python:3.11"}
runtime: busybox:glibc
files: [{from: src, to: /app}]
image: {labels: {b: "2", a: "1"}, env: {X: "1"}, cmd: [-c, pass], expose: [80], volumes: [/data]}
verify: {imports: [ssl], run: [{cmd: [-V]}]}
"""
# The digest of the config, which covers every byte of every layer. It changes when slimrun makes another image of the same pins.
PINNED = "adfdd5d79bb8a8a5c08ce716b103b30ab89a118b55ca7ea03981f84b4f47b3f8"
TAGS = "app:latest"


class Bench:
    """A repository, a cache and a backend; `run()` carries out the recipe as it stands."""

    def __init__(self, root: Path) -> None:
        self.root, self.events = root, list[Event]()
        (root / "repo/.git").mkdir(parents=True)
        (root / "repo/src").mkdir()
        (root / "repo/src/main.py").write_text("print()")
        self.recipe(RECIPE)
        self.cache = Cache(root / "cache")
        held = {"python:3.11": Held(tree=tree(OFFICIAL)), "busybox:glibc": Held(tree=tree(RUNTIME), env=(("B", "1"),))}
        self.backend = Recording(cache=self.cache, images=held)

    def recipe(self, text: str) -> None:
        (self.root / "repo/app.yaml").write_text(text)

    def run(self, **settings: Any) -> Outcome:
        self.events.clear()
        self.backend.calls.clear()
        context = Context(
            settings=Settings(cache_dir=self.cache.root, **settings),
            cache=self.cache,
            backend=self.backend,
            emit=self.events.append,
            environ=(),
        )
        return run_image(compile_plan(load_recipe(self.root / "repo/app.yaml", slim=Slim())), context)

    def statuses(self) -> dict[str, str]:
        return {event.stage: event.status for event in self.events if isinstance(event, TaskEnded)}

    def changed(self) -> list[str]:
        return [stage for stage, status in self.statuses().items() if status == "changed"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


ALL = ["resolve", "python", "files", "prune", "assemble", "verify", "report"]


def test_the_first_run(bench: Bench) -> None:
    outcome = bench.run()
    assert outcome.error is None
    assert bench.changed() == ALL
    assert [stage for stage, status in bench.statuses().items() if status == "skipping"] == [
        "packages",
        "wheels",
        "push",
    ]
    assert outcome.finished is not None
    assert bench.backend.tags == {TAGS: outcome.finished.config.digest()}
    assert bench.backend.calls[:2] == ["resolve python:3.11", "resolve busybox:glibc"]
    assert bench.backend.calls[-4:] == ["load", "run -c", "run -V", f"tag {TAGS}"]
    started = [event.stage for event in bench.events if isinstance(event, TaskStarted)]
    assert started == list(STAGES)
    assert isinstance(bench.events[0], PlayStarted)
    recap = bench.events[-1]
    assert isinstance(recap, Recap)
    assert dict(recap.counts) == {"changed": 7, "skipping": 3}
    assert (recap.digest, recap.size) == (outcome.finished.config.digest(), outcome.finished.size)


def test_the_second_run_asks_one_question(bench: Bench) -> None:
    first = bench.run()
    second = bench.run()
    assert set(bench.statuses().values()) == {"ok", "skipping"}
    assert bench.backend.calls == ["has"]
    assert second.finished == first.finished


def test_what_is_in_the_image(bench: Bench) -> None:
    outcome = bench.run()
    assert outcome.finished is not None
    config = outcome.finished.config
    found = apply_layers(read_tar(bench.cache.blob_path(diff_id)) for diff_id in config.diff_ids)
    assert "/usr/local/bin/python3.11" in found
    assert f"{PY}/test/test_os.py" not in found
    assert found.read("/app/main.py") == b"print()"
    assert found.read("/etc/passwd").decode().splitlines()[-1] == "nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin"
    assert found["/lib"].target == "usr/lib"
    assert (config.entrypoint, config.cmd, config.user) == (
        ("/usr/local/bin/python3.11",),
        ("-c", "pass"),
        "65532:65532",
    )
    assert dict(config.env)["B"] == "1"
    assert dict(config.env)["X"] == "1"
    assert [step.created_by for step in config.history] == ["slimrun python", "slimrun files", "slimrun system"]
    assert config.labels[:2] == (("a", "1"), ("b", "2"))
    assert (config.expose, config.volumes, config.created) == (("80/tcp",), ("/data",), "1970-01-01T00:00:00Z")


def test_the_user_s_files_are_never_stripped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(stripped, "strip", seen.append)
    mine = shared(soname="libmine.so.1")
    (bench.root / "repo/src/libmine.so.1").write_bytes(mine)
    assert bench.run().error is None
    assert seen, "CPython's are"
    assert mine not in seen


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"text": RECIPE}, []),
        ({"text": RECIPE.replace("name: app", "name: other")}, ["assemble", "verify", "report"]),
        ({"text": RECIPE.replace("A test", "Another")}, ["assemble", "verify", "report"]),
        ({"text": RECIPE + "prune: {level: safe}"}, ["prune", "assemble", "verify", "report"]),
        ({"text": RECIPE.replace("[ssl]", "[ssl, json]")}, ["verify", "report"]),
        ({"text": RECIPE.replace("to: /app", "to: /srv")}, ["files", "prune", "assemble", "verify", "report"]),
        ({"file": "print(1)"}, ["files", "prune", "assemble", "verify", "report"]),
        ({"epoch": 5}, ["assemble", "verify", "report"]),
        ({"no_cache": True}, ALL),
        ({"refresh": True}, ["resolve"]),
    ],
)
def test_what_a_change_makes_anew(change: dict[str, Any], again: list[str], bench: Bench) -> None:
    bench.run()
    if "text" in change:
        bench.recipe(change["text"])
    if "file" in change:
        (bench.root / "repo/src/main.py").write_text(change["file"])
    bench.run(**{key: value for key, value in change.items() if key not in ("text", "file")})
    assert bench.changed() == again


def test_a_lost_tag_and_lost_blobs_are_made_anew(bench: Bench) -> None:
    bench.run()
    bench.backend.tags.clear()
    bench.run()
    assert bench.changed() == ["verify"]
    for blob in (bench.root / "cache/blobs/sha256").iterdir():
        blob.unlink()
    assert bench.run().error is None
    assert bench.changed()[0] == "assemble"


def test_a_damaged_result_is_made_anew_in_the_same_run(bench: Bench) -> None:
    first = bench.run()
    for path in (bench.root / "cache/values/stage").iterdir():
        path.write_bytes(b"damaged")
    bench.recipe(RECIPE + "prune: {level: safe}")
    assert bench.run().error is None
    bench.recipe(RECIPE)
    assert bench.run().finished == first.finished


def answer(argv: Sequence[str]) -> Ran:
    return Ran(exit=1, stdout="", stderr="no") if argv == ("-V",) else imports_all(argv)


def test_an_image_that_does_not_pass_gets_no_tag(bench: Bench) -> None:
    bench.backend.answer = answer
    outcome = bench.run()
    assert isinstance(outcome.error, VerifyFailed)
    assert bench.backend.tags == {}
    assert bench.backend.loaded == {}
    assert bench.backend.calls[-1] == "discard"
    assert bench.statuses()["verify"] == "failed"
    assert "report" not in bench.statuses()
    assert outcome.finished is None
    bench.run(keep_failed=True)
    assert len(bench.backend.loaded) == 1


def test_layers_that_are_not_written_the_same_twice_get_no_tag(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found while the image is loaded and run."""

    def later(tree: Tree, stream: Writable, *, epoch: int) -> None:
        write_tar(tree, stream, epoch=epoch + 1)

    monkeypatch.setattr("slimrun.verify.proof.write_tar", later)
    outcome = bench.run()
    assert isinstance(outcome.error, VerifyFailed)
    assert "the layer files is written in other bytes the second time" in outcome.error.message
    assert bench.backend.calls[-1] == "discard"
    assert (bench.backend.tags, bench.backend.loaded) == ({}, {})


def test_an_image_that_failed_is_tried_again(bench: Bench) -> None:
    bench.backend.answer = answer
    bench.run()
    bench.backend.answer = imports_all
    assert bench.run().error is None
    assert bench.changed() == ["verify", "report"]


def test_ctrl_c_discards_too(bench: Bench) -> None:
    def interrupted(_argv: Sequence[str]) -> Ran:
        raise KeyboardInterrupt

    bench.backend.answer = interrupted
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert (bench.backend.loaded, bench.backend.tags) == ({}, {})


def test_a_missing_library_is_found_before_anything_is_loaded(bench: Bench) -> None:
    rows = OFFICIAL | {"/usr/local/bin/python3.11": shared(needs=("libnone.so.1", "libc.so.6"))}
    bench.backend.images["python:3.11"] = Held(tree=tree(rows))
    outcome = bench.run()
    assert isinstance(outcome.error, MissingLibrary)
    assert "libnone.so.1" in outcome.error.message
    assert "app.yaml:4" in outcome.error.message
    assert "load" not in bench.backend.calls


@pytest.mark.parametrize(
    ("error", "status"), [(ImageNotFound("no such image"), "failed"), (EngineUnreachable("nobody"), "unreachable")]
)
def test_errors_end_the_image(error: Exception, status: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_reference: str) -> Any:
        raise error

    monkeypatch.setattr(bench.backend, "resolve_image", fail)
    outcome = bench.run()
    assert outcome.error is error
    assert bench.statuses() == {"resolve": status}
    (end,) = [event for event in bench.events if isinstance(event, TaskEnded)]
    assert "app.yaml:4:" in end.message, "the reference's place in the recipe"
    assert outcome.counts == ((status, 1),)


def test_the_report_keeps_to_its_schema(bench: Bench) -> None:
    outcome = bench.run()
    assert outcome.finished is not None
    report = bench.cache.load("report", outcome.finished.config.digest())
    jsonschema.Draft7Validator(load_schema("report")).validate(report)
    assert report["digest"] == f"sha256:{outcome.finished.config.digest()}"
    files = {row["path"]: row for row in report["files"]}
    assert files["/usr/local/bin/python3.11"]["layer"] == "python"
    assert files["/app/main.py"]["layer"] == "files"
    assert files["/bin/sh"]["layer"] == "base"
    assert files["/etc/passwd"]["layer"] == "system"
    assert files[f"{LIB}/libssl.so.3"]["why"][-1]["where"].endswith("app.yaml:4:1")
    removed = {row["path"]: row["why"][0]["rule"] for row in report["removed"]}
    assert removed[f"{PY}/lib-dynload/_uuid{TAG}"] == "unresolved"
    assert set(files).isdisjoint(removed)
    assert [layer["name"] for layer in report["layers"]] == ["base", "python", "files", "system"]
    assert report["size"] == sum(layer["size"] for layer in report["layers"]) == outcome.finished.size
    assert all(check["ok"] for check in report["checks"])
    assert {"libraries", "provenance", "layers"} <= {check["name"] for check in report["checks"]}
    nowhere = [row["path"] for row in (*report["files"], *report["removed"]) if not row["why"][-1]["where"]]
    assert nowhere == [], "every reason ends at a line of the recipe"


def test_every_stage_has_a_worker() -> None:
    assert {*WORKERS} == {*STAGES, *BUILDING, TOOLCHAIN}


def main() -> None:
    os.umask(int(os.environ.get("UMASK", "22"), 8))
    outcome = Bench(Path("x").resolve()).run()
    print(outcome.finished.config.digest() if outcome.finished else outcome.error)


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", "UMASK": "0", "LC_ALL": "C"},
        {"TZ": "America/St_Johns", "PYTHONHASHSEED": "4711", "UMASK": "77", "PYTHONUTF8": "0", "LC_ALL": "POSIX"},
    ],
)
def test_one_digest_everywhere(environment: dict[str, str], tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    done = subprocess.run([sys.executable, __file__], env=env, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode() == f"{PINNED}\n"


def test_one_digest_here(bench: Bench) -> None:
    outcome = bench.run()
    assert outcome.finished is not None
    assert outcome.finished.config.digest() == PINNED


if __name__ == "__main__":
    main()
