"""The memory limit: rows go to disk, new work is refused, the process lives; and who has the memory."""

import json
import re
import time
import unittest

from weir_server import WeirServer

TEXT_BYTES = 1000
BATCH = 5000


class Limited(unittest.TestCase):
    LIMIT = "400MB"
    PROJECT = ""

    def setUp(self):
        self.server = WeirServer(self.PROJECT, ["--memory-limit", self.LIMIT])
        self.sent = 0

    def tearDown(self):
        self.server.close()

    def send(self, stream, batches, until=None):
        """Batches of rows of a kilobyte; a refused one is sent again.  The last refusal seen."""
        refusal = None
        for _ in range(batches):
            rows = "\n".join(f'{{"k": {self.sent + i}, "t": "{self.sent + i:0{TEXT_BYTES}}"}}' for i in range(BATCH))
            deadline = time.monotonic() + 60
            while True:
                answer = self.server.post(stream, rows)
                if answer.status == 200:
                    break
                self.assertIn(answer.status, (429, 503), answer.body)
                refusal = answer
                if until == answer.status and answer.code == "unavailable":
                    return refusal
                self.assertLess(time.monotonic(), deadline, answer.body)
                time.sleep(0.05)
            self.sent += BATCH
            self.end = answer.json["offset"]
        return refusal

    def put(self, stream, rows):
        """The offset of rows that are sent again as long as they are refused for want of memory."""
        deadline = time.monotonic() + 60
        while (answer := self.server.post(stream, rows)).status == 503:
            self.assertLess(time.monotonic(), deadline, answer.body)
            time.sleep(0.05)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["offset"]

    def catalog(self):
        return self.server.get("/v1/catalog").json

    def view(self, name):
        return next(view for view in self.catalog()["views"] if view["name"] == name)

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)", self.server.get("/metrics").body.decode(), re.M)[1])

    def until(self, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)


class Spill(Limited):
    PROJECT = """
CREATE STREAM a (k BIGINT, t VARCHAR);
CREATE STREAM b (k BIGINT, t VARCHAR);
CREATE MATERIALIZED VIEW pairs AS SELECT count(*) AS n, sum(length(a.t)) AS bytes FROM a JOIN b USING (k);
"""

    def test_rows_of_a_join_go_to_disk_and_come_back(self):
        self.send("a", 100)  # half a gigabyte of rows
        self.until(lambda: self.view("pairs")["file_bytes"] > 150e6)
        self.until(lambda: self.metric("weir_memory_bytes") < 400e6)
        self.assertGreater(self.metric("weir_state_file_bytes"), 150e6)
        # Partners of old rows and of new ones.
        partners = list(range(0, self.sent, 997))
        offset = self.put("b", [{"k": k} for k in partners])
        self.assertEqual(self.server.rows("pairs", wait_for=offset), [[len(partners), len(partners) * TEXT_BYTES]])
        self.assertIn("of it on disk", self.server.sql("EXPLAIN ANALYZE pairs").body.decode())
        # What is not rows cannot go to disk: a view that groups by the texts does not fit.
        made = self.server.sql("CREATE MATERIALIZED VIEW texts AS SELECT t, count(*) AS n FROM a GROUP BY t")
        if made.status == 200:
            self.until(lambda: self.view("texts")["status"] == "parked")
            error = self.view("texts")["error"]
            self.assertEqual(error["code"], "limit_exceeded")
            self.assertRegex(error["message"], r"had \d+ MB at \d+ % of its history and would take some \d+ MB")
        else:
            self.assertEqual((made.status, made.code), (422, "limit_exceeded"))
        self.assertEqual(self.view("pairs")["status"], "live")
        offset = self.put("b", [{"k": 1}])
        self.assertEqual(self.server.rows("pairs", wait_for=offset)[0][0], len(partners) + 1)


class Full(Limited):
    LIMIT = "250MB"
    PROJECT = """
CREATE STREAM a (k BIGINT, t VARCHAR);
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM a;
CREATE MATERIALIZED VIEW texts AS SELECT t, count(*) AS n FROM a GROUP BY t;
"""

    def test_near_the_limit_events_and_views_are_refused_and_the_process_lives(self):
        # The limit is stood at for good only once nothing more can be freed: what blocks and bodies had
        # for a moment lets another batch in.
        deadline = time.monotonic() + 60
        while True:
            refusal = self.send("a", 100, until=503)
            self.assertIsNotNone(refusal)
            self.assertEqual((refusal.status, refusal.code), (503, "unavailable"))
            full = self.metric("weir_memory_full")
            made = self.server.sql("CREATE MATERIALIZED VIEW more AS SELECT max(k) AS k FROM a")
            if full and made.status != 200:
                break
            if made.status == 200:
                self.server.sql("DROP VIEW more")
            self.assertLess(time.monotonic(), deadline)
        self.assertIn("memory limit of 250 MB", refusal.json["error"]["message"])
        self.assertTrue(refusal.headers["Retry-After"])
        self.assertEqual((made.status, made.code), (422, "limit_exceeded"))
        # What is there is kept and read.
        self.assertEqual(self.server.rows("total", wait_for=self.end), [[self.sent]])
        # It gets better by itself once the view is gone.
        self.assertEqual(self.server.sql("DROP VIEW texts").status, 200)
        self.until(lambda: self.server.post("a", [{"k": 1, "t": "small"}]).status == 200)
        more = "CREATE MATERIALIZED VIEW more AS SELECT max(k) AS k FROM a"
        self.until(lambda: self.server.sql(more).status == 200)


class Figures(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer()
        self.server.sql("CREATE MATERIALIZED VIEW big AS SELECT event_id, max(n) AS n FROM events "
                        "WHERE event_name <> 'x' GROUP BY event_id")
        self.server.sql("CREATE MATERIALIZED VIEW small AS SELECT count(*) AS n FROM events WHERE event_name <> 'x'")
        self.server.post("events", [{"event_id": f"{i:040}", "event_name": "a", "n": i} for i in range(20000)])

    def tearDown(self):
        self.server.close()

    def test_top_and_the_catalog_say_who_has_it(self):
        deadline = time.monotonic() + 20
        while True:
            run = self.server.run("top", "--url", self.server.url, "--json")
            self.assertEqual(run.returncode, 0, run.stderr)
            top = json.loads(run.stdout)
            if top["views"][0]["state_bytes"] > 1e6 or time.monotonic() > deadline:
                break
        self.assertEqual(top["views"][0]["name"], "big")
        self.assertGreater(top["views"][0]["state_bytes"], 20000 * 60)
        self.assertEqual({view["name"] for view in top["views"]}, {"big", "small", "total", "by_name", "keyed_total"})
        shared = [op for op in top["operators"] if op["name"] == "filter"]
        self.assertEqual([sorted(op["views"]) for op in shared], [["big", "small"]])

        catalog = self.server.get("/v1/catalog").json
        by_id = {op["id"]: op for op in catalog["operators"]}
        big = next(view for view in catalog["views"] if view["name"] == "big")
        self.assertEqual(big["state_bytes"],
                         big["content_bytes"] + sum(by_id[id]["state_bytes"] for id in big["operators"]))
        self.assertTrue(any(by_id[id]["shared"] for id in big["operators"]))
        self.assertEqual(len(by_id), len(catalog["operators"]))  # each once
        self.assertLess(catalog["engine"]["memory_in_use"], catalog["engine"]["memory_limit"])

        metrics = self.server.get("/metrics").body.decode()
        self.assertRegex(metrics, r'weir_operator_state_bytes\{id="\w{16}",operator="aggregate",views="big"\} \d{6}')

        text = self.server.run("top", "--url", self.server.url, "--once").stdout
        self.assertRegex(text, r"VIEW +STATUS +KEPT BY +ROWS +FAILED +IN/S")
        self.assertRegex(text, r"big +live +closed form +20\.0 k")
        self.assertNotIn("\x1b", text)


if __name__ == "__main__":
    unittest.main()
