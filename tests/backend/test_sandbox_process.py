"""One process: its outputs, its end, and the two ways in which its time runs out."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from slimrun.backend.sandbox_process import KEEP, capture

LONG = 60.0


def python(text: str, timeout: float = LONG, stopped: threading.Event | None = None) -> tuple[int | None, str, str]:
    return capture([sys.executable, "-c", text], {}, timeout, stopped)


def test_status_and_outputs() -> None:
    assert python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)") == (3, "out\n", "err\n")
    assert python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")[0] == 128 + 15


def test_the_last_of_a_long_output_is_kept() -> None:
    status, out, _ = python(f"print('x' * {3 * KEEP}); print('end')")
    assert (status, len(out), out[-5:]) == (0, KEEP, "\nend\n")


def test_time_runs_out() -> None:
    began = time.monotonic()
    assert python("import time; print('up', flush=True); time.sleep(60)", 1.0) == (None, "up\n", "")
    assert time.monotonic() - began < 20


def test_another_thread_may_stop_it(tmp_path: Path) -> None:
    stopped, mark = threading.Event(), tmp_path / "pid"

    def stop() -> None:
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.01)
        stopped.set()

    threading.Thread(target=stop).start()
    began = time.monotonic()
    text = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    assert python(text, LONG, stopped)[0] is None
    assert time.monotonic() - began < 20
    assert not Path("/proc", mark.read_text()).exists()


def test_a_flag_that_is_never_set_changes_nothing() -> None:
    assert python("print('done')", LONG, threading.Event()) == (0, "done\n", "")
