#!/usr/bin/env python3
"""Runs dashboard.test.mjs in front of a real server with days of the sign-up example in it.

    WEIR_SCREENSHOT=docs/dashboard.png WEIR_HISTORY=30d tests/e2e/browser/run_dashboard.py
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
WEIR = os.environ.get("WEIR_BINARY", str(ROOT / "build" / "weir"))
START_SECONDS = 30


def start(folder, listen):
    """Starts a server that outlives its starter; its process id goes to a file.  Returns its URL."""
    log = open(folder / "server.log", "w")
    process = subprocess.Popen(
        [WEIR, "serve", str(ROOT / "examples" / "signups"), "--data", str(folder / "data"), "--listen", listen],
        stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    (folder / "pid").write_text(str(process.pid))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in (folder / "server.log").read_text().splitlines():
            if line.startswith("listening on "):
                return line.removeprefix("listening on ")
        if process.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit("the server did not start:\n" + (folder / "server.log").read_text())


def has_ended(pid):
    """Also when nobody has asked for its exit code yet."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def stop(folder):
    pid = int((folder / "pid").read_text())
    try:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            # The server is a child here at the end, and somebody else's in a restart.
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
            if has_ended(pid):
                return
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def generate(url, *options):
    return [WEIR, "generate", "signups", "--to", url, *options]


def main():
    if sys.argv[1:2] == ["--restart"]:
        folder, url = pathlib.Path(sys.argv[2]), sys.argv[3]
        stop(folder)
        start(folder, url.removeprefix("http://"))
        return 0
    with tempfile.TemporaryDirectory(prefix="weir-browser-") as name:
        folder = pathlib.Path(name)
        url = start(folder, "127.0.0.1:0")
        traffic = None
        try:
            subprocess.run(generate(url, "--history", os.environ.get("WEIR_HISTORY", "3d"), "--rate", "0"),
                           check=True)
            if "WEIR_SCREENSHOT" in os.environ:  # a picture with life in it
                traffic = subprocess.Popen(generate(url, "--rate", "40", "--seed", "2"))
                time.sleep(float(os.environ.get("WEIR_LIVE_SECONDS", "8")))
                traffic.send_signal(signal.SIGINT)
                traffic.wait()
            screenshot = os.environ.get("WEIR_SCREENSHOT", str(ROOT / "build-logs" / "dashboard.png"))
            environment = {**os.environ, "WEIR_URL": url, "WEIR_SCREENSHOT": str(pathlib.Path(screenshot).resolve()),
                           "WEIR_RESTART_CMD": f"{sys.executable} {__file__} --restart {folder} {url}"}
            return subprocess.run(["node", "--test", str(pathlib.Path(__file__).parent / "dashboard.test.mjs")],
                                  env=environment).returncode
        finally:
            stop(folder)


if __name__ == "__main__":
    sys.exit(main())
