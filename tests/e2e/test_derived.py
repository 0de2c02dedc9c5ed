"""Streams out of queries, and answers that are followed: over HTTP, the command line and restarts."""

import http.client
import json
import random
import signal
import subprocess
import threading
import time
import unittest
import urllib.parse

from weir_server import WEIR, WeirServer

PROJECT = """
CREATE STREAM events (n INTEGER, name VARCHAR);
CREATE STREAM big AS SELECT n, upper(name) AS name FROM events WHERE n >= 10;
CREATE STREAM all_names (name VARCHAR NOT NULL);
INSERT INTO all_names SELECT name FROM big;
CREATE PUMP small_names AS INSERT INTO all_names SELECT name FROM events WHERE n < 10;
CREATE MATERIALIZED VIEW names AS SELECT name, count(*) AS n FROM all_names GROUP BY name;
"""


class DerivedTest(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer(PROJECT)
        self.addCleanup(self.server.close)

    def wait_for_rows(self, sql, rows):
        deadline = time.monotonic() + 20
        while True:
            found = self.server.sql(sql).json["rows"]
            if found == rows or time.monotonic() > deadline:
                return self.assertEqual(found, rows)
            time.sleep(0.02)

    def verify(self):
        done = self.server.run("verify", "--url", self.server.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout


class Streams(DerivedTest):
    def test_a_stream_of_a_query_is_read_like_any_other(self):
        self.server.post("events", [{"n": 10, "name": "a"}, {"n": 1, "name": "b"}, {"n": 11, "name": "a"}])
        self.wait_for_rows("SELECT n, name, _offset > 0 FROM big ORDER BY n", [[10, "A", True], [11, "A", True]])
        self.wait_for_rows("SELECT * FROM names ORDER BY name", [["A", 2], ["b", 1]])
        self.assertIn("big: equal (2 rows", self.verify())
        catalog = self.server.get("/v1/catalog").json
        pumps = {pump["name"]: pump for pump in catalog["pumps"]}
        self.assertEqual(set(pumps), {"big", "small_names", "all_names_pump"})
        self.assertEqual((pumps["big"]["stream"], pumps["big"]["status"], pumps["big"]["rows"]), ("big", "live", 2))
        self.assertEqual([s["derived"] for s in catalog["streams"]], [False, True, False])
        self.assertIn('weir_pump_rows_total{pump="big"} 2', self.server.get("/metrics").body.decode())
        refused = self.server.post("big", [{"n": 1}])
        self.assertEqual((refused.status, refused.code), (409, "conflict"))

    def test_every_row_once_over_sigkill_and_a_lost_checkpoint(self):
        dice = random.Random(7)
        sent = 0
        for life in range(6):
            for _ in range(20):
                count = dice.randint(1, 300)
                self.server.post("events", [{"n": sent + i, "name": f"n{(sent + i) % 7}"} for i in range(count)])
                sent += count
            self.server.stop(signal.SIGKILL)
            if life % 2:
                subprocess.run(["rm", "-rf", str(self.server.folder / "data" / "checkpoint")], check=True)
            self.server.start()
        self.wait_for_rows("SELECT count(*), count(DISTINCT n), min(n), max(n) FROM big",
                           [[sent - 10, sent - 10, 10, sent - 1]])
        self.wait_for_rows("SELECT sum(n) FROM names", [[sent]])
        self.verify()

    def test_a_changed_project(self):
        self.server.post("events", [{"n": 10, "name": "a"}])
        self.wait_for_rows("SELECT count(*) FROM big", [[1]])
        file = self.server.project / "project.sql"
        self.server.stop()
        file.write_text(PROJECT.replace("n >= 10", "n >= 20"))
        refused = subprocess.run([WEIR, "serve", str(self.server.project), "--data",
                                  str(self.server.folder / "data"), "--listen", "127.0.0.1:0"],
                                 capture_output=True, text=True, timeout=30)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('pump "big" differs from the one whose rows have been emitted', refused.stderr)
        file.write_text(PROJECT.replace("INSERT INTO all_names SELECT name FROM big;",
                                        "CREATE PUMP again WITH (start = 'now') AS INSERT INTO all_names "
                                        "SELECT name || '!' FROM big;"))
        self.server.start()
        self.server.post("events", [{"n": 12, "name": "b"}])
        self.wait_for_rows("SELECT name FROM all_names ORDER BY name", [["A"], ["B!"]])
        self.verify()
        checked = self.server.run("check", str(self.server.project))
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("pump small_names into all_names", checked.stdout)

    def test_a_changed_time_zone(self):
        """Free to set beside pumps that do not go by it; beside others it would change what is emitted already."""
        zone = lambda name: (self.server.project / "weir.toml").write_text(f'time_zone = "{name}"\n')
        project = self.server.project / "project.sql"
        self.server.post("events", [{"n": 10, "name": "a"}])
        self.wait_for_rows("SELECT name FROM big", [["A"]])
        zone("America/New_York")
        self.server.restart()
        self.assertIn("time zone is now America/New_York", "\n".join(self.server.lines))
        self.assertEqual(self.server.get("/v1/catalog").json["time_zone"], "America/New_York")
        project.write_text(project.read_text() + "CREATE STREAM times (t TIMESTAMPTZ);\nCREATE STREAM days (d DATE);\n"
                           "CREATE PUMP dated AS INSERT INTO days SELECT t::DATE FROM times;\n")
        self.server.restart()
        self.server.post("times", [{"t": "2026-01-02T03:00:00Z"}])
        self.wait_for_rows("SELECT d FROM days", [["2026-01-01"]])
        zone("Asia/Tokyo")
        self.server.stop()
        refused = self.server.run("serve", str(self.server.project), "--data", str(self.server.folder / "data"),
                                  "--listen", "127.0.0.1:0", timeout=30)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertRegex(refused.stderr, r'time zone .* pump "dated" emitted rows by it')
        self.assertIn("DROP the pumps", refused.stderr)
        zone("America/New_York")
        self.server.start()
        self.server.post("times", [{"t": "2026-01-03T03:00:00Z"}])
        self.wait_for_rows("SELECT d FROM days ORDER BY d", [["2026-01-01"], ["2026-01-02"]])
        self.verify()

    def test_statements(self):
        sql = self.server.sql
        self.assertIn("goes on as events come", sql("INSERT INTO all_names SELECT 'x' || n FROM events").json["notice"])
        self.server.post("events", [{"n": 3, "name": "c"}])
        self.wait_for_rows("SELECT name FROM all_names ORDER BY name", [["c"], ["x3"]])
        shown = {row[0]: row[1:4] for row in sql("SHOW PUMPS").json["rows"]}
        self.assertEqual(shown["all_names_pump2"], ["all_names", "live", "1"])
        self.assertIn("feeds stream", sql("EXPLAIN PUMP small_names").body.decode())
        self.assertEqual(sql("DROP PUMP all_names_pump2").status, 200)
        self.assertEqual(sql("CREATE PUMP p AS INSERT INTO events SELECT n, 'x' FROM big").code, "invalid_sql")
        self.assertEqual(sql("CREATE STREAM s AS SELECT name, count(*) FROM events GROUP BY ALL").code, "invalid_sql")
        self.assertEqual(sql("ALTER STREAM events RENAME TO other").code, "conflict")


class Subscriptions(DerivedTest):
    def follow(self, query):
        stream = self.server.events("/v1/subscribe?query=" + urllib.parse.quote(query))
        self.addCleanup(stream.close)
        return stream

    def test_a_query_is_followed(self):
        self.server.post("events", [{"n": 1, "name": "a"}])
        stream = self.follow("SELECT name, count(*) AS n FROM events GROUP BY name")
        _, _, snapshot = stream.next("snapshot")
        self.assertEqual([column["name"] for column in snapshot["columns"]], ["name", "n"])
        if snapshot["rows"] != [["a", 1]]:
            _, _, snapshot = stream.next("change")
        self.server.post("events", [{"n": 2, "name": "a"}])
        _, _, change = stream.next("change")
        self.assertEqual((change["added"], change["removed"]), ([["a", 2]], [["a", 1]]))
        self.assertNotIn("subscription", self.server.get("/v1/catalog").body.decode())
        again = self.follow("select name,   count(*) as n FROM events group by name")
        self.assertEqual(again.next("snapshot")[2]["rows"], [["a", 2]])

    def test_by_post_with_and_without_the_word(self):
        for body in ("SUBSCRIBE (SELECT max(n) AS m FROM events)", "SELECT max(n) AS m FROM events", "SUBSCRIBE names"):
            connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=10)
            self.addCleanup(connection.close)
            connection.request("POST", "/v1/subscribe", body)
            response = connection.getresponse()
            self.assertEqual((response.status, response.headers["Content-Type"]), (200, "text/event-stream"))
            self.assertEqual(response.readline(), b"event: snapshot\n")

    def test_what_is_wrong_is_said(self):
        post = lambda body: self.server.request("POST", "/v1/subscribe", body)
        self.assertEqual(post("SELECT nothing FROM events").code, "invalid_sql")
        self.assertEqual(post("DROP STREAM events").code, "invalid_request")
        self.assertEqual(self.server.get("/v1/subscribe").code, "invalid_request")
        self.assertIn("/v1/subscribe", self.server.sql("SUBSCRIBE (SELECT 1)").json["error"]["hint"])

    def test_their_number_is_bounded_and_they_go_with_their_reader(self):
        streams = [self.follow(f"SELECT count(*) + {i} FROM events") for i in range(48)]  # what one address may have
        for stream in streams:
            stream.next("snapshot")
        query = "/v1/subscribe?query=" + urllib.parse.quote("SELECT count(*) + 64 FROM events")
        self.assertEqual(self.server.get(query).code, "too_many_requests")
        streams[0].close()
        deadline = time.monotonic() + 20
        extra = self.server.events(query)
        while extra.response.status != 200 and time.monotonic() < deadline:
            extra.close()
            self.server.post("events", [{"n": 1}])  # written to those who listen
            time.sleep(0.1)
            extra = self.server.events(query)
        self.addCleanup(extra.close)
        extra.next("snapshot")

    def test_a_replaced_view_ends_it(self):
        self.assertEqual(self.server.sql("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM events").status, 200)
        stream = self.follow("SELECT n + 1 AS m FROM v")
        self.assertEqual(stream.next("snapshot")[2]["rows"], [[1]])
        self.server.sql("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT 7 AS n")
        self.assertEqual(stream.next("error")[2]["error"]["code"], "conflict")

    def test_on_the_command_line(self):
        self.server.post("events", [{"n": 5, "name": "a"}])
        shell = subprocess.Popen([WEIR, "sql", "--url", self.server.url, "--format", "csv", "-c",
                                  "SUBSCRIBE (SELECT sum(n) AS s FROM events)"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(shell.stdout.close)
        self.assertEqual(shell.stdout.readline(), "+,5\n")
        self.server.post("events", [{"n": 6, "name": "a"}])
        self.assertEqual([shell.stdout.readline() for _ in range(2)], ["-,5\n", "+,11\n"])
        shell.send_signal(signal.SIGINT)
        shell.wait(10)


class Replacing(DerivedTest):
    def test_what_answers_meanwhile_says_so(self):
        sql, get = self.server.sql, self.server.get
        body = "\n".join(json.dumps({"n": j, "name": "x" * 20}) for j in range(20_000))
        for _ in range(40):
            self.assertEqual(self.server.post("events", body).status, 200)
        self.assertEqual(sql("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM events").status, 200)
        before = get("/v1/views/v?wait_for=0")
        version = before.json["version"]
        self.assertNotIn("replaced_by", before.json)
        self.assertEqual(before.headers["Weir-Version"], str(version))
        self.assertIsNone(before.headers["Weir-Replaced-By"])
        made = threading.Thread(target=sql, args=(
            "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT 'new' AS s, max(md5(repeat(name, 60) || n)) AS m FROM events",))
        made.start()
        self.addCleanup(made.join)
        entry = lambda: next(view for view in get("/v1/catalog").json["views"] if view["name"] == "v")
        deadline = time.monotonic() + 10
        while entry()["version"] == version and time.monotonic() < deadline:
            pass
        new_version = entry()["version"]
        progress, marked, asked = [], 0, 0
        while (found := entry())["status"] == "filling":
            self.assertEqual((found["version"], found["answering"]), (new_version, version))
            self.assertEqual([column["name"] for column in found["columns"]], ["s", "m"])
            progress.append(found["progress"])
            read = get("/v1/views/v")
            if read.json["version"] == new_version:
                break
            self.assertEqual(read.json["columns"][0]["name"], "n")
            self.assertEqual(read.json["replaced_by"]["version"], new_version)
            self.assertTrue(0 <= read.json["replaced_by"]["progress"] <= 1)
            shown = rf"v; version={new_version}; progress=[01]\.\d{{4}}"
            self.assertRegex(read.headers["Weir-Replaced-By"], shown)
            self.assertRegex(get("/v1/views/v?format=csv").headers["Weir-Replaced-By"] or "v; version=0", "^v; version=")
            answer = sql("SELECT n + 1 AS m FROM v")
            if answer.status == 200 and b'"m"' in answer.body:
                self.assertRegex(answer.headers["Weir-Replaced-By"] or "", shown)
                asked += 1
            marked += 1
        self.assertGreater(marked, 3)
        self.assertGreater(asked, 0)
        self.assertEqual(progress, sorted(progress))
        self.assertLess(progress[0], 0.9)
        after = get("/v1/views/v?wait_for=0&timeout_ms=30000")
        self.assertEqual(after.json["version"], new_version)
        self.assertNotIn("replaced_by", after.json)
        self.assertEqual(after.json["rows"][0][0], "new")
        found = entry()
        self.assertEqual((found["status"], found["version"], found["answering"]), ("live", new_version, new_version))

    def test_the_new_one_can_be_waited_for_and_the_shell_says_when_it_is_not(self):
        sql = self.server.sql
        body = "\n".join(json.dumps({"n": j, "name": "x" * 20}) for j in range(20_000))
        for _ in range(40):
            self.assertEqual(self.server.post("events", body).status, 200)
        self.assertEqual(sql("CREATE MATERIALIZED VIEW v AS SELECT min('old') AS s FROM events").status, 200)
        self.server.rows("v", 0)
        made = threading.Thread(target=sql, args=(
            "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT 'new' AS s, max(md5(repeat(name, 60) || n)) AS m FROM events",))
        made.start()
        self.addCleanup(made.join)
        while self.server.get("/readyz").status == 200:
            pass
        shell = self.server.run("sql", "--url", self.server.url, "-c", "SELECT s || '!' AS t FROM v")
        self.assertIn("old!", shell.stdout)
        self.assertRegex(shell.stderr, r'note: view "v" answered as it was defined before; .* filled \(\d+ %\)')
        self.assertEqual(sql("SELECT * FROM v", "?wait_for=0&timeout_ms=30000").json["rows"][0][0], "new")
        shell = self.server.run("sql", "--url", self.server.url, "-c", "SELECT s || '!' AS t FROM v")
        self.assertIn("new!", shell.stdout)
        self.assertEqual(shell.stderr, "")

    def test_a_view_and_its_reader_change_at_one_position_under_load(self):
        sql = self.server.sql
        for i in range(40):
            self.server.post("events", [{"n": j, "name": "x" * 20} for j in range(5000)])
        self.assertEqual(sql("CREATE MATERIALIZED VIEW base AS SELECT name, count(*) AS n FROM events GROUP BY name").status, 200)
        self.assertEqual(sql("CREATE MATERIALIZED VIEW over AS SELECT sum(n) AS n FROM base").status, 200)
        sql("SELECT * FROM over", "?wait_for=0")
        factor = 1
        for round in range(4):
            factor *= 10
            self.assertEqual(sql("CREATE OR REPLACE MATERIALIZED VIEW base AS SELECT name, "
                                 f"count(*) * {factor} AS n FROM events GROUP BY name").status, 200)
            if round == 2:
                self.server.restart(signal.SIGKILL)
            for _ in range(30):
                self.server.post("events", [{"n": 1, "name": "y"}])
                found = sql("SELECT (SELECT sum(n) FROM base) = (SELECT n FROM over)")
                if found.status == 200:  # 503 while it is filled after the restart
                    self.assertEqual(found.json["rows"], [[True]])
                else:
                    self.assertEqual(found.status, 503)
        deadline = time.monotonic() + 20
        expected = sql(f"SELECT count(*) * {factor} FROM events").json["rows"]
        while sql("SELECT n FROM over").json.get("rows") != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual([[int(row[0])] for row in sql("SELECT n FROM over").json["rows"]], expected)
        self.verify()


if __name__ == "__main__":
    unittest.main()
