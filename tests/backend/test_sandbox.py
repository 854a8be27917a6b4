"""Commands in namespaces, as root and as nobody, by each tool: what they may, what they may not, and that nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import CANNOT
from tests.fetch.loopback import until
from tests.treetext import tree

from slimrun.backend.base import NotRun
from slimrun.backend.sandbox import find_tool, remove_root
from slimrun.cache.store import Cache
from slimrun.oci.layer import write_layer
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ENGINE = HERE.parents[1] / "engine"
NOBODY = 65534
TREE = {
    "/bin/sh": "symlink busybox",
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
    "/etc/group": b"root:x:0:\ngroup:x:1001:\nmore:x:1002:app\n",
    "/etc/hosts": b"1.2.3.4 trap\n",
    "/secret": "file 0600 secret",
    "/mine": "file 0600 mine owner 1000:1001",
    "/one": "file 0644 same inode i",
    "/two": "file 0644 same inode i",
    "/suid": "file 4755 x",
    "/closed": "dir 0555",
    "/closed/in": b"in",
    "/tmp": "dir 1777",
    "/var/run": "symlink /run",
    "/host": "symlink /etc/shadow",
    "/pipe": "fifo 0644",
}


def ways() -> Iterator[tuple[str, bool]]:
    """(tool, whether as nobody); as an ordinary user there is only oneself."""
    if os.geteuid() == 0:
        yield "unshare", False
    yield from ((tool, True) for tool in ("unshare", "bwrap"))


@dataclass
class Bench:
    """An image of busybox and TREE, and one way to run commands in it."""

    tool: str
    nobody: bool
    folder: Path
    python: str
    config: dict[str, Any] = field(default_factory=lambda: {"user": "app", "entrypoint": ["/bin/sh", "-c"]})

    def __call__(self, *argv: str, config: dict[str, Any] | None = None, **limits: Any) -> dict[str, Any]:
        done = self.start(argv, config or {}, limits)
        out, err = done.communicate()
        assert done.returncode == 0, err
        value = json.loads(out)
        assert value["left"] == [], "nothing stays behind"
        assert isinstance(value, dict)
        return value

    def start(self, argv: tuple[str, ...], config: dict[str, Any], limits: dict[str, Any]) -> subprocess.Popen[str]:
        """The driver, begun."""
        job = {
            "cache": str(self.folder),
            "tool": self.tool,
            "argv": argv,
            "limits": limits,
            "config": self.config | config,
        }
        process = subprocess.Popen(
            [self.python, HERE / "sandbox_driver.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PYTHONPATH": str(ENGINE), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            user=NOBODY if self.nobody and os.geteuid() == 0 else None,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        process.stdin = None
        return process

    def out(self, script: str, **limits: Any) -> str:
        ran = self(script, **limits)["ran"]
        assert ran["exit"] == 0, ran
        return str(ran["stdout"])


def running(text: str) -> bool:
    """Whether a process has this in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if text.encode() in path.read_bytes():
                return True
    return False


def busybox() -> bytes:
    for place in ("/bin/busybox", "/usr/bin/busybox"):
        if Path(place).is_file() and b"ld-linux" not in Path(place).read_bytes()[:4096]:
            return Path(place).read_bytes()
    pytest.skip("no static busybox: apt-get install busybox-static, as .ci/services does")


def python_for(nobody: bool) -> str:
    """An interpreter that the user can start: a pyenv below /root is none for nobody."""
    for path in (sys.executable, "/usr/bin/python3"):
        ask = [path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if subprocess.run(ask, user=NOBODY if nobody else None, check=False, capture_output=True).returncode == 0:
                return path
        except (PermissionError, FileNotFoundError):
            continue
    pytest.skip(f"{CANNOT}a Python 3.11 that nobody can start")


@pytest.fixture(params=list(ways()), ids=lambda way: f"{way[0]} {'nobody' if way[1] else 'root'}", scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    tool, nobody = request.param
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}: apt-get install {'bubblewrap' if tool == 'bwrap' else 'util-linux'}")
    python = python_for(nobody and os.geteuid() == 0)
    folder = Path(mkdtemp(prefix="slimrun-sandbox-"))  # pytest's own folders are closed to nobody
    try:
        cache = Cache(folder)
        binary = Tree({"/bin/busybox": file(busybox(), mode=0o755)})
        layer = write_layer(tree(TREE).merge(binary), cache, name="x", epoch=0)
        cache.scratch()
        if nobody and os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        made = Bench(tool, nobody, folder, python)
        made.config["diff_ids"] = [layer.diff_id]
        probe = made("true")
        if not probe["tried"]:
            pytest.skip(f"{CANNOT}namespaces by {tool}: {probe['ran']['reason']}")
        yield made
    finally:
        shutil.rmtree(folder)


def test_it_is_the_image_s_user(bench: Bench) -> None:
    found = bench.out("busybox id -u; busybox id -g; echo $HOME $PATH $HOSTNAME; pwd").split("\n")
    assert found[:2] == ["1000", "1001"]
    assert found[2].startswith("/home/app /usr/local/sbin:")
    assert found[2].endswith(" slimrun")
    assert found[3] == "/"


@pytest.mark.parametrize(
    ("user", "ids"), [("", "0 0"), ("app:more", "1000 1002"), ("7", "7 0"), ("7:8", "7 8"), ("root", "0 0")]
)
def test_users_by_name_and_number(bench: Bench, user: str, ids: str) -> None:
    ran = bench("echo $(busybox id -u) $(busybox id -g)", config={"user": user})["ran"]
    assert ran["stdout"] == f"{ids}\n", ran


def test_permissions_are_the_image_s_where_root_made_the_files(bench: Bench) -> None:
    ran = bench("busybox cat /mine /secret; busybox stat -c %u:%g /mine /secret")["ran"]
    if bench.nobody:
        assert "permissions of files were not tried" in ran["note"], "else it would be a proof that is none"
    else:
        assert ran["note"] == ""
        assert ran["stdout"] == "mine1000:1001\n0:0\n"
        assert "Permission denied" in ran["stderr"]


def test_read_only_but_for_what_is_mounted(bench: Bench) -> None:
    script = """
    for place in / /etc /closed /bin; do (echo x > $place/new) 2>/dev/null && echo wrote $place; done
    for place in /tmp /dev/shm /var/run/app /data/deep; do echo x > $place/new && echo wrote $place; done
    """
    found = bench.out(script, tmpfs=["/tmp", "/dev/shm", "/var/run/app", "/data/deep"])
    assert found.split("\n")[:-1] == [f"wrote {place}" for place in ("/tmp", "/dev/shm", "/var/run/app", "/data/deep")]


def test_a_mount_point_never_leads_to_the_host(bench: Bench) -> None:
    """/var/run is a link to /run, which the image does not have and the host does."""
    name = f"slimrun-test-{os.getpid()}"
    bench.out("true", tmpfs=[f"/var/run/{name}", "/tmp"])
    assert not Path("/run", name).exists()


def test_no_capabilities_and_no_new_privileges(bench: Bench) -> None:
    for user in ("", "app"):
        ran = bench("busybox grep -E '^(Cap|NoNew)' /proc/self/status", config={"user": user})["ran"]
        found = dict(line.split(":\t") for line in ran["stdout"].splitlines())
        assert {found[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert found["NoNewPrivs"] == "1"


def test_no_network_but_loopback(bench: Bench) -> None:
    found = bench.out("busybox ip -o link; busybox cat /etc/hosts; busybox ip route")
    assert found.startswith("1: lo: <LOOPBACK,UP")
    assert found.count("\\") == 1, "one interface"
    assert "127.0.0.1\tlocalhost" in found
    assert "trap" not in found


def test_the_machine_s_network_where_it_is_asked_for(bench: Bench) -> None:
    theirs = subprocess.run(["cat", "/proc/self/net/dev"], capture_output=True, text=True, check=True).stdout
    ours = bench.out("busybox cat /proc/self/net/dev", network=True)
    names = [{line.partition(":")[0].strip() for line in text.splitlines()[2:]} for text in (ours, theirs)]
    assert names[0] == names[1]


def test_no_process_of_the_host_is_seen(bench: Bench) -> None:
    assert bench.out("busybox ls -d /proc/[0-9]*") == "/proc/1\n"


def test_the_kernel_s_switches_are_closed(bench: Bench) -> None:
    script = """
    (echo 7 > /proc/sys/kernel/printk) 2>/dev/null && echo open
    (echo b > /proc/sysrq-trigger) 2>/dev/null && echo open
    true
    """
    for user in ("", "app"):
        assert bench(script, config={"user": user})["ran"]["stdout"] == ""


def test_links_hard_links_modes_and_devices(bench: Bench) -> None:
    script = """
    busybox stat -c '%h %a %n' /one /suid /closed; busybox readlink /host; busybox test -p /pipe && echo pipe
    echo x > /dev/null; busybox head -c 3 /dev/zero | busybox wc -c; busybox head -c 3 /dev/urandom | busybox wc -c
    """
    assert bench.out(script).split("\n")[:-1] == [
        "2 644 /one",
        "1 755 /suid",
        "2 555 /closed",
        "/etc/shadow",
        "pipe",
        "3",
        "3",
    ]


def test_time_runs_out_for_the_whole_tree(bench: Bench) -> None:
    marker = f"987654{os.getpid()}"
    done = bench(f"echo begun; busybox sleep {marker} & busybox sleep {marker} & busybox sleep {marker}", timeout=1.0)
    assert done["ran"]["exit"] is None
    assert done["ran"]["stdout"] == "begun\n"
    assert done["seconds"] < 8
    assert until(lambda: not running(f"sleep\0{marker}"))


def test_it_dies_with_slimrun_even_of_sigkill(bench: Bench) -> None:
    marker = f"876543{os.getpid()}"
    process = bench.start((f"busybox sleep {marker} & busybox sleep {marker}",), {}, {})
    try:
        assert until(lambda: running(f"sleep\0{marker}"), 10)
    finally:
        process.kill()
        process.communicate()
    assert until(lambda: not running(f"sleep\0{marker}"))
    for path in Cache(bench.folder).scratch().iterdir():
        remove_root(path)


def test_what_a_command_leaves_running_ends_with_it(bench: Bench) -> None:
    done = bench("busybox sleep 99 & echo ended")
    assert (done["ran"]["exit"], done["ran"]["stdout"]) == (0, "ended\n")
    assert done["seconds"] < 8


@pytest.mark.parametrize(
    ("script", "exit"), [("exit 3", 3), ("busybox kill -SEGV $$; busybox sleep 9", None), ("no-such-thing", 127)]
)
def test_exit_status(bench: Bench, script: str, exit: int | None) -> None:
    ran = bench(script, timeout=2.0)["ran"]
    assert ran["exit"] == exit, "the first process of a namespace does not die of a signal, as in a container"


def test_a_crash_has_the_signal_s_number(bench: Bench) -> None:
    assert bench("busybox sh -c 'busybox kill -SEGV $$'; exit $?")["ran"]["exit"] == 139


def test_a_program_that_is_not_there(bench: Bench) -> None:
    ran = bench(entrypoint=["/no/such"])["ran"]
    assert ran["exit"] not in (0, None)
    assert "/no/such: No such file" in ran["stderr"]


def test_entrypoint_command_and_folder(bench: Bench) -> None:
    config = {"cmd": ["pwd; echo $A$B"], "workdir": "/work/here", "env": [["A", "1"], ["B", "x"]]}
    assert bench(config=config, env=[["B", "2"]])["ran"]["stdout"] == "/work/here\n12\n"
    assert bench("echo given", config=config)["ran"]["stdout"] == "given\n"
    assert bench("echo", "mine", config=config, entrypoint=["busybox"])["ran"]["stdout"] == "mine\n"


def test_output_is_kept_to_its_end(bench: Bench) -> None:
    ran = bench("busybox yes 0123456789 | busybox head -c 5000000; echo last; echo wrong >&2")["ran"]
    assert len(ran["stdout"]) <= 1 << 20
    assert ran["stdout"].endswith("last\n")
    assert ran["stderr"] == "wrong\n"


def test_the_image_s_environment_is_not_for_the_tool(bench: Bench) -> None:
    env = [["LD_PRELOAD", "/no/such.so"], ["PYTHONHOME", "/none"], ["PATH", "/bin"]]
    assert bench("echo fine", config={"env": env})["ran"]["stdout"] == "fine\n"


# Which tool -----------------------------------------------------------------------------------------------------------------


def test_no_tool_says_which_were_looked_for(tmp_path: Path) -> None:
    found = find_tool(tmp_path, {"PATH": str(tmp_path)})
    assert isinstance(found, NotRun)
    assert "there is no unshare" in found.reason


def test_a_kernel_that_forbids_it_is_quoted(tmp_path: Path) -> None:
    for name in ("unshare", "bwrap"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name}: unshare failed: Operation not permitted' >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    found = find_tool(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert isinstance(found, NotRun)
    assert "unshare cannot: unshare: unshare failed: Operation not permitted" in found.reason
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
