"""slim.yaml: where it is found, what it holds, what is said about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from slimrun.errors import Invalid, RecipeInvalid, Where
from slimrun.recipe.slim import find_slim, load_slim
from slimrun.recipe.slim_model import Slim


def test_found_by_walking_up_to_the_repository(tmp_path: Path) -> None:
    deep = tmp_path / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "slim.yaml").touch()
    (tmp_path / "repo" / ".git").touch()  # a worktree's .git is a file
    assert find_slim(deep) is None
    (tmp_path / "repo" / "slim.yaml").touch()
    assert find_slim(deep) == tmp_path / "repo" / "slim.yaml"
    (tmp_path / "repo" / "a" / "slim.yaml").touch()
    assert find_slim(deep) == tmp_path / "repo" / "a" / "slim.yaml"
    assert find_slim(deep, config=Path("other.yaml")) == Path("other.yaml")


def test_without_a_repository_only_the_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "slim.yaml").touch()
    assert find_slim(tmp_path / "a") is None
    assert find_slim(tmp_path) == tmp_path / "slim.yaml"


def test_relative_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "slim.yaml").touch()
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert find_slim(Path()) == tmp_path / "slim.yaml"


def write(folder: Path, text: str) -> Path:
    path = folder / "slim.yaml"
    path.write_text(text)
    return path


def test_values(tmp_path: Path) -> None:
    slim = load_slim(
        write(
            tmp_path,
            "recipes: [recipes/, more]\nbackend: local\n"
            "docker: {host: 'unix:///run/docker.sock', context: default, timeout: 2m, pull: never, network: host}\n"
            "registry: {prefix: registry.example.org/team, push: true}\n"
            "mirrors:\n  pypi: https://pypi.example.org/simple\n  debian: http://deb.example.org/debian\n"
            "  git: {'https://github.com/': 'https://git.example.org/'}\n  images: {docker.io: 127.0.0.1:5000/hub}\n"
            "build: {ca_certificates: ca.pem, proxy: 'http://proxy:3128', env: {A: 1}}\n"
            "lock: require\ncache: {dir: /var/cache/x, max_size: 1GB, registry: r.example.org/cache}\n"
            "run: {forks: 4, timeout: 30m, output: dense, dask: 'tcp://h:1'}\n"
            "report: {dir: out, formats: [json, html]}\nlint: {profile: strict, skip: [a], warn: [b]}\n"
            "policy: {max_size: 1MiB, allow_images: [docker.io/library], forbid_root: true, forbid_shell: true}\n",
        )
    )
    assert slim.recipes == (tmp_path / "recipes", tmp_path / "more")
    assert (slim.backend, slim.lock) == ("local", "require")
    assert (slim.docker.timeout, slim.docker.pull, slim.docker.network) == (120.0, "never", "host")
    assert (slim.registry.prefix, slim.registry.push) == ("registry.example.org/team", True)
    assert slim.mirrors.images == (("docker.io", "127.0.0.1:5000/hub"),)
    assert slim.mirrors.git == (("https://github.com/", "https://git.example.org/"),)
    assert slim.build.ca_certificates == tmp_path / "ca.pem"
    assert slim.build.env == (("A", "1"),)
    assert (slim.cache.dir, slim.cache.max_size) == (Path("/var/cache/x"), 10**9)
    assert (slim.run.forks, slim.run.timeout, slim.run.output) == (4, 1800.0, "dense")
    assert (slim.report.dir, slim.report.formats) == (tmp_path / "out", ("json", "html"))
    assert (slim.lint.profile, slim.lint.skip, slim.lint.warn) == ("strict", ("a",), ("b",))
    assert (slim.policy.max_size, slim.policy.allow_images) == (2**20, ("docker.io/library",))
    assert (slim.policy.forbid_root, slim.policy.forbid_setuid, slim.policy.forbid_shell) == (True, False, True)


def test_without_a_file() -> None:
    assert Slim().defaults.entries == ()
    assert Slim().registry.prefix is None


BAD = {
    "unknown": ("bakend: docker\n", "slim.yaml:1:1 unknown-key"),
    "choice": ("backend: dcoker\n", "slim.yaml:1:10 choice"),
    "type": ("docker: x\n", "slim.yaml:1:9 wrong-type"),
    "forks": ("run: {forks: 0}\n", "slim.yaml:1:14 range"),
    "duration": ("docker: {timeout: 10}\n", "slim.yaml:1:19 duration"),
    "requires": ("requires: '>=99'\n", "slim.yaml:1:11 requires"),
    "specifier": ("requires: new\n", "slim.yaml:1:11 specifier"),
    "default": ("defaults:\n  prnue: {}\n", "slim.yaml:2:3 unknown-key"),
    "default extends": ("defaults: {extends: x.yaml}\n", "slim.yaml:1:12 not-a-default"),
    "default level": ("defaults: {prune: {level: x}}\n", "slim.yaml:1:27 choice"),
    "secret": ("mirrors: {pypi: 'https://a:b@pypi.example.org'}\n", "slim.yaml:1:17 url"),
    "mirror": ("mirrors: {images: {docker.io: 'a b'}}\n", "slim.yaml:1:31 image-prefix"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = BAD[name]
    write(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeInvalid) as caught:
        load_slim(Path("slim.yaml"))
    assert [f"{problem.where} {problem.rule}" for problem in caught.value.problems] == [expected]
    assert caught.value.problems[0].source


def test_requires(tmp_path: Path) -> None:
    path = write(tmp_path, "requires: '>=0.1,<2'\n")
    for version in ("0.1", "1.9", "1.0.dev3"):
        assert load_slim(path, version=version).requires == ">=0.1,<2"
    with pytest.raises(RecipeInvalid) as caught:
        load_slim(path, version="2.0")
    assert "this is 2.0" in caught.value.problems[0].text


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load_slim(tmp_path / "slim.yaml")
    assert caught.value.where == Where(str(tmp_path / "slim.yaml"))
