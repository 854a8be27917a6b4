"""--tags, --skip-tags, --start-at-task, --list-tags and --check: which stages are meant, and what a run would do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slimrun.errors import BadCommandLine, EngineUnreachable, NotCached, RecipeInvalid

if TYPE_CHECKING:
    from tests.cli.shop import Shop


def statuses(out: str, image: str = "app") -> dict[str, str]:
    """What became of each stage, by the TASK lines."""
    found, stage = {}, ""
    for line in out.splitlines():
        if line.startswith("TASK ["):
            stage = line.removeprefix("TASK [").partition(" :")[0]
        elif line.endswith(f": [{image}]"):
            found[stage] = line.partition(":")[0]
    return found


WRONG = [
    (["--tags", "wheel"], "no such stage", "did you mean 'wheels'?"),
    (["-t", "app:1.0"], "no such stage", "write --set 'image.tags=[app:1.0]'"),
    (["-t", "resolve,r.example.org/app"], "no such stage", "image.tags=[r.example.org/app]"),
    (["-t", "zzz"], "no such stage", "stages: resolve, python,"),
    (["--skip-tags", "wheels"], "no such stage", "only verify, report, push can be left out"),
    (["--start-at-task", "prun"], "no such stage", "did you mean 'prune'?"),
    (["--exit-code"], "there is no --check", "add -C"),
]


@pytest.mark.parametrize(("words", "text", "hint"), WRONG)
def test_what_names_no_stage(words: list[str], text: str, hint: str, shop: Shop) -> None:
    with pytest.raises(BadCommandLine, match=text) as caught:
        shop("app.yaml", *words)
    assert hint in caught.value.hint
    assert shop.settings == []


def test_up_to_a_stage(shop: Shop) -> None:
    code, out = shop("app.yaml", "--tags", "python,prune", "--metadata-file", "meta.json")
    assert code == 0
    made = statuses(out)
    assert [stage for stage, status in made.items() if status == "changed"] == ["resolve", "python", "prune"]
    assert [made[stage] for stage in ("assemble", "verify", "report", "push")] == ["skipping"] * 4
    assert shop.backend.tags == {}
    assert out.endswith("app was not verified: it got no tag\n")
    (row,) = json.loads(Path("meta.json").read_text())
    assert (row["status"], row["digest"]) == ("not verified", None)
    _, out = shop("app.yaml")
    assert [stage for stage, status in statuses(out).items() if status == "changed"] == ["assemble", "verify", "report"]


def test_without_verify_nothing_is_named_or_saved(shop: Shop) -> None:
    code, out = shop("app.yaml", "--skip-tags", "verify", "--save", "app.tar")
    assert code == 0
    made = statuses(out)
    assert (made["assemble"], made["verify"], made["report"]) == ("changed", "skipping", "skipping")
    assert (shop.backend.tags, shop.backend.loaded) == ({}, {})
    assert "load" not in shop.backend.calls
    assert not Path("app.tar").exists()


def test_without_a_report(shop: Shop) -> None:
    code, out = shop("app.yaml", "--skip-tags", "report,push")
    assert code == 0
    assert statuses(out)["report"] == "skipping"
    assert list(shop.backend.tags) == ["app:latest"]


def test_start_at_a_task(shop: Shop) -> None:
    with pytest.raises(NotCached, match=r"\[app\] --start-at-task prune: resolve is not in the cache") as caught:
        shop("app.yaml", "--start-at-task", "prune")
    assert caught.value.exit_code == 3
    assert shop.backend.calls == []
    shop("app.yaml", "-t", "prune")
    code, out = shop("app.yaml", "--start-at-task", "assemble : layers and config")
    assert code == 0
    assert statuses(out)["assemble"] == "changed"
    assert shop("app.yaml", "--start-at-task", "resolve")[0] == 0
    Path("app.yaml").write_text(Path("app.yaml").read_text() + "prune: {level: safe}\n")
    with pytest.raises(NotCached, match="prune is not in the cache") as caught:
        shop("app.yaml", "--start-at-task", "verify")
    assert "begin at prune" in caught.value.hint


def test_start_in_a_catalog_looks_at_all_before_any_runs(shop: Shop) -> None:
    shop("all.yaml", "-l", "app-a")
    with pytest.raises(NotCached, match=r"\[gone\]"):
        shop("all.yaml", "-l", "app-a,gone", "--start-at-task", "python")
    assert shop.backend.calls == []


def test_lists(shop: Shop) -> None:
    _, out = shop("app.yaml", "--list-tags")
    assert out == "\nplay [app]\n  tags: resolve, python, prune, assemble, verify, report\n"
    _, out = shop("all.yaml", "-l", "app-a,last", "--list-tags", "-t", "prune")
    assert out.count("  tags: resolve, python, prune\n") == 2
    _, out = shop("app.yaml", "--list-tasks", "--list-tags", "--syntax-check", "-t", "resolve")
    assert out.splitlines() == [
        "ok: [app] app.yaml", "", "play [app]", "  tasks:",
        "    resolve : base build python:3.11, runtime busybox:glibc", "", "play [app]", "  tags: resolve",
    ]  # fmt: skip


def test_check_makes_nothing(shop: Shop) -> None:
    code, out = shop("app.yaml", "-C", "--save", "app.tar", "--metadata-file", "meta.json")
    assert code == 0
    assert statuses(out) == {
        "resolve": "changed", "python": "unknown", "packages": "skipping", "wheels": "skipping", "files": "skipping",
        "prune": "unknown", "assemble": "unknown", "verify": "unknown", "report": "unknown", "push": "skipping",
    }  # fmt: skip
    assert "app : ok=1 changed=1 unreachable=0 failed=0 skipped=4 unknown=5" in out
    assert "(resolve: it was not made before)" in out
    assert shop.backend.calls == []
    assert not Path("app.tar").exists()
    assert not Path("meta.json").exists()


def test_check_and_its_exit_code(shop: Shop) -> None:
    assert shop("app.yaml", "--check", "--exit-code")[0] == 6
    shop("app.yaml")
    code, out = shop("app.yaml", "--check", "--exit-code")
    assert (code, "changed=0" in out, "unknown" in out) == (0, True, False)
    assert "(nothing would change)" in out
    assert shop.backend.calls == ["has"]
    shop.backend.tags.clear()
    code, out = shop("app.yaml", "-C", "--exit-code", "-v")
    assert code == 6
    assert "verify: recording no longer has the image" in out
    assert shop("app.yaml", "-C", "--exit-code", "-t", "assemble")[0] == 0


def test_check_of_a_catalog(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop("all.yaml", "-l", "app-*")
    code, out = shop("all.yaml", "-C", "-l", "app-*,last")
    assert code == 0
    rows = [line.split()[0] for line in out.partition("PLAY RECAP")[2].splitlines()[1:]]
    assert rows == ["app-b", "app-a", "last"]
    assert out.count("(nothing would change)") == 2

    def fail(_image: object) -> bool:
        msg = "nobody answers"
        raise EngineUnreachable(msg)

    monkeypatch.setattr(shop.backend, "has", fail)
    code, out = shop("all.yaml", "-C", "-l", "app-a", "--exit-code")
    assert code == 4
    assert "fatal: [app-a]: UNREACHABLE! => error: nobody answers" in out


def test_a_name_without_a_registry_is_not_pushed(shop: Shop) -> None:
    for words in (["--push"], ["--push", "--set", "image.tags=[app:1, docker.io/library/x]"]):
        with pytest.raises(RecipeInvalid) as caught:
            shop("app.yaml", *words)
        assert {problem.rule for problem in caught.value.problems} == {"no-registry"}
    Path("slim.yaml").write_text("registry: {push: true}\n")
    with pytest.raises(RecipeInvalid):
        shop("app.yaml")
    assert shop.settings == []
    assert shop("app.yaml", "--list-tasks")[1].splitlines()[-1] == "    push : app:latest"


@pytest.mark.slow
def test_pushing(shop: Shop) -> None:
    """What is pushed and verified is `ok`; offline it is believed, and what was not pushed is an error."""
    Path("slim.yaml").write_text("registry: {prefix: '127.0.0.1:9/team', push: true}\n")
    code, out = shop("app.yaml")
    assert code == 4
    assert statuses(out)["verify"] == "changed"
    assert "UNREACHABLE! => error: the registry 127.0.0.1:9:" in out
    assert list(shop.backend.tags) == ["127.0.0.1:9/team/app:latest"]
    code, out = shop("app.yaml", "--offline")
    assert code == 3
    assert "run without --offline, or with --skip-tags push" in out
    assert shop("app.yaml", "--skip-tags", "push")[0] == 0
