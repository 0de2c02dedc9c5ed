"""Tables of a real server: rows by HTTP, SQL and files, views that follow, restarts, and who may not do what."""

import json
import re
import signal
import threading
import time
import unittest
import uuid

from weir_server import ROOT, ServerTest, WeirServer

PROJECT = """
CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, city VARCHAR, credit DECIMAL(10,2));
CREATE STREAM orders (customer BIGINT, amount BIGINT);
CREATE STREAM once (id BIGINT) WITH (dedup_key = 'id');
CREATE MATERIALIZED VIEW names AS SELECT id, name FROM customers;
CREATE MATERIALIZED VIEW by_city AS SELECT city, count(*) AS n, sum(credit) AS credit FROM customers GROUP BY city;
CREATE MATERIALIZED VIEW spent AS
  SELECT name, sum(amount) AS amount FROM orders JOIN customers ON id = customer GROUP BY name;
"""


class TableTest(ServerTest):
    PROJECT = PROJECT

    def setUp(self):
        self.change("TRUNCATE customers")

    def change(self, sql, params=None):
        """Runs a statement that writes; returns how many rows and the offset."""
        answer = self.server.request("POST", "/v1/sql", json.dumps({"sql": sql, "params": params or []}),
                                     {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["rows"][0][0], answer.json["offset"]

    def put(self, body, query="", headers=None, method="POST", path="rows"):
        body = body if isinstance(body, str) else "\n".join(json.dumps(row) for row in body)
        return self.server.request(method, f"/v1/tables/customers/{path}{query}", body,
                                   {"Content-Type": "application/x-ndjson", **(headers or {})})

    def table(self):
        return self.server.sql("SELECT id, name FROM customers ORDER BY id").json["rows"]

    def view(self, offset):
        return sorted(self.server.rows("names", wait_for=offset))


class Rows(TableTest):
    def test_a_row_takes_the_place_of_the_one_with_its_key(self):
        self.put([{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}])
        answer = self.put([{"id": 1, "name": "Anna"}]).json
        self.assertEqual((answer["accepted"], answer["rejected"]), (1, []))
        self.assertEqual(self.view(answer["offset"]), [[1, "Anna"], [2, "Bob"]])
        self.assertEqual(self.table(), [[1, "Anna"], [2, "Bob"]])

    def test_rows_go_by_key_or_by_a_mark(self):
        self.put([{"id": n, "name": f"n{n}"} for n in range(5)])
        self.put([{"id": 0, "_deleted": True}])
        self.put([{"id": 1}], method="DELETE")
        self.put("id\n2\n77\n", path="rows/delete", headers={"Content-Type": "text/csv"})
        offset = self.put([{"id": 3, "name": "stays", "_deleted": False}]).json["offset"]
        self.assertEqual(self.view(offset), [[3, "stays"], [4, "n4"]])
        self.assertEqual(self.table(), [[3, "stays"], [4, "n4"]])

    def test_bad_rows_are_told_and_atomic_keeps_none(self):
        body = [{"id": 1, "name": "good"}, {"id": "x", "name": "bad"}, {"id": 2}]
        answer = self.put(body, "?atomic=true")
        self.assertEqual(answer.status, 422)
        self.assertEqual([row["line"] for row in answer.json["rejected"]], [2, 3])
        self.assertEqual(self.table(), [])
        answer = self.put(body).json
        self.assertEqual((answer["accepted"], len(answer["rejected"])), (1, 2))
        self.assertEqual(answer["rejected"][1]["reason"], "must not be NULL")

    def test_a_retried_body_counts_once(self):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        first = self.put([{"id": 1, "name": "first"}], headers=key).json
        self.put([{"id": 1, "name": "second"}])
        self.assertEqual(self.put([{"id": 1, "name": "first"}], headers=key).json, first)
        self.assertEqual(self.table(), [[1, "second"]])

    def test_what_is_no_table(self):
        self.assertEqual(self.server.request("POST", "/v1/tables/orders/rows", "{}").status, 404)
        answer = self.server.request("POST", "/v1/tables/nothing/rows", "{}")
        self.assertEqual((answer.status, answer.json["error"]["message"]), (404, 'there is no table "nothing"'))

    def test_weir_send_and_copy(self):
        folder = self.server.folder
        (folder / "rows.csv").write_text("id,name,city\n1,Ann,Rome\n2,Bob,\n")
        (folder / "more.csv").write_text("3;Cem\n4;\"Dan; the man\"\n")
        (folder / "rows.json").write_text('[{"id": 5, "name": "Eve"}]')
        self.assertEqual(self.server.run("send", "customers", str(folder / "rows.csv"), "--url", self.server.url).returncode, 0)
        parquet = self.server.sql("SELECT 6 AS id, 'Fay' AS name, 1.5 AS credit", "?format=parquet")
        (folder / "rows.parquet").write_bytes(parquet.body)
        for copy in (f"COPY customers (id, name) FROM '{folder}/more.csv' (HEADER false, DELIMITER ';')",
                     f"COPY customers FROM '{folder}/rows.json'", f"COPY customers FROM '{folder}/rows.parquet'"):
            ran = self.server.run("sql", "--url", self.server.url, "-c", copy)
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertEqual(self.table(), [[1, "Ann"], [2, "Bob"], [3, "Cem"], [4, "Dan; the man"], [5, "Eve"], [6, "Fay"]])
        cities = self.server.sql("SELECT id FROM customers WHERE city IS NULL ORDER BY id").json["rows"]
        self.assertEqual(cities, [[2], [3], [4], [5], [6]])


class Statements(TableTest):
    def test_insert_update_delete(self):
        self.assertEqual(self.change("INSERT INTO customers VALUES (1, 'Ann', 'Rome', 5), (2, 'Bob', 'Oslo', 6)")[0], 2)
        self.assertEqual(self.change("INSERT INTO customers (id, name) VALUES ($1, $2)", [3, "Cem"])[0], 1)
        changed, offset = self.change("UPDATE customers SET credit = coalesce(credit, 0) + $1 WHERE id > $2", [10, 1])
        self.assertEqual(changed, 2)
        self.assertEqual(sorted(self.server.rows("by_city", wait_for=offset), key=str),
                         [["Oslo", 1, 16], ["Rome", 1, 5], [None, 1, 10]])
        changed, offset = self.change("DELETE FROM customers WHERE city = 'Oslo'")
        self.assertEqual(self.view(offset), [[1, "Ann"], [3, "Cem"]])
        self.assertEqual(self.change("DELETE FROM customers WHERE id = 77")[0], 0)

    def test_a_key_that_is_there_is_a_conflict(self):
        self.change("INSERT INTO customers (id, name) VALUES (1, 'Ann')")
        answer = self.server.sql("INSERT INTO customers (id, name) VALUES (2, 'Bob'), (1, 'again')")
        self.assertEqual((answer.status, answer.code), (409, "conflict"))
        self.assertIn("(id) = (1)", answer.json["error"]["message"])
        self.assertEqual(self.table(), [[1, "Ann"]])
        self.change("INSERT INTO customers (id, name) VALUES (1, 'new'), (2, 'Bob') "
                    "ON CONFLICT (id) DO UPDATE SET name = customers.name || '/' || excluded.name")
        self.assertEqual(self.table(), [[1, "Ann/new"], [2, "Bob"]])

    def test_many_writers_at_once_lose_nothing(self):
        self.change("INSERT INTO customers (id, name, credit) VALUES (1, 'shared', 0)")
        failures = []

        def count():
            for _ in range(6):
                answer = self.server.sql("UPDATE customers SET credit = credit + 1 WHERE id = 1")
                if answer.status != 200:
                    failures.append(answer.body)

        def put(first):
            for n in range(40):
                answer = self.put([{"id": first + n, "name": "n"}])
                if answer.status != 200:
                    failures.append(answer.body)

        writers = [threading.Thread(target=count) for _ in range(4)]
        writers += [threading.Thread(target=put, args=(1000 * n,)) for n in (1, 2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        self.assertEqual(failures, [])
        row = self.server.sql("SELECT (SELECT credit FROM customers WHERE id = 1), count(*) FROM customers").json["rows"][0]
        self.assertEqual(row, [24, 81])

    def test_events_of_a_stream_by_insert(self):
        self.change("INSERT INTO customers (id, name) VALUES (1, 'Ann')")
        changed, offset = self.change("INSERT INTO orders VALUES (1, 5), (1, $1)", [7])
        self.assertEqual(changed, 2)
        self.assertIn(["Ann", 12], self.server.rows("spent", wait_for=offset))
        self.assertEqual(self.change("INSERT INTO once VALUES (1), (2), (1)")[0], 2)

    def test_statements_reach_no_further_than_queries(self):
        for sql, status in (("INSERT INTO customers SELECT 1, content FROM read_text('/etc/passwd')", 403),
                            ("INSERT INTO customers SELECT 1, getenv('HOME')", 403),
                            ("DELETE FROM customers WHERE name = (SELECT content FROM read_text('/etc/passwd'))", 403),
                            ("UPDATE customers SET name = getenv('HOME')", 403),
                            ("COPY customers FROM '/etc/passwd' (FORMAT csv)", 403),
                            ("COPY customers FROM '../project.sql' (FORMAT csv)", 403),
                            ("COPY customers FROM 'nothing.csv'", 400),
                            ("COPY customers TO 'out.csv'", 400)):
            self.assertEqual(self.server.sql(sql).status, status, sql)


class Catalog(TableTest):
    def test_tables_are_shown_apart(self):
        self.assertEqual([row[:2] for row in self.server.sql("SHOW TABLES").json["rows"]], [["customers", "table"]])
        self.assertEqual([row[0] for row in self.server.sql("SHOW STREAMS").json["rows"]], ["once", "orders"])
        self.assertEqual(self.server.sql("DESCRIBE customers").json["rows"][0], ["id", "BIGINT", "NO", "PRI"])
        catalog = self.server.get("/v1/catalog").json
        self.assertEqual([stream["name"] for stream in catalog["streams"]], ["once", "orders"])
        table = catalog["tables"][0]
        self.assertEqual((table["name"], table["primary_key"], table["source"]), ("customers", ["id"], None))
        self.assertEqual([column["name"] for column in table["columns"]], ["id", "name", "city", "credit"])

    def test_a_table_that_is_read_is_not_dropped(self):
        answer = self.server.sql("DROP TABLE customers")
        self.assertEqual((answer.status, answer.code), (409, "in_use"))


class Restarts(unittest.TestCase):
    def test_rows_and_views_are_there_after_a_kill(self):
        server = WeirServer(PROJECT)
        self.addCleanup(server.close)
        rows = "\n".join(json.dumps({"id": n % 300, "name": f"n{n}", "city": f"c{n % 7}", "credit": n}) for n in range(3000))
        server.request("POST", "/v1/tables/customers/rows", rows)
        server.sql("UPDATE customers SET credit = credit + 1 WHERE id % 3 = 0")
        offset = server.sql("DELETE FROM customers WHERE id % 5 = 0").json["offset"]
        before = sorted(server.rows("by_city", wait_for=offset))
        self.assertEqual(sum(row[1] for row in before), 240)
        server.restart(signal.SIGKILL)
        self.assertEqual(sorted(server.rows("by_city")), before)
        server.restart()
        self.assertEqual(server.sql("UPDATE customers SET city = 'x'").json["rows"], [[240]])
        verified = server.run("verify", "--url", server.url)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)


class Reference(unittest.TestCase):
    """Tables whose rows are those of a file."""

    def setUp(self):
        self.server = WeirServer("CREATE STREAM events (city INTEGER);")
        self.addCleanup(self.server.close)
        self.files = self.server.project / "reference"
        self.files.mkdir()
        self.write("1,Rome,2.5\n2,Oslo,\n3,,1\n")
        (self.server.project / "project.sql").write_text("""
            CREATE STREAM events (city INTEGER);
            CREATE TABLE cities (id INTEGER PRIMARY KEY, name VARCHAR, size DOUBLE)
              WITH (source = 'cities.csv', refresh = 'on change');
            CREATE MATERIALIZED VIEW seen AS
              SELECT name, count(*) AS n FROM events JOIN cities ON cities.id = city GROUP BY name;
            CREATE MATERIALIZED VIEW names AS SELECT id, name FROM cities;""")
        self.server.restart()

    def write(self, rows):
        partial = self.files / "cities.partial"
        partial.write_text("id,name,size\n" + rows)
        partial.replace(self.files / "cities.csv")

    def wait(self, wanted, what=lambda server: sorted(server.rows("names"))):
        deadline = time.monotonic() + 15
        while (found := what(self.server)) != wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(found, wanted)

    def error(self, server):
        return server.get("/v1/catalog").json["tables"][0]["source"]["error"]

    def test_rows_follow_the_file(self):
        self.wait([[1, "Rome"], [2, "Oslo"], [3, None]])
        offset = self.server.post("events", [{"city": 1}, {"city": 1}, {"city": 4}]).json["offset"]
        self.assertEqual(self.server.rows("seen", wait_for=offset), [["Rome", 2]])
        before = self.server.sql("SELECT max(_offset) FROM cities WHERE id = 2").json["rows"]
        self.write("4,Bern,9\n1,Roma,2.5\n2,Oslo,\n")
        self.wait([[1, "Roma"], [2, "Oslo"], [4, "Bern"]])
        # Only what differs was written.
        self.assertEqual(self.server.sql("SELECT max(_offset) FROM cities WHERE id = 2").json["rows"], before)
        self.assertEqual(sorted(self.server.rows("seen")), [["Bern", 1], ["Roma", 2]])
        self.server.restart(signal.SIGKILL)
        self.wait([[1, "Roma"], [2, "Oslo"], [4, "Bern"]])

    def test_a_bad_file_keeps_the_rows_and_shows(self):
        good = [[1, "Rome"], [2, "Oslo"], [3, None]]
        self.wait(good)
        for rows, message in (("1,Rome,much\n", "much"), ("1,a,1\n1,b,1\n", "more than one row (id) = (1)"),
                              (",nothing,1\n", "must not be NULL")):
            self.write(rows)
            self.wait(True, lambda server: message in ((self.error(server) or {}).get("message", "")))
            self.assertEqual(sorted(self.server.rows("names")), good)
        (self.files / "cities.csv").write_text("")
        self.wait(True, lambda server: "is empty" in ((self.error(server) or {}).get("message", "")))
        self.assertEqual(sorted(self.server.rows("names")), good)
        (self.files / "cities.csv").unlink()
        self.wait(True, lambda server: "there is no file" in ((self.error(server) or {}).get("message", "")))
        self.write("7,Ulm,1\n")
        self.wait([[7, "Ulm"]])
        self.assertIsNone(self.error(self.server))

    def test_nobody_else_writes_it(self):
        self.wait([[1, "Rome"], [2, "Oslo"], [3, None]])
        self.assertEqual(self.server.sql("DELETE FROM cities").status, 403)
        self.assertEqual(self.server.request("POST", "/v1/tables/cities/rows", '{"id": 1}').status, 403)

    def test_json_and_parquet_and_copy_on_the_server(self):
        (self.files / "a.json").write_text('{"id": 1, "name": "x", "tags": ["u", "v"], "more": 1}\n{"id": 2}\n')
        (self.files / "b.parquet").write_bytes(self.server.sql("SELECT 1 AS id, 1.5 AS x UNION ALL SELECT 2, 2", "?format=parquet").body)
        self.assertEqual(self.server.sql("CREATE TABLE a (id INTEGER PRIMARY KEY, name VARCHAR, tags VARCHAR[]) WITH (source = 'a.json')").status, 200)
        self.assertEqual(self.server.sql("CREATE TABLE b (id INTEGER PRIMARY KEY, x DOUBLE) WITH (source = 'b.parquet', refresh = '1 hour')").status, 200)
        self.wait([[1, "x", ["u", "v"]], [2, None, None]], lambda server: server.sql("SELECT * FROM a ORDER BY id").json["rows"])
        self.wait([[1, 1.5], [2, 2.0]], lambda server: server.sql("SELECT * FROM b ORDER BY id").json["rows"])
        self.server.sql("CREATE TABLE c (id INTEGER PRIMARY KEY, name VARCHAR, x DOUBLE)")
        self.assertEqual(self.server.sql("COPY c FROM 'cities.csv'").json["rows"], [[3]])
        self.assertEqual(self.server.sql("COPY c (id, x) FROM 'b.parquet'").json["rows"], [[2]])
        self.assertEqual(self.server.sql("SELECT * FROM c ORDER BY id").json["rows"],
                         [[1, None, 1.5], [2, None, 2.0], [3, None, None]])
        (self.files / "out").symlink_to("/etc")
        self.assertEqual(self.server.sql("COPY c FROM 'out/passwd' (FORMAT csv)").status, 403)


if __name__ == "__main__":
    unittest.main()
