"""`slimrun doctor`: each thing on a line, what is broken with the next step, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from slimrun.cli import doctor

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repo/.git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.delenv("SLIMRUN_CONFIG", raising=False)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, str], str]:
    code = doctor.main(["--offline", *words])
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith(("ok ", "warn ", "fail "))]
    return code, {line.split()[1]: line.split()[0] for line in lines}, out


def test_a_machine_without_an_engine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, found, out = told(capsys)
    assert code == 0
    assert (found["slimrun"], found["slim.yaml"], found["cache"], found["uv"]) == ("ok",) * 4
    assert found["engine"] == "warn"
    assert f"no Docker Engine answers at unix://{tmp_path}/none.sock (DOCKER_HOST): No such file or directory" in out
    assert "images are then made without one" in out
    assert "none from here up" in out
    assert (
        out.splitlines()[-1]
        == f"{list(found.values()).count('ok')} ok, {list(found.values()).count('warn')} warnings, 0 failures"
    )
    assert list((tmp_path / "home/slimrun").iterdir()) == [], "it leaves nothing behind"


def test_an_engine_that_is_insisted_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slim.yaml").write_text("backend: docker\ncache: {max_size: 1GB}\n")
    code, found, out = told(capsys)
    assert (code, found["engine"]) == (2, "fail")
    assert "0B of at most 1.0GB" in out


def test_a_bad_slim_yaml_is_one_finding_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slim.yaml").write_text("recipess: []\n")
    code, found, out = told(capsys)
    assert (code, found["slim.yaml"], found["uv"]) == (2, "fail", "ok")
    assert "slim.yaml:1:1: error: 'recipess' is not a key here" in out


@pytest.mark.parametrize(("text", "state"), [("{}", "fail"), ("cache: {dir: here}", "ok")])
def test_without_a_home(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, state: str
) -> None:
    def nobody() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    Path("slim.yaml").write_text(f"{text}\n")
    _, found, out = told(capsys)
    assert (found["cache"], found["uv"]) == (state, "ok"), out


def test_a_cache_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Path("slim.yaml").write_text(f"cache: {{dir: {tmp_path}/file/cache}}\n")
    code, found, out = told(capsys)
    assert (code, found["cache"]) == (2, "fail")
    assert "set cache.dir in slim.yaml" in out


PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(("text", "state"), [(PEM * 2, "ok"), ("", "fail"), (None, "fail")])
def test_certificate_authorities(text: str | None, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    if text is not None:
        Path("ca.pem").write_text(text)
    Path("slim.yaml").write_text("build: {ca_certificates: ca.pem}\n")
    _, found, out = told(capsys)
    assert found["authorities"] == state
    assert state == "fail" or "2 certificates in" in out


def test_a_machine_without_git(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    code, found, out = told(capsys)
    assert (code, found["git"], found["namespaces"]) == (0, "warn", "warn")
    assert "apt-get install git" in out
    assert "verify is else skipped" in out


def test_the_world(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is beyond this machine: each address is one of loopback, or a folder."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", f"file://{tmp_path}/index")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{tmp_path}/gone")
    Path("slim.yaml").write_text(
        "mirrors:\n  debian: http://127.0.0.1:9/debian\n  images: {docker.io: '127.0.0.1:9/hub'}\n"
    )
    assert doctor.main([]) == 0
    out = capsys.readouterr().out
    assert f"ok   index       file://{tmp_path}/index/ answers" in out
    assert f"warn index       file://{tmp_path}/gone/: there is no such folder" in out
    assert "warn registry    http://127.0.0.1:9/v2/: no connection" in out
    assert "warn debian      http://127.0.0.1:9/debian/: no connection" in out
