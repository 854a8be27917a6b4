"""Refs and commits of real repositories: by path, by file:// and over git's own server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from gitmaker import commit, daemon, git, repository
from loopback import Answer, Site
from tests.treetext import content

from slimrun.cache.store import Cache
from slimrun.errors import GitUnreachable, NotCached, RefNotFound, RepositoryNotFound, RequirementNotMet
from slimrun.events import Event, Progress
from slimrun.fetch import git_process
from slimrun.fetch.git import Repository
from slimrun.fetch.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {"configure": "#!/bin/sh\n", "Include/patchlevel.h": "x\n", "Lib/os.py": "import sys\n"}


class Made:
    """A repository with a past: a tag and a branch of one name, an annotated tag, a rewritten branch."""

    def __init__(self, root: Path) -> None:
        self.path = root / "cpython"
        self.first = repository(self.path, FILES, tag="v1.0")
        git(self.path, "tag", "light")
        self.second = commit(self.path, {"Lib/os.py": "import os\n", "dir/run": "#!x\n"}, tag="v1.1")
        git(self.path, "branch", "3.11", self.first)
        git(self.path, "branch", "both", self.first)
        git(self.path, "tag", "both", self.second)
        git(self.path, "branch", "feature/x")
        self.lost = commit(self.path, {"lost": "x"})
        git(self.path, "reset", "-q", "--hard", self.second)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("git"))


@pytest.fixture(scope="module")
def served(made: Made) -> Iterator[str]:
    with daemon(made.path.parent) as address:
        yield f"{address}/cpython"


def opened(address: str | Path, root: Path, events: list[Event] | None = None, **options: Any) -> Repository:
    given: dict[str, Any] = {"network": Network(), "environ": dict(os.environ), "offline": False, **options}
    emit = (events if events is not None else []).append
    return Repository(str(address), cache=Cache(root / "cache"), emit=emit, **given)


@pytest.mark.parametrize("way", ["path", "file", "git"])
def test_a_repository_is_read_in_each_way(made: Made, served: str, tmp_path: Path, way: str) -> None:
    address = {"path": str(made.path), "file": made.path.as_uri(), "git": served}[way]
    repo = opened(address, tmp_path)
    found = repo.resolve("v1.0")
    assert found == made.first
    source = repo.source(found, "v1.0", "/src")
    assert content(source.tree) == {
        "/src/Include": "dir 0755",
        "/src/Include/patchlevel.h": "x\n",
        "/src/Lib": "dir 0755",
        "/src/Lib/os.py": "import sys\n",
        "/src/configure": "#!/bin/sh\n",
    }
    assert source.tree["/src/configure"].mode == 0o755
    assert source.tree["/src/Lib/os.py"].mode == 0o644
    assert source.time == 1675771200


def test_what_each_ref_means(made: Made, tmp_path: Path) -> None:
    repo = opened(made.path, tmp_path)
    wanted = {
        "v1.0": made.first,  # annotated: the commit, not the tag's own object
        "light": made.first,
        "3.11": made.first,
        "main": made.second,
        "feature/x": made.second,
        "both": made.second,  # as for git, the tag
        "refs/heads/both": made.first,
        "refs/tags/v1.1": made.second,
        "HEAD": made.second,
        made.first: made.first,
        made.second[:10]: made.second,
    }
    assert {ref: repo.resolve(ref) for ref in wanted} == wanted


def test_a_ref_that_is_not_there_names_its_neighbours(made: Made, tmp_path: Path) -> None:
    repo = opened(made.path, tmp_path)
    with pytest.raises(RefNotFound) as caught:
        repo.resolve("v1.2")
    assert caught.value.message == f"{made.path} has no branch, tag or commit v1.2"
    assert caught.value.hint == "did you mean v1.1 or v1.0?"
    with pytest.raises(RefNotFound) as caught:
        repo.resolve("zzzzzz")
    assert caught.value.hint == "it has 3.11, both, feature/x, light, main, v1.0, v1.1"
    with pytest.raises(RefNotFound, match="not the beginning of one's commit") as caught:
        repo.resolve("abcdef0")
    assert "40 digits" in caught.value.hint


def test_a_pattern_is_no_ref(made: Made, tmp_path: Path) -> None:
    with pytest.raises(RefNotFound):
        opened(made.path, tmp_path).resolve("v1*")


def test_a_commit_is_fetched_once_and_alone(made: Made, served: str, tmp_path: Path) -> None:
    events: list[Event] = []
    repo = opened(served, tmp_path, events)
    repo.source(made.second, "main", "/src")
    (store,) = (tmp_path / "cache/git").iterdir()
    assert git(store, "rev-list", "--all") == made.second, "without its past"
    events.clear()
    moved = made.path.rename(made.path.with_name("moved"))
    try:
        again = opened(served, tmp_path, events).source(made.second, "main", "/src")
    finally:
        moved.rename(made.path)
    assert "/src/dir/run" in again.tree
    assert not [event for event in events if isinstance(event, Progress)]
    repo.source(made.first, "v1.0", "/src")
    assert {*git(store, "rev-list", "--all").split()} == {made.first, made.second}
    assert {path.name for path in (tmp_path / "cache/git").iterdir()} == {store.name}, "one store for one address"


def test_a_commit_that_no_branch_leads_to_any_more(made: Made, tmp_path: Path) -> None:
    """It can be had by its digits alone, as GitHub and every server of protocol 2 give it."""
    assert "/src/lost" in opened(made.path, tmp_path).source(made.lost, "main", "/src").tree


def test_a_server_that_gives_only_tips(made: Made, tmp_path: Path) -> None:
    """Protocol 0 refuses what no ref names: then all is fetched, and the commit is found in it."""
    with daemon(made.path.parent) as address:
        environ = {
            **os.environ,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "protocol.version",
            "GIT_CONFIG_VALUE_0": "0",
        }
        repo = opened(f"{address}/cpython", tmp_path, environ=environ)
        assert "/src/dir/run" not in repo.source(made.first, "3.11", "/src").tree
        with pytest.raises(RefNotFound, match=f"no commit {made.lost}") as caught:
            repo.source(made.lost, "main", "/src")
        assert "--refresh" in caught.value.hint


def test_a_commit_that_never_was(made: Made, tmp_path: Path) -> None:
    with pytest.raises(RefNotFound, match="it has no such commit"):
        opened(made.path, tmp_path).source("0123456789" * 4, "main", "/src")


@pytest.mark.parametrize("way", ["path", "file", "git"])
def test_no_repository_there(served: str, tmp_path: Path, way: str) -> None:
    address = {"path": str(tmp_path), "file": (tmp_path / "none").as_uri(), "git": served + "-none"}[way]
    with pytest.raises(RepositoryNotFound, match="there is no git repository") as caught:
        opened(address, tmp_path).resolve("main")
    assert caught.value.exit_code == 2
    assert address in caught.value.message


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    for address in ("git://127.0.0.1:1/x", "https://127.0.0.1:1/x"):
        with pytest.raises(GitUnreachable, match="it does not answer") as caught:
            opened(address, tmp_path).resolve("main")
        assert caught.value.exit_code == 4
        assert "mirrors.git" in caught.value.hint


def test_a_server_that_never_says_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_process, "SILENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(GitUnreachable, match=r"no answer for 0\.3 s"):
            opened(f"git://127.0.0.1:{silent.getsockname()[1]}/x", tmp_path).resolve("main")
        assert time.monotonic() - began < 10


ASKED = "/x/info/refs?service=git-upload-pack"
REFUSED = Answer(status=401, headers=(("WWW-Authenticate", 'Basic realm="x"'),))


def test_a_server_that_wants_a_password_is_an_error_and_no_question(site: Site, tmp_path: Path) -> None:
    site.answers[ASKED].append(REFUSED)
    with pytest.raises(GitUnreachable, match="it refuses access") as caught:
        opened(f"{site.url}/x", tmp_path).resolve("main")
    assert "credential helper" in caught.value.hint


def test_the_persons_own_credentials_are_used(site: Site, tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\necho username=me\necho password=s3cr3t\n")
    helper.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(f"[credential]\n\thelper = {helper}\n")
    site.answers[ASKED].append(REFUSED)
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
    with pytest.raises(GitUnreachable) as caught:
        opened(f"{site.url}/x", tmp_path, environ=environ).resolve("main")
    assert [head.get("Authorization") for head in site.headers] == [None, "Basic bWU6czNjcjN0"]
    assert "s3cr3t" not in caught.value.render()


def test_a_mirror_is_asked_and_its_password_not_printed(served: str, tmp_path: Path) -> None:
    canonical = "https://github.com/python/cpython"
    network = Network(mirrors=(("https://github.com/python/", served.removesuffix("cpython")),))
    repo = opened(canonical, tmp_path, network=network)
    assert repo.source(repo.resolve("v1.0"), "v1.0", "/src").time == 1675771200
    # The address is in no file of the store.
    (store,) = (tmp_path / "cache/git").iterdir()
    texts = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert b"127.0.0.1" not in texts
    assert b"github" not in texts
    secret = Network(mirrors=((canonical, "https://me:s3cr3t@127.0.0.1:1/x"),))
    with pytest.raises(GitUnreachable) as caught:
        opened(canonical, tmp_path, network=secret).resolve("main")
    assert "s3cr3t" not in caught.value.render()
    assert "https://127.0.0.1:1/x" in caught.value.message


def test_the_bytes_do_not_depend_on_the_persons_configuration(made: Made, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[tar]\n\tumask = 0077\n[core]\n\tautocrlf = true\n\tattributesFile = " + str(tmp_path / "attributes") + "\n"
    )
    (tmp_path / "attributes").write_text("* text eol=crlf\nLib export-ignore\n")
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": str(config), "XDG_CONFIG_HOME": str(tmp_path)}
    plain = opened(made.path, tmp_path / "one").source(made.first, "v1.0", "/src")
    other = opened(made.path, tmp_path / "two", environ=environ).source(made.first, "v1.0", "/src")
    assert other.tree.dump() == plain.tree.dump()
    assert other.tree.digest() == plain.tree.digest()


def test_a_hooks_environment_does_not_lead_elsewhere(made: Made, tmp_path: Path) -> None:
    """In a pre-commit hook git has set GIT_DIR and more."""
    repository(tmp_path / "else", {"x": "y"})
    environ = {
        **os.environ,
        "GIT_DIR": str(tmp_path / "else/.git"),
        "GIT_WORK_TREE": str(tmp_path),
        "GIT_INDEX_FILE": "x",
    }
    repo = opened(made.path, tmp_path, environ=environ)
    assert "/src/Lib/os.py" in repo.source(repo.resolve("main"), "main", "/src").tree


def test_offline_asks_nothing(made: Made, tmp_path: Path) -> None:
    offline = opened(made.path, tmp_path, offline=True)
    with pytest.raises(NotCached, match="which commit main is"):
        offline.resolve("main")
    with pytest.raises(NotCached, match="the commit"):
        offline.source(made.first, "main", "/src")
    opened(made.path, tmp_path).source(made.first, "main", "/src")
    assert offline.source(made.first, "main", "/src").time == 1675771200


def test_without_git(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequirementNotMet, match="git program") as caught:
        opened(made.path, tmp_path).resolve("main")
    assert "apt-get install git" in caught.value.hint


def test_a_cache_that_lost_its_files_reads_the_archive_again(made: Made, tmp_path: Path) -> None:
    repo = opened(made.path, tmp_path)
    first = repo.source(made.first, "v1.0", "/src").tree.digest()
    for path in (tmp_path / "cache/packs").iterdir():
        path.unlink()
    tree = repo.source(made.first, "v1.0", "/src").tree
    assert tree.digest() == first
    assert tree.read("/src/Lib/os.py") == b"import sys\n"


INTERRUPTED = """
import sys
from pathlib import Path
from slimrun.cache.store import Cache
from slimrun.fetch.git import Repository
from slimrun.fetch.network import Network
import os
print("go", flush=True)
Repository(sys.argv[1], network=Network(), cache=Cache(Path(sys.argv[2])), emit=lambda _: None, environ=dict(os.environ),
           offline=False).resolve("main")
"""


def test_ctrl_c_ends_the_child_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, address, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            connection, _ = silent.accept()
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=20)
        assert b"KeyboardInterrupt" in err
        connection.settimeout(10)
        while connection.recv(4096):  # what git had asked; then the end, as it is gone
            pass
        connection.close()
