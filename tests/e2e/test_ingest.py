"""The door: nested values, deep values, keys, bodies that grow in memory, and `weir send`."""

import gzip
import json
import pathlib
import signal
import unittest

from weir_server import PROJECT_SQL, ServerTest, WeirServer

NESTED_SQL = PROJECT_SQL + """
CREATE STREAM nested (n INTEGER, p STRUCT(e JSON), l JSON[], m MAP(VARCHAR, JSON), kind STRUCT(k ENUM('x', 'y')));
CREATE MATERIALIZED VIEW asked AS
  SELECT n, p.e ->> 'x' AS a, l[1] ->> 'y' AS b, m['k'] ->> '$.z' AS c, kind.k AS k FROM nested;
CREATE TABLE places (k INTEGER PRIMARY KEY, v VARCHAR);
"""


class Nested(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer(NESTED_SQL)
        self.addCleanup(self.server.close)

    def test_json_inside_of_others_comes_in_every_way_and_stays(self):
        def row(n):
            return {"n": n, "p": {"e": {"x": "one"}}, "l": [{"y": "two"}], "m": {"k": {"z": 3}}, "kind": {"k": "y"}}

        reference = self.server.project / "reference"
        reference.mkdir()
        (reference / "rows.ndjson").write_text(json.dumps(row(5)) + "\n")
        self.server.restart()

        def posted(answer):
            self.assertEqual((answer.status, answer.json["rejected"]), (200, []), answer.body)
            return answer.json["offset"]

        posted(self.server.post("nested", [row(1)]))
        posted(self.server.request("POST", "/v1/streams/nested/events", json.dumps([row(2)]),
                                   {"Content-Type": "application/json"}))
        fields = ",".join('"' + json.dumps(value).replace('"', '""') + '"' for value in list(row(3).values())[1:])
        posted(self.server.request("POST", "/v1/streams/nested/events", "n,p,l,m,kind\n3," + fields + "\n",
                                   {"Content-Type": "text/csv"}))
        answer = self.server.sql("""INSERT INTO nested VALUES (4, {'e': '{"x":"one"}'::JSON}, ['{"y":"two"}'::JSON],
                                    MAP {'k': '{"z":3}'::JSON}, {'k': 'y'})""")
        self.assertEqual(answer.status, 200, answer.body)
        answer = self.server.sql("COPY nested FROM 'rows.ndjson'")
        self.assertEqual(answer.status, 200, answer.body)
        expected = [[n, "one", "two", "3", "y"] for n in range(1, 6)]

        def check():
            self.assertEqual(sorted(self.server.rows("asked", wait_for=answer.json["offset"])), expected)
            asked = self.server.sql("SELECT n, p.e ->> 'x', l[1] ->> 'y', m['k'] ->> '$.z', kind.k FROM nested ORDER BY n")
            self.assertEqual(asked.status, 200, asked.body)
            self.assertEqual(asked.json["rows"], expected)

        check()
        self.server.restart(signal.SIGKILL)
        check()

    def test_json_that_is_too_deep_is_refused_at_every_way_in(self):
        deep = "[" * 200_000 + "]" * 200_000
        before = self.server.post("nested", [{"n": 1}]).json["offset"]
        answer = self.server.post("nested", '{"l":' + deep + "}")
        self.assertEqual(answer.json["accepted"], 0, answer.body[:300])
        for column, value in (("p", "{'e': " + deep + "}"), ("l", "[" + deep + "]"), ("m", "{k=" + deep + "}"),
                              ("l", deep)):
            answer = self.server.request("POST", "/v1/streams/nested/events", f'{column}\n"{value}"\n',
                                         {"Content-Type": "text/csv"})
            self.assertEqual((answer.status, answer.json["accepted"]), (200, 0), answer.body[:300])
        insert = self.server.sql("INSERT INTO nested (l) VALUES ([(repeat('[', 200000) || repeat(']', 200000))::JSON])")
        self.assertGreaterEqual(insert.status, 400, insert.body[:300])
        self.assertIn("deep", insert.json["error"]["message"])
        self.assertEqual(self.server.post("nested", [{"n": 2}]).json["offset"], before + 1)

    def test_a_key_is_for_one_operation(self):
        key = {"Idempotency-Key": "k", "Content-Type": "application/x-ndjson"}
        put = self.server.request("POST", "/v1/tables/places/rows", '{"k":7,"v":"x"}', key)
        self.assertEqual(put.json["accepted"], 1)
        answer = self.server.request("POST", "/v1/tables/places/rows/delete", '{"k":7,"v":"x"}', key)
        self.assertEqual((answer.status, answer.code), (409, "conflict"))
        self.assertEqual(self.server.sql("SELECT count(*) FROM places").json["rows"], [[1]])


class Door(ServerTest):
    def test_an_object_of_other_fields_is_refused_and_ignored_ones_are_told(self):
        answer = self.server.post("keyed", [{"Records": [{"id": "x"}]}])
        self.assertEqual((answer.json["accepted"], answer.json["unknown_fields"]), (0, ["Records"]))
        self.assertIn('"Records"', answer.json["rejected"][0]["reason"])
        answer = self.server.post("events", [{"Records": [{"event_name": "x"}]}])
        self.assertEqual((answer.json["accepted"], answer.json["unknown_fields"]), (0, ["Records"]))
        for _ in range(2):
            answer = self.server.post("events", [{"event_name": "x", "more": 1}])
            self.assertEqual((answer.json["accepted"], answer.json["unknown_fields"]), (1, ["more"]))

    def test_rows_that_came_before_a_kill_are_duplicates_after_it(self):
        rows = [{"id": f"killed {n}"} for n in range(5000)]
        self.assertEqual(self.server.post("keyed", rows).json["accepted"], 5000)
        self.server.restart(signal.SIGKILL)
        answer = self.server.post("keyed", rows + [{"id": "killed not"}])
        self.assertEqual((answer.status, answer.json["accepted"], answer.json["duplicates"]), (200, 1, 5000))

    def test_a_project_that_changes_the_dedup_key_changes_what_is_a_duplicate(self):
        """From the first start with it: values of the old column are no keys of the new one."""
        before = "CREATE STREAM calls (id VARCHAR, other VARCHAR) WITH (dedup_key = 'id', dedup_window = '1 day');"
        server = WeirServer(before)
        self.addCleanup(server.close)
        rows = [{"id": f"a{n}", "other": f"b{n}"} for n in range(100)]
        self.assertEqual(server.post("calls", rows).json["accepted"], 100)
        server.stop()
        (server.project / "project.sql").write_text(before.replace("'id'", "'other'"))
        server.start()
        answer = server.post("calls", [{"id": "new", "other": f"a{n}"} for n in range(100)])
        self.assertEqual((answer.status, answer.json["accepted"]), (200, 100), answer.body)
        answer = server.post("calls", [{"id": "newer", "other": f"b{n}"} for n in range(100)])
        self.assertEqual((answer.status, answer.json["duplicates"]), (200, 100), answer.body)

    def test_the_memory_of_keys_and_bodies_is_shown(self):
        metrics = self.server.get("/metrics").body.decode()
        for name in ("dedup_bytes", "dedup_shortened_total", "dedup_recovering_streams", "idempotency_keys",
                     "idempotency_bytes", "idempotency_shortened_total", "ingest_memory_bytes"):
            self.assertIn(f"\nweir_{name} ", metrics)

    def test_send_says_what_it_cannot_send(self):
        folder = self.server.folder / "a folder"
        folder.mkdir()
        sent = self.server.run("send", "events", str(folder), "--url", self.server.url)
        self.assertNotEqual(sent.returncode, 0)
        self.assertIn("is a folder", sent.stderr)
        packed = self.server.folder / "rows.csv.gz"
        packed.write_bytes(gzip.compress(b"n\n1\n"))
        sent = self.server.run("send", "events", str(packed), "--url", self.server.url)
        self.assertNotEqual(sent.returncode, 0)
        self.assertIn("zcat", sent.stderr)

    def test_send_of_a_header_alone_is_checked(self):
        header = self.server.folder / "header.csv"
        header.write_text("nothing,else\n")
        sent = self.server.run("send", "events", str(header), "--url", self.server.url)
        self.assertNotEqual(sent.returncode, 0)
        self.assertIn("names no column", sent.stderr)
        header.write_text("event_name,n\n")
        sent = self.server.run("send", "events", str(header), "--url", self.server.url)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        self.assertIn("sent 0", sent.stdout)


class SmallMemory(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer(PROJECT_SQL + "CREATE STREAM wide (a VARCHAR, b VARCHAR, c BIGINT);",
                                 ["--memory-limit", "400MB"])
        self.addCleanup(self.server.close)

    def memory(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10

    def test_a_small_body_of_many_rows_takes_little(self):
        before = self.memory()
        for rows in (20_000_000, 80_000_000):
            body = gzip.compress(b"{}\n" * rows, compresslevel=6)
            answer = self.server.post("wide", body, {"Content-Encoding": "gzip"})
            self.assertEqual((answer.status, answer.code), (413, "too_large"))
        line = gzip.compress(b"n,event_name\n" + b"," * 30_000_000)
        answer = self.server.request("POST", "/v1/streams/events/events", line,
                                     {"Content-Type": "text/csv", "Content-Encoding": "gzip"})
        self.assertEqual(answer.json["accepted"], 0)
        self.assertLess(self.memory() - before, 300 << 20)
        self.assertEqual(self.server.post("events", [{"event_name": "after"}]).json["accepted"], 1)


if __name__ == "__main__":
    unittest.main()
