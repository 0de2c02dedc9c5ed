"""Rows that an expression fails on are data: left out, shown with the reason, withdrawn with their cause."""

import signal
import unittest

from weir_server import WeirServer

PROJECT = """
CREATE STREAM readings (id INTEGER, value VARCHAR);
CREATE TABLE settings (name VARCHAR, value VARCHAR, PRIMARY KEY (name));
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(value::INTEGER) AS total FROM readings;
CREATE MATERIALIZED VIEW numbers AS SELECT name, value::INTEGER AS value FROM settings;
"""


class ErrorRows(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer(PROJECT)
        self.addCleanup(self.server.close)

    def put(self, *rows):
        body = "\n".join('{"name": "%s", "value": "%s"}' % row for row in rows)
        answer = self.server.request("POST", "/v1/tables/settings/rows", body, {"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["offset"]

    def errors(self, view, offset=None):
        wait = f"?wait_for={offset}" if offset is not None else ""
        answer = self.server.get(f"/v1/views/{view}/errors{wait}")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual([column["name"] for column in answer.json["columns"]],
                         ["offset", "row", "reason", "operator", "count"])
        return answer.json["rows"]

    def view(self, name):
        return next(v for v in self.server.get("/v1/catalog").json["views"] if v["name"] == name)

    def test_a_bad_row_stops_nothing(self):
        answer = self.server.post("readings", [{"id": 1, "value": "5"}, {"id": 2, "value": "five"}, {"id": 3, "value": "7"}])
        offset = answer.json["offset"]
        self.assertEqual(self.server.rows("total", wait_for=offset), [[2, 12]])
        [(first, row, reason, operator, count)] = self.errors("total")
        self.assertEqual((first, count), (offset, 1))
        self.assertIn("value: 'five'", row)
        self.assertIn("could not convert string 'five' to INT32", reason.lower().replace("int32", "INT32"))
        self.assertNotEqual(operator, "")
        self.assertEqual((self.view("total")["status"], self.view("total")["error_rows"]), ("live", 1))
        self.assertIn('weir_view_error_rows{view="total"} 1', self.server.get("/metrics").body.decode())
        asked = self.server.sql('SELECT "row", count FROM total_errors').json["rows"]
        self.assertEqual(asked, [[row, 1]])

    def test_an_error_goes_with_its_cause_also_over_crashes(self):
        self.put(("a", "1"), ("b", "x"), ("c", "3"))
        offset = self.put(("d", "y"))
        self.assertEqual(len(self.errors("numbers", offset)), 2)
        self.server.restart(signal.SIGKILL)
        self.assertEqual(len(self.errors("numbers", offset)), 2)
        self.assertEqual(sorted(self.server.rows("numbers")), [["a", 1], ["c", 3]])
        self.server.restart()
        offset = self.put(("b", "2"))
        self.assertEqual([reason for _, _, reason, _, _ in self.errors("numbers", offset)],
                         ["could not convert string 'y' to INT32 when casting from source column value"])
        self.assertEqual(sorted(self.server.rows("numbers")), [["a", 1], ["b", 2], ["c", 3]])
        answer = self.server.sql("DELETE FROM settings WHERE name = 'd'")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.errors("numbers", answer.json["offset"]), [])
        self.assertEqual(self.view("numbers")["error_rows"], 0)
        done = self.server.run("verify", "--url", self.server.url, "numbers")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_verify_says_what_it_cannot_compare(self):
        offset = self.put(("a", "1"), ("b", "x"))
        self.server.rows("numbers", wait_for=offset)
        answer = self.server.request("POST", "/v1/verify?view=numbers").json
        self.assertEqual((answer["equal"], answer["comparable"]), (True, False))
        self.assertEqual((answer["views"][0]["equal"], answer["views"][0]["error_rows"]), (False, 1))
        done = self.server.run("verify", "--url", self.server.url)
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assertIn("numbers: NOT COMPARED", done.stdout)

    def test_error_rows_have_a_limit_and_formats(self):
        offset = self.put(*[(f"n{i}", f"bad {i}") for i in range(3000)])
        self.assertEqual(len(self.errors("numbers", offset)), 3000)
        answer = self.server.get("/v1/views/numbers/errors?limit=10&format=csv")
        self.assertEqual(len(answer.body.decode().splitlines()), 11)
        self.assertEqual(self.server.get("/v1/views/nothing/errors").status, 404)
        refused = self.server.sql("CREATE MATERIALIZED VIEW v AS SELECT * FROM numbers_errors")
        self.assertNotEqual(refused.status, 200)


if __name__ == "__main__":
    unittest.main()
