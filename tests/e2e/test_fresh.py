"""What is told of views is so now: while they are filled, replaced, behind, and bounded in what one read may take."""

import concurrent.futures
import json
import threading
import time

from weir_server import ServerTest


class Fresh(ServerTest):
    def metric(self, name):
        for line in self.server.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(name)

    def test_who_waits_for_his_rows_reads_them_in_a_view_made_just_now(self):
        for i in range(20):
            sql = (f"CREATE MATERIALIZED VIEW fresh_{i} AS SELECT event_name, count(*) OVER (PARTITION BY event_name) "
                   f"AS c FROM events WHERE event_name = 'fresh {i}'")
            self.assertEqual(self.server.sql(sql).status, 200)
            offset = self.server.post("events", [{"event_name": f"fresh {i}"}] * 3).json["offset"]
            self.assertEqual(self.server.rows(f"fresh_{i}", wait_for=offset), [[f"fresh {i}", 3]] * 3)

    def test_a_replaced_view_answers_with_what_was_asked_for_last(self):
        self.server.post("events", [{"event_name": "r", "n": 1}])
        self.server.sql("CREATE MATERIALIZED VIEW replaced AS SELECT 0 AS v")
        self.server.wait_live("replaced")
        for i in range(40):
            answer = self.server.sql(f"CREATE OR REPLACE MATERIALIZED VIEW replaced AS SELECT {i} AS v, count(*) > 0 "
                                     "AS some FROM events")
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(self.server.rows("replaced"), [[i, True]])
            self.assertEqual(self.server.sql("FROM replaced").json["rows"], [[i, True]])

    def test_lag_ends_when_nothing_waits(self):
        offset = self.server.post("events", [{"event_name": "lag"}] * 1000).json["offset"]
        self.server.rows("total", wait_for=offset)
        time.sleep(0.05)
        self.assertEqual(self.metric("weir_engine_lag_seconds"), 0)

    def test_a_deadline_is_kept(self):
        before = time.monotonic()
        answer = self.server.get("/v1/views/total?wait_for=999999999999&timeout_ms=200")
        self.assertEqual(answer.status, 408)
        self.assertLess(time.monotonic() - before, 5)

    def test_a_time_out_that_is_no_time(self):
        answer = self.server.sql("SELECT 1", "?timeout_ms=9999999999999999999")
        self.assertEqual(answer.status, 200, answer.body)

    def test_a_read_of_too_many_copies_is_refused(self):
        self.server.sql("CREATE STREAM many (n INTEGER)")
        self.server.sql("CREATE MATERIALIZED VIEW copies AS SELECT 1 AS one, m.n AS a, o.n AS b FROM many m, many o")
        offset = self.server.post("many", [{"n": 1}] * 5000).json["offset"]  # one row, 25 million times
        answer = self.server.get(f"/v1/views/copies?wait_for={offset}&timeout_ms=30000")
        self.assertEqual(answer.status, 422, answer.body[:200])
        self.assertEqual(answer.code, "limit_exceeded")
        part = self.server.get("/v1/views/copies?limit=3")
        self.assertEqual(part.json["rows"], [[1, 1, 1]] * 3)
        self.server.sql("DROP VIEW copies")

    def test_producers_and_readers_at_once(self):
        def post(i):
            answer = self.server.post("events", [{"event_name": "at once", "n": i}, {"n": 1}]).json
            self.assertEqual((answer["accepted"], len(answer["rejected"])), (1, 1))
            return answer["offset"]

        def read(offset):
            return self.server.get(f"/v1/views/by_name?wait_for={offset}").status

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            offsets = list(pool.map(post, range(100)))
            self.assertEqual(set(pool.map(read, offsets)), {200})

    def test_a_million_rows_are_one_answer_and_one_more_is_none(self):
        """By GET, by SQL and in the feed."""
        self.server.sql("CREATE STREAM left_side (n INTEGER)")
        self.server.sql("CREATE STREAM right_side (n INTEGER)")
        self.server.sql("CREATE MATERIALIZED VIEW million AS SELECT 1 AS one FROM left_side, right_side")
        self.server.post("left_side", [{"n": 1}] * 1000)
        offset = self.server.post("right_side", [{"n": 1}] * 1000).json["offset"]
        answer = self.server.get(f"/v1/views/million?wait_for={offset}")
        self.assertEqual((answer.status, len(answer.json["rows"])), (200, 1_000_000))
        self.assertEqual(len(self.server.sql("FROM million").json["rows"]), 1_000_000)
        self.assertEqual(len(self.server.sql("SELECT one + 1 AS two FROM million").json["rows"]), 1_000_000)
        stream = self.server.events("/v1/views/million/changes", timeout=60)
        self.addCleanup(stream.close)
        self.assertEqual(len(stream.next("snapshot")[2]["rows"]), 1_000_000)
        self.server.sql("CREATE MATERIALIZED VIEW one_more AS SELECT one FROM million UNION ALL "
                        "SELECT max(n) FROM left_side")
        self.server.rows("million", 0, "&limit=1")
        answer = self.server.get("/v1/views/one_more?wait_for=0&timeout_ms=30000")
        self.assertEqual((answer.status, answer.code), (422, "limit_exceeded"))
        self.assertIn("more than 1000000 rows", answer.json["error"]["message"])
        self.assertEqual(self.server.get("/v1/views/one_more?limit=3").json["rows"], [[1]] * 3)
        self.assertEqual(self.server.sql("FROM one_more").code, "limit_exceeded")
        self.assertEqual(self.server.sql("SELECT one + 1 AS two FROM one_more").code, "limit_exceeded")
        self.assertEqual(self.server.sql("SELECT sum(one) AS s FROM one_more").json["rows"], [[1_000_001]])
        stream = self.server.events("/v1/views/one_more/changes", timeout=60)
        self.addCleanup(stream.close)
        self.assertEqual(stream.next("error")[2]["error"]["code"], "limit_exceeded")


class Burst(ServerTest):
    """Much at once is many steps: who looks sees it come."""

    EVENTS, PRODUCERS = 50_000, 4

    def watch(self, stop, shown):
        """What GET says, each time it is something else."""
        while not stop.is_set():
            now = self.server.rows("total")[0][0]
            if not shown or shown[-1][1] != now:
                shown.append((time.monotonic(), now))
            time.sleep(0.005)

    def burst(self, bodies):
        """How often the feed and GET moved in a second while a burst was taken in, and for how long."""
        before = self.total()
        wanted = before + self.EVENTS * bodies
        body = ('{"event_id": "some event", "event_time": "2026-01-01T12:00:00Z", "event_name": "burst", "n": 1}\n'
                * self.EVENTS)
        stream = self.server.events("/v1/views/total/changes", timeout=60)
        self.addCleanup(stream.close)
        stream.next("snapshot")
        stop, shown, moved = threading.Event(), [], []
        watcher = threading.Thread(target=self.watch, args=(stop, shown))
        watcher.start()
        with concurrent.futures.ThreadPoolExecutor(self.PRODUCERS) as producers:
            answers = [producers.submit(self.server.post, "events", body) for _ in range(bodies)]
            while not moved or moved[-1][1] < wanted:
                change = stream.next("change")[2]
                moved.append((time.monotonic(), change["added"][0][0]))
            for answer in answers:
                self.assertEqual(answer.result().status, 200)
        stop.set()
        watcher.join()
        took = moved[-1][0] - moved[0][0]
        seen = [now for when, now in shown if before < now]
        return len(moved) / took, len(seen) / took, took

    def test_a_burst_moves_views_ten_times_a_second(self):
        found, bodies = [], 60
        while len(found) < 3:  # the machine may have had something else to do
            changes, reads, took = self.burst(bodies)
            if took < 0.5:  # too short to count in
                self.assertLess(bodies, 2_000)
                bodies *= 2
                continue
            found.append((changes, reads, took))
            if changes >= 10 and reads >= 10:
                return
        self.fail(f"changes a second, different answers a second, seconds: {found}")


if __name__ == "__main__":
    import unittest
    unittest.main()
