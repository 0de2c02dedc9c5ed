"""A Weir of its own for a test: a binary, a project and a data folder that is removed afterwards."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.environ.get("WEIR_BINARY", str(ROOT / "build" / "weir"))

PROJECT_SQL = """
CREATE STREAM events (
  event_id   VARCHAR,
  event_time TIMESTAMP,
  event_name VARCHAR NOT NULL,
  n          INTEGER
);
CREATE STREAM strict (a INTEGER) WITH (unknown_fields = 'reject');
CREATE STREAM keyed (id VARCHAR, n INTEGER) WITH (dedup_key = 'id', dedup_window = '1 hour');
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS events, sum(n) AS n FROM events;
CREATE MATERIALIZED VIEW by_name AS SELECT event_name, count(*) AS events FROM events GROUP BY event_name;
CREATE MATERIALIZED VIEW keyed_total AS SELECT count(*) AS rows FROM keyed;
"""


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]


class WeirServer:
    def __init__(self, project_sql=PROJECT_SQL, options=(), prefix=()):
        """`prefix`: a command that runs the server, such as one that sets limits first."""
        self.options = list(options)
        self.prefix = list(prefix)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-e2e-"))
        self.project = self.folder / "project"
        self.project.mkdir()
        (self.project / "project.sql").write_text(project_sql)
        self.process = None
        self.start()

    def spawn(self):
        self.process = subprocess.Popen(
            [*self.prefix, WEIR, "serve", str(self.project), "--data", str(self.folder / "data"), "--listen", "127.0.0.1:0",
             *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []

    def start(self):
        self.start_without_views()
        deadline = time.monotonic() + 30
        while self.get("/readyz").status != 200 and time.monotonic() < deadline:
            time.sleep(0.01)

    def start_without_views(self):
        """Until it listens; views may still be filled."""
        self.spawn()
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("listening on "):
                break
        else:
            raise AssertionError("weir serve ended: " + "\n".join(self.lines))
        self.url = line.split()[-1]
        self.host, port = self.url.removeprefix("http://").split(":")
        self.port = int(port)
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def close(self):
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, stream, rows, headers=None, query=""):
        """Rows: dicts, or a body as it is."""
        body = rows if isinstance(rows, (str, bytes)) else "\n".join(json.dumps(row) for row in rows)
        return self.request("POST", f"/v1/streams/{stream}/events{query}", body,
                            {"Content-Type": "application/x-ndjson", **(headers or {})})

    def sql(self, sql, query="", headers=None, timeout=30):
        return self.request("POST", "/v1/sql" + query, sql, {"Content-Type": "text/plain", **(headers or {})}, timeout)

    def wait_live(self, view, seconds=30):
        """Until a new view is filled."""
        deadline = time.monotonic() + seconds
        while (answer := self.get(f"/v1/views/{view}")).status == 503:
            if time.monotonic() > deadline:
                raise AssertionError(answer.body)
            time.sleep(0.02)

    def rows(self, view, wait_for=None, query=""):
        path = f"/v1/views/{view}?" + (f"wait_for={wait_for}" if wait_for is not None else "") + query
        answer = self.get(path)
        if answer.status != 200:
            raise AssertionError(f"{path}: {answer.status} {answer.body}")
        return answer.json["rows"]

    def raw(self, data, timeout=15):
        """Sends bytes as they are; returns all that comes back until the server closes or falls silent."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as sock:
            sock.sendall(data)
            received = b""
            try:
                while part := sock.recv(65536):
                    received += part
            except (TimeoutError, ConnectionResetError):
                pass
            return received

    def run(self, *arguments, stdin=None, timeout=60):
        return subprocess.run([WEIR, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout)

    def events(self, path, headers=None, timeout=10):
        return EventStream(self, path, headers or {}, timeout)


class EventStream:
    """Server-Sent Events as (event, id, data)."""

    def __init__(self, server, path, headers, timeout):
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=timeout)
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()

    def next(self, wanted=None):
        event = identity = data = None
        while True:
            line = self.response.readline().decode()
            if line == "":
                raise AssertionError("the stream of events ended")
            line = line.rstrip("\n")
            if line.startswith("event:"):
                event = line[6:].strip()
            elif line.startswith("id:"):
                identity = line[3:].strip()
            elif line.startswith("data:"):
                data = json.loads(line[5:])
            elif line == "" and event:
                if wanted in (None, event):
                    return event, identity, data
                event = identity = data = None

    def close(self):
        self.response.close()
        self.connection.close()


class ServerTest(unittest.TestCase):
    """One server for all tests of a class."""

    PROJECT = PROJECT_SQL

    @classmethod
    def setUpClass(cls):
        cls.server = WeirServer(cls.PROJECT)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def total(self):
        """Of all that was acknowledged by now."""
        end = re.search(r"^weir_log_end_offset (\d+)", self.server.get("/metrics").body.decode(), re.M)[1]
        return self.server.rows("total", wait_for=end)[0][0] or 0
