"""Catalogs on the command line: which images run, in what order they are told, and what one failure means for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.shop import CATALOG
from tests.images import RUNTIME
from tests.recording import Held
from tests.treetext import tree

from slimrun.cli import many
from slimrun.cli.last import recall
from slimrun.errors import BadCommandLine, DiskFull, EngineUnreachable, RecipeInvalid

if TYPE_CHECKING:
    from tests.cli.shop import Shop

NOBODY = EngineUnreachable("nobody answers")
FULL = "no space left"


def recap(out: str) -> list[str]:
    """The names below PLAY RECAP, in order."""
    return [line.split()[0] for line in out.partition("PLAY RECAP")[2].splitlines()[1:] if " : ok=" in line]


def test_one_failure_does_not_stop_a_catalog(shop: Shop) -> None:
    code, out = shop("all.yaml", "--metadata-file", "meta.json")
    assert code == 2
    assert recap(out) == ["app-b", "app-a", "gone", "last"]
    assert out.count("PLAY RECAP") == 1
    assert sorted(shop.backend.tags) == ["app-a:latest", "app-b:latest", "last:latest"]
    rows = json.loads(Path("meta.json").read_text())
    assert [(row["name"], row["status"], row["groups"]) for row in rows] == [
        ("app-b", "ok", ["web"]),
        ("app-a", "ok", ["web"]),
        ("gone", "failed", ["web", "odd"]),
        ("last", "ok", ["nightly"]),
    ]
    assert {row["catalog"] for row in rows} == {"team"}
    assert rows[0]["digest"] == f"sha256:{shop.backend.tags['app-b:latest']}"
    assert rows[2]["digest"] is None
    assert "python:gone" in rows[2]["error"]
    assert [row["changed"] for row in rows] == [True, True, False, True]
    assert rows[0]["why"] == "it was not made before"
    shop("all.yaml", "-l", "app-*", "--metadata-file", "meta.json")
    assert [row["changed"] for row in json.loads(Path("meta.json").read_text())] == [False, False]


def test_what_images_share_is_made_once(shop: Shop) -> None:
    shop("all.yaml", "-l", "app-*,last")
    assert shop.backend.calls.count("resolve python:3.11") == 1
    _, out = shop("all.yaml", "-l", "last")
    assert "changed=0" in out


LIMITS = [
    (["app-*"], ["app-b", "app-a"]),
    (["last,app-a"], ["app-a", "last"]),
    (["@web"], ["app-b", "app-a", "gone"]),
    (["@nightly", "-l", "@odd"], ["gone", "last"]),
    (["@odd, app-b"], ["app-b", "gone"]),
    (["?ast"], ["last"]),
    (["*"], ["app-b", "app-a", "gone", "last"]),
]


@pytest.mark.parametrize(("words", "names"), LIMITS)
def test_limit(words: list[str], names: list[str], shop: Shop) -> None:
    _, out = shop("all.yaml", "--limit", *words, "--syntax-check")
    assert [line.split("[")[1].split("]")[0] for line in out.splitlines()] == names
    assert shop.settings == []


NOTHING = [
    ("app-c", "did you mean 'app-"),
    ("@wev", "did you mean '@web'?"),
    ("@zzz", "groups: '@nightly', '@odd', '@web'"),
    ("zzz", "images: 'app-a', 'app-b', 'gone', 'last'"),
    ("last,zzz", "images:"),
]


@pytest.mark.parametrize(("limit", "hint"), NOTHING)
def test_a_limit_that_fits_nothing(limit: str, hint: str, shop: Shop) -> None:
    with pytest.raises(BadCommandLine, match="fits none of 4 images") as caught:
        shop("all.yaml", "-l", limit)
    assert hint in caught.value.hint


def test_list_tasks_of_a_catalog(shop: Shop) -> None:
    _, out = shop("all.yaml", "--list-tasks", "-l", "@nightly,gone")
    assert [line for line in out.splitlines() if line.startswith("play")] == ["play [gone]", "play [last]"]
    assert "base build python:gone" in out


def test_recipes_end_at_the_first_failure_and_catalogs_at_an_engine_that_is_gone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("bad.yaml").write_text('python: {image: "python:gone"}\n')
    code, out = shop("bad.yaml", "app.yaml")
    assert (code, recap(out)) == (2, ["bad"])
    assert "not run after this failure: app (--keep-going goes on)" in out
    assert recap(shop("bad.yaml", "app.yaml", "--keep-going")[1]) == ["bad", "app"]

    def fail(_reference: str) -> None:
        raise NOBODY

    monkeypatch.setattr(shop.backend, "resolve_image", fail)
    code, out = shop("all.yaml", "--refresh", "--metadata-file", "meta.json")
    assert (code, recap(out)) == (4, ["app-b"])
    assert [row["status"] for row in json.loads(Path("meta.json").read_text())] == ["failed", *["not run"] * 3]
    assert recap(shop("all.yaml", "--refresh", "--keep-going")[1]) == ["app-b", "app-a", "gone", "last"]


def test_the_worst_code_of_several(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shop.backend.resolve_image

    def sometimes(reference: str) -> object:
        if reference == "busybox:other":
            raise NOBODY
        return found(reference)

    monkeypatch.setattr(shop.backend, "resolve_image", sometimes)
    Path("all.yaml").write_text(CATALOG + '    set: {runtime: "busybox:other"}\n')
    assert shop("all.yaml")[0] == 4


def test_saved_by_name(shop: Shop) -> None:
    code, out = shop("all.yaml", "-l", "app-*", "--save", "{name}-{arch}.tar")
    assert code == 0
    assert sorted(path.name for path in Path().glob("*.tar")) == ["app-a-amd64.tar", "app-b-amd64.tar"]
    below = out.partition("PLAY RECAP")[2]
    assert "saved as app-a-amd64.tar; use it: docker load -i app-a-amd64.tar" in below
    with pytest.raises(BadCommandLine, match="names one file for 2 images"):
        shop("all.yaml", "-l", "app-*", "--save", "x.tar")


def test_a_place_that_cannot_be_written_is_that_image_s_failure(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = many.save_image

    def full(place: str, *words: object) -> str:
        if "app-b" in place:
            raise DiskFull(FULL)
        return saved(place, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(many, "save_image", full)
    code, out = shop("all.yaml", "-l", "app-*", "--save", "{name}.tar", "--metadata-file", "meta.json")
    assert code == 2
    assert "fatal: [app-b]: FAILED! => error: no space left" in out
    assert [row["status"] for row in json.loads(Path("meta.json").read_text())] == ["failed", "ok"]
    assert Path("app-a.tar").is_file()


def test_many_images_are_not_spoken_of_one_by_one(shop: Shop) -> None:
    lines = "".join(f"  - {{recipe: app.yaml, name: n{number}}}\n" for number in range(6))
    Path("all.yaml").write_text("images:\n" + lines)
    assert shop("all.yaml")[1].endswith("\n6 images; use one: docker run --rm n0:latest\n")
    assert shop("all.yaml", "-v")[1].count("docker run") == 7


def test_files_of_several_repositories_have_their_own_settings(shop: Shop) -> None:
    for name, forks in (("one", 2), ("two", 3)):
        Path(name, ".git").mkdir(parents=True)
        Path(name, "slim.yaml").write_text(f"run: {{forks: {forks}}}\n")
        Path(name, f"{name}.yaml").write_text('python: {image: "python:3.11"}\n')
    code, out = shop("one/one.yaml", "app.yaml", "two/two.yaml")
    assert (code, recap(out)) == (0, ["one", "app", "two"])
    assert [settings.forks for settings in shop.settings] == [2, 1, 3]
    shop("app.yaml", "all.yaml", "-l", "app,last")
    assert len(shop.settings) == 4, "files that share their settings share an engine"
    shop("one/one.yaml", "-f", "7")
    assert shop.settings[-1].forks == 7


POLICY = "policy:\n  forbid_shell: true\n  max_size: 500MB\n  allow_images: [docker.io/library/python]\n"


def test_a_policy_forbids_before_anything_runs(shop: Shop) -> None:
    Path("slim.yaml").write_text(POLICY)
    for words in (["app.yaml"], ["all.yaml", "-l", "last"], ["app.yaml", "--set", "runtime=busybox:glibc"]):
        with pytest.raises(RecipeInvalid) as caught:
            shop(*words)
        (problem,) = caught.value.problems
        assert problem.rule == "policy-allow-images"
        assert f"policy.allow_images at {Path('slim.yaml').resolve()}:4:3" in problem.text
    assert shop.settings == []
    assert shop("app.yaml", "--syntax-check")[0] == 0


def test_a_policy_forbids_what_only_the_image_shows(shop: Shop) -> None:
    shop.backend.images["busybox:glibc"] = Held(tree=tree(RUNTIME | {"/bin/sh": "file 0755 busybox"}))
    Path("slim.yaml").write_text(POLICY.replace("/python]", "]"))
    code, out = shop("app.yaml")
    assert code == 2
    assert f"{Path('slim.yaml').resolve()}:2:3: error: policy.forbid_shell: /bin/sh is a shell" in out
    assert shop.backend.tags == {}
    assert "load" not in shop.backend.calls
    Path("slim.yaml").write_text("policy: {max_size: 500MB}\n")
    assert shop("app.yaml")[0] == 0
    Path("slim.yaml").write_text("policy: {max_size: 1B}\n")
    code, out = shop("app.yaml")
    assert code == 2, "a policy counts for images that were made before it"
    assert "slim.yaml:1:10: error: policy.max_size:" in out


def test_names_that_two_files_share(shop: Shop) -> None:
    Path("b").mkdir()
    Path("b/app.yaml").write_text('python: {image: "python:3.11"}\n')
    with pytest.raises(RecipeInvalid) as caught:
        shop("app.yaml", "b/app.yaml")
    assert [problem.rule for problem in caught.value.problems] == ["duplicate-name"]
    assert shop.settings == []


def test_problems_of_all_files_at_once(shop: Shop) -> None:
    Path("b.yaml").write_text("images: [{recipe: none.yaml}]\n")
    Path("c.yaml").write_text("wheelz: []\npython: {image: x}\n")
    with pytest.raises(RecipeInvalid) as caught:
        shop("b.yaml", "c.yaml", "all.yaml")
    assert [str(problem.where) for problem in caught.value.problems] == ["b.yaml:1:19", "c.yaml:1:1"]


def test_reports_as_files(shop: Shop) -> None:
    Path("slim.yaml").write_text("report: {dir: out, formats: [json, text, html, sbom]}\n")
    assert shop("all.yaml", "-l", "app-a,gone")[0] == 2
    files = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert sorted(files) == ["app-a.cdx.json", "app-a.html", "app-a.json", "app-a.txt"]
    report = json.loads(Path("out/app-a.json").read_text())
    assert report["digest"] == f"sha256:{shop.backend.tags['app-a:latest']}"
    Path("out/app-a.txt").write_text("changed")
    assert shop("all.yaml", "-l", "app-a")[0] == 0
    assert Path("out/app-a.txt").read_text().startswith("app-a  sha256:")
    assert Path("out/app-a.json").stat().st_mtime_ns == files["app-a.json"], "what is the same is left as it is"


def test_a_report_that_the_cache_lost_is_made_anew(shop: Shop) -> None:
    Path("slim.yaml").write_text("report: {formats: [json]}\n")
    shop("app.yaml")
    for path in (shop.backend.cache.root / "records/report").iterdir():
        path.unlink()
    Path("build/reports/app.json").unlink()
    code, out = shop("app.yaml")
    assert code == 0
    assert "changed=1" in out
    assert Path("build/reports/app.json").is_file()


def test_reports_where_nothing_can_be_written(shop: Shop) -> None:
    Path("slim.yaml").write_text("report: {dir: out, formats: [json]}\n")
    Path("out").write_text("a file")
    code, out = shop("app.yaml")
    assert code == 2
    assert "fatal: [app]: FAILED! => error: cannot write" in out


def test_what_is_remembered_of_an_image(shop: Shop) -> None:
    shop("all.yaml")
    cache, digest = shop.backend.cache, shop.backend.tags["app-a:latest"]
    recipe = str(Path("app.yaml").resolve())
    good = recall(cache, "app-a")
    assert good is not None
    assert (good.recipe, good.digest, good.error) == (recipe, digest, "")
    assert good.size > 0
    gone = recall(cache, "gone")
    assert gone is not None
    assert (gone.digest, gone.size) == ("", 0)
    assert "python:gone" in gone.error
    Path("app.yaml").write_text('python: {image: "python:gone"}\n')
    shop("all.yaml", "-l", "app-a")
    later = recall(cache, "app-a")
    assert later is not None
    assert (later.digest, later.size) == (digest, good.size), "a failure does not make the last good image forgotten"
    assert "python:gone" in later.error
    assert recall(cache, "none") is None
    cache.save("last", "odd", {"recipe": "x", "more": 1})
    assert recall(cache, "odd") is None
