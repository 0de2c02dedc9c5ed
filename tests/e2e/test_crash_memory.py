"""What the process could not end, or ended by, is known at the next start and left alone."""

import ctypes
import json
import os
import pathlib
import signal
import time
import unittest

from weir_server import WeirServer

PROJECT = """
CREATE STREAM events (n BIGINT);
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS c FROM events;
"""
SLOW = "SELECT levenshtein(repeat('a', n), repeat('b', n)) AS x FROM events"  # n * n steps, of which none looks up


class CrashMemory(unittest.TestCase):
    def begin(self, step_limit="600"):
        self.server = WeirServer.__new__(WeirServer)
        first = WeirServer(PROJECT)
        (first.project / "weir.toml").write_text(f'step_limit = "{step_limit}"\n')
        self.server = first
        self.addCleanup(first.close)
        first.restart()

    def settings(self, step_limit):
        (self.server.project / "weir.toml").write_text(f'step_limit = "{step_limit}"\n')

    def view(self, name):
        views = self.server.get("/v1/catalog").json["views"]
        return next(view for view in views if view["name"] == name)

    def get_stuck(self, n=400_000):
        self.assertEqual(self.server.sql(f"CREATE MATERIALIZED VIEW slow AS {SLOW}").status, 200)
        self.server.wait_live("slow")
        time.sleep(1.5)  # until it is known who needs what
        self.server.post("events", [{"n": n}])
        time.sleep(2.5)  # longer than what is only a moment

    def wait_exit(self, seconds):
        deadline = time.monotonic() + seconds
        while self.server.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.server.process.poll()

    def check_parked(self, reason):
        answer = self.server.get("/v1/views/slow")
        self.assertEqual(answer.status, 422, answer.body)
        self.assertIn(reason, answer.json["error"]["message"])
        offset = self.server.post("events", [{"n": 3}]).json["offset"]
        self.assertGreaterEqual(self.server.rows("total", wait_for=offset)[0][0], 2)

    def busiest_thread(self):
        def times():
            found = {}
            for task in pathlib.Path(f"/proc/{self.server.process.pid}/task").iterdir():
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                found[int(task.name)] = int(fields[11]) + int(fields[12])
            return found
        before = times()
        time.sleep(0.5)
        after = times()
        return max(after, key=lambda task: after[task] - before.get(task, 0))

    def test_what_a_signal_hit_is_parked_at_the_next_start(self):
        self.begin()
        self.get_stuck()
        libc = ctypes.CDLL(None)
        libc.syscall(234, self.server.process.pid, self.busiest_thread(), int(signal.SIGSEGV))  # tgkill
        self.assertEqual(self.wait_exit(20), -signal.SIGSEGV)
        self.server.process.stdout.close()
        self.server.start()
        self.check_parked("signal 11")
        self.server.restart()
        self.check_parked("signal 11")
        self.server.sql("CREATE OR REPLACE MATERIALIZED VIEW slow AS SELECT max(n) AS m FROM events")
        deadline = time.monotonic() + 20
        while self.server.get("/v1/views/slow").status != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.server.rows("slow")[0][0], 400_000)

    def test_one_kill_parks_nothing_and_two_at_the_same_place_do(self):
        self.begin()
        self.get_stuck()
        for kills in (1, 2):
            self.server.stop(signal.SIGKILL)
            self.server.start_without_views()
            if kills == 1:
                self.server.post("events", [{"n": 2}])  # the place is the same, whatever comes behind it
                time.sleep(3)
                self.assertNotEqual(self.view("slow")["status"], "parked")
        self.check_parked("killed twice")

    def test_kills_at_any_time_park_nothing(self):
        self.begin()
        self.server.sql("CREATE MATERIALIZED VIEW slow AS SELECT n, count(*) AS c FROM events GROUP BY n")
        self.server.wait_live("slow")
        for i in range(6):
            self.server.post("events", [{"n": j} for j in range(20_000)])
            self.server.stop(signal.SIGKILL)
            self.server.start()
        self.assertEqual(self.server.get("/v1/views/slow?limit=1").status, 200)

    def test_what_never_ends_is_given_up_where_it_can_be(self):
        self.begin("2")
        self.server.sql("CREATE MATERIALIZED VIEW slow AS SELECT count(*) AS x FROM events a, events b, events c, "
                        "events d, events e, events f WHERE a.n + b.n + c.n + d.n + e.n + f.n < 0")
        self.server.wait_live("slow")
        self.server.post("events", [{"n": i} for i in range(200)])
        deadline = time.monotonic() + 30
        while self.server.get("/v1/views/slow").status != 422 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.check_parked("given up after")

    def test_what_cannot_be_given_up_ends_the_process_once(self):
        self.begin("2")
        self.server.sql(f"CREATE MATERIALIZED VIEW slow AS {SLOW}")
        self.server.wait_live("slow")
        self.server.post("events", [{"n": 1_000_000}])
        # Others are answered meanwhile, but for what reads the views.
        self.assertEqual(self.server.sql("SELECT 1").status, 200)
        self.assertEqual(self.wait_exit(30), 75)
        self.server.process.stdout.close()
        self.server.start()
        self.check_parked("for so long")

    def test_stopping_does_not_wait_for_it(self):
        self.begin()
        self.get_stuck(1_000_000)
        began = time.monotonic()
        self.assertEqual(self.server.stop(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - began, 10)

    def test_waiting_for_the_views_has_an_end(self):
        self.begin()
        self.get_stuck(1_000_000)
        offset = self.server.post("events", [{"n": 3}]).json["offset"]
        began = time.monotonic()
        self.assertEqual(self.server.get(f"/v1/views/total?wait_for={offset}&timeout_ms=1000").status, 408)
        self.assertLess(time.monotonic() - began, 5)
        self.assertIn(self.server.sql("SELECT c + 1 FROM total").status, (408, 503))
        self.assertEqual(self.server.sql("SELECT 1").status, 200)
        time.sleep(8)
        self.assertIn("slow", self.server.get("/healthz").json.get("stalled_on", ""))

    def test_a_batch_that_is_given_up_says_why(self):
        self.begin("2")
        made = self.server.sql("CREATE MATERIALIZED VIEW slow AS WITH RECURSIVE r(a) AS (SELECT n FROM events UNION ALL "
                               "SELECT x.a FROM r x JOIN r y ON x.a = y.a) SELECT count(*) AS c FROM r", timeout=60)
        self.assertEqual(made.status, 200)
        self.server.wait_live("slow")
        self.server.post("events", [{"n": 1}])
        deadline = time.monotonic() + 60
        while (answer := self.server.get("/v1/views/slow")).status != 422 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertIn("given up", answer.json["error"]["message"])

    def test_a_definition_that_cannot_be_planned_is_left_alone(self):
        self.begin("2")
        self.server.sql("CREATE MATERIALIZED VIEW slow AS SELECT n FROM events")
        self.server.post("events", [{"n": 1}])
        self.server.stop()
        path = self.server.folder / "data" / "catalog.json"
        catalog = path.read_text()
        query = "WITH c0 AS (SELECT n FROM events)" + "".join(
            f", c{i} AS (SELECT a.n FROM c{i - 1} a JOIN c{i - 1} b USING (n))" for i in range(1, 27)) + \
            " SELECT * FROM c26"
        self.assertIn("SELECT n FROM events", catalog)
        # As a version without a line of checksum before the content would have left it.
        path.write_text(catalog.split("\n", 1)[1].replace("SELECT n FROM events", query))
        self.server.spawn()
        self.assertEqual(self.wait_exit(40), 75)
        self.server.process.stdout.close()
        self.server.start()
        self.check_parked("planned")


if __name__ == "__main__":
    unittest.main()
