"""Answers that fail, that are large, and that nobody takes: what is seen of them, and what they cost others."""

import http.client
import io
import itertools
import json
import os
import signal
import socket
import threading
import time
import unittest
import urllib.parse

from weir_server import ServerTest, WeirServer

FORMATS = ["json", "ndjson", "csv", "arrow", "parquet"]
# Fails in a late row: more than a megabyte of any format comes before it.
LATE = "SELECT CASE WHEN i = 900000 THEN ('x' || i)::BIGINT ELSE i END AS n FROM range(1000000) t(i)"


def resident_kb(pid, line="VmRSS"):
    """Of memory; VmHWM: the most there was of it."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(found.split()[1]) for found in status if found.startswith(line))


class AnswersThatFail(ServerTest):
    def test_more_rows_than_the_limit_is_an_error_in_every_format(self):
        for form in FORMATS:
            answer = self.server.sql("SELECT * FROM range(1000001)", f"?format={form}")
            self.assertEqual((answer.status, answer.code), (422, "limit_exceeded"), form)
            answer = self.server.sql("SELECT * FROM range(11)", f"?format={form}&rows_max=10")
            self.assertEqual((answer.status, answer.code), (422, "limit_exceeded"), form)
            answer = self.server.sql("SELECT * FROM range(10)", f"?format={form}&rows_max=10")
            self.assertEqual(answer.status, 200, form)

    def test_an_error_in_a_late_row_is_an_error_in_every_format(self):
        for form in FORMATS:
            answer = self.server.sql(LATE, f"?format={form}")
            self.assertEqual(answer.status, 422, form)
            self.assertIn("x900000", answer.json["error"]["message"], form)

    def test_a_large_answer_is_whole_and_has_its_length(self):
        answer = self.server.sql("SELECT * FROM range(1000000)", "?format=csv")
        self.assertEqual(answer.status, 200)
        self.assertEqual(int(answer.headers["Content-Length"]), len(answer.body))
        lines = answer.body.decode().split("\r\n")
        self.assertEqual((lines[1], lines[-2], len(lines)), ("0", "999999", 1_000_002))

    def test_a_limit_leaves_out_and_says_so(self):
        for form in ["json", "ndjson", "csv"]:
            answer = self.server.sql("SELECT * FROM range(3000000)", f"?format={form}&limit=5000")
            self.assertEqual((answer.status, answer.headers["Weir-More"]), (200, "true"), form)
            rows = {"json": lambda body: len(json.loads(body)["rows"]), "ndjson": lambda body: body.count(b"\n"),
                    "csv": lambda body: body.count(b"\n") - 1}[form](answer.body)
            self.assertEqual(rows, 5000, form)
        self.assertTrue(self.server.sql("SELECT * FROM range(11)", "?limit=10").json["more"])
        self.assertNotIn("more", self.server.sql("SELECT * FROM range(10)", "?limit=10").json)
        self.assertIsNone(self.server.sql("SELECT * FROM range(10)", "?limit=10").headers["Weir-More"])
        self.assertEqual(self.server.sql("SELECT 1", "?limit=1&format=parquet").code, "invalid_request")

    def test_a_limit_on_a_view_that_is_read_as_it_is(self):
        self.server.post("events", [{"event_name": f"name {i:03}", "n": i} for i in range(100)])
        answer = self.server.sql("FROM by_name", "?limit=7").json
        self.assertEqual((len(answer["rows"]), answer["more"]), (7, True))
        answer = self.server.sql("FROM by_name LIMIT 5", "?limit=7").json
        self.assertEqual((len(answer["rows"]), "more" in answer), (5, False))
        answer = self.server.sql("FROM total", "?limit=1").json
        self.assertNotIn("more", answer)

    def test_the_command_line_says_that_an_answer_failed(self):
        for form in ["box", "csv", "json"]:
            for sql in ["SELECT * FROM range(1000001)", LATE]:
                run = self.server.run("sql", "--url", self.server.url, "--format", form, "-c", sql)
                self.assertEqual((run.returncode, run.stdout), (1, ""), (form, run.stderr))
                self.assertRegex(run.stderr, r"more than 1000000 rows|x900000", form)

    def test_times_without_end_are_the_longest_there_is(self):
        for timeout in ["9999999999999999999", "9223372036854775807", "9223372036854776"]:
            answer = self.server.sql("SELECT 1", f"?timeout_ms={timeout}")
            self.assertEqual(answer.status, 200, answer.body)


class Sums(ServerTest):
    """The same in a view, as a question and in what is verified."""

    ROUNDED = ("SELECT g, round(avg(p), 2) AS a, sum(p)::DECIMAL(18, 1) AS d, floor(sum(p) * 100) AS f FROM prices "
               "GROUP BY g")
    PROJECT = f"""
CREATE STREAM prices (g INTEGER, p DOUBLE);
CREATE MATERIALIZED VIEW rounded AS {ROUNDED};
CREATE TABLE wide (id INTEGER PRIMARY KEY, v DECIMAL(38, 2));
"""

    def test_of_floats_that_are_rounded(self):
        # Added up one after the other they come to a little more or less than 494.86, as the order is.
        orders = list(itertools.permutations([129.1, 144.69, 135.7, 85.37]))
        rows = [{"g": g, "p": p} for g, order in enumerate(orders) for p in order]
        offset = self.server.post("prices", rows).json["offset"]
        kept = sorted(self.server.rows("rounded", wait_for=offset))
        self.assertEqual(kept, [[g, 123.72, 494.9, 49486] for g in range(len(orders))])
        self.assertEqual(self.server.sql(self.ROUNDED + " ORDER BY g").json["rows"], kept)
        verified = self.server.run("verify", "--url", self.server.url)
        self.assertEqual(verified.returncode, 0, verified.stdout)
        self.assertIn("rounded: equal", verified.stdout)

    def test_of_wide_decimals_fit_or_fail(self):
        nines = "9" * 36 + ".99"
        for query in ("SELECT sum(v) AS s FROM wide",
                      f"SELECT sum(v::DECIMAL(38, 2)) AS s FROM (VALUES ({nines}), ({nines})) AS t(v)"):
            self.server.sql(f"INSERT INTO wide VALUES (1, {nines}), (2, {nines})")
            answer = self.server.sql(query)
            self.assertEqual((answer.status, answer.code), (422, "query_failed"), answer.body)
            self.assertIn("does not fit", answer.json["error"]["message"])
        self.server.sql("DELETE FROM wide WHERE id = 2")
        answer = self.server.sql("SELECT sum(v) AS s, sum(-v) AS t FROM wide", "?exact=true")
        self.assertEqual(answer.json["rows"], [[nines, "-" + nines]])


class BrokenAnswers(unittest.TestCase):
    """What clients say of an answer that breaks off, from a server that does only that."""

    def serve(self, answer):
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def run():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    def test_the_command_line_takes_no_half_for_a_whole(self):
        import subprocess
        from weir_server import WEIR
        half = b'{"offset":1,"as_of":"","columns":[{"name":"a","type":"BIGINT"}],"rows":[[1],[2],'
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(half), half)
        sized = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + half
        for answer in [chunked, sized]:
            url = self.serve(answer)
            for form in ["box", "csv", "json"]:
                run = subprocess.run([WEIR, "sql", "--url", url, "--format", form, "-c", "SELECT 1"],
                                     capture_output=True, text=True, timeout=20)
                self.assertNotEqual(run.returncode, 0)
                self.assertEqual(run.stdout, "")
                self.assertIn("broke off", run.stderr)
            run = subprocess.run([WEIR, "sql", "--url", url, "-c", "SUBSCRIBE (SELECT 1)"],
                                 capture_output=True, text=True, timeout=20)
            self.assertNotEqual(run.returncode, 0)


class SlowClients(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer()
        self.addCleanup(self.server.close)

    def ask(self, sql, query="?format=csv"):
        """Sends a question and reads nothing."""
        sock = socket.create_connection((self.server.host, self.server.port))
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = sql.encode()
        sock.sendall(b"POST /v1/sql%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                     % (query.encode(), len(body), body))
        return sock

    def test_downloads_that_nobody_reads_hold_no_query_up(self):
        for _ in range(6):
            self.ask("SELECT i, repeat('x', 100) FROM range(200000) t(i)")
        time.sleep(1)
        started = time.monotonic()
        for _ in range(3):
            self.assertEqual(self.server.sql("SELECT count(*) FROM range(10)").json["rows"], [[10]])
        self.assertLess(time.monotonic() - started, 15)

    def test_a_query_ends_when_its_client_goes(self):
        heavy = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range * b.range % 7 = 3"
        socks = [self.ask(heavy, "?timeout_ms=600000") for _ in range(20)]
        time.sleep(0.5)
        for sock in socks:
            sock.close()
        started = time.monotonic()
        self.assertEqual(self.server.sql("SELECT 1").status, 200)
        self.assertLess(time.monotonic() - started, 15)

    def test_answers_that_nobody_reads_do_not_fill_the_memory(self):
        rows = [{"event_name": f"{i:06}" + "x" * 200, "n": i} for i in range(40_000)]
        for start in range(0, len(rows), 10_000):
            self.server.post("events", rows[start:start + 10_000])
        self.total_is_there()
        size = len(self.server.get("/v1/views/by_name").body)
        self.assertGreater(size, 8_000_000)
        before = resident_kb(self.server.process.pid)
        refused = 0
        socks = []
        for _ in range(120):
            sock = socket.create_connection((self.server.host, self.server.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(b"GET /v1/views/by_name HTTP/1.1\r\nHost: x\r\n\r\n")
            socks.append(sock)
        time.sleep(3)
        for sock in socks:
            sock.settimeout(20)
            refused += sock.recv(12) == b"HTTP/1.1 429"
        grown = resident_kb(self.server.process.pid) - before
        for sock in socks:
            sock.close()
        self.assertGreater(refused, 40)
        self.assertLess(grown, 900_000)  # 120 answers are a gigabyte
        self.assertEqual(self.server.get("/healthz").status, 200)

    def test_followers_who_do_not_read_do_not_fill_the_memory(self):
        rows = [{"event_name": f"{i:06}" + "x" * 200, "n": i} for i in range(40_000)]
        for start in range(0, len(rows), 10_000):
            self.server.post("events", rows[start:start + 10_000])
        self.total_is_there()
        size = len(self.server.get("/v1/views/by_name").body)
        self.assertGreater(size, 8_000_000)
        before = resident_kb(self.server.process.pid)
        socks = []
        self.addCleanup(lambda: [sock.close() for sock in socks])
        reader = self.server.events("/v1/views/total/changes", timeout=30)
        self.addCleanup(reader.close)
        reader.next("snapshot")
        for i in range(200):  # from some addresses: one may not have so many
            sock = socket.socket()
            socks.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(30)
            sock.bind((f"127.0.1.{1 + i % 10}", 0))
            sock.connect((self.server.host, self.server.port))
            sock.sendall(b"GET /v1/views/by_name/changes HTTP/1.1\r\nHost: x\r\n\r\n")
            # Each is being told the view when the next one comes, and takes no more than its first bytes.
            taken = b""
            while b"event: snapshot" not in taken:
                self.assertTrue(part := sock.recv(300), taken)
                taken += part
        for i in range(100):  # a thousand rows of the view change each time
            answer = self.server.post("events", rows[i * 390:i * 390 + 1_000])
            self.assertEqual(answer.status, 200, answer.body)
        added = self.server.rows("total", wait_for=answer.json["offset"])[0][0]
        while reader.next("change")[2]["added"][0][0] != added:
            pass
        grown = resident_kb(self.server.process.pid, "VmHWM") - before
        self.assertLess(grown, 600_000)  # 200 copies of the view are 1.8 gigabytes, those of the changes more
        self.assertEqual(self.server.get("/healthz").status, 200)

    def total_is_there(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if (self.server.rows("total")[0][0] or 0) >= 40_000:
                return
            time.sleep(0.05)
        self.fail("the rows are not in the view")

    def test_followers_who_come_while_a_view_changes_have_no_copy_each(self):
        server = WeirServer(options=["--memory-limit", "500MB"])
        self.addCleanup(server.close)
        rows = [{"event_name": f"{i:06}" + "x" * 200, "n": i} for i in range(40_000)]
        for start in range(0, len(rows), 10_000):
            offset = server.post("events", rows[start:start + 10_000]).json["offset"]
        server.rows("total", wait_for=offset)
        before = resident_kb(server.process.pid)
        for i in range(150):
            reader = socket.socket()
            self.addCleanup(reader.close)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(60)
            reader.bind((f"127.0.1.{1 + i % 10}", 0))
            reader.connect((server.host, server.port))
            reader.sendall(b"GET /v1/views/by_name/changes HTTP/1.1\r\nHost: x\r\n\r\n")
            taken = b""
            while b"event: snapshot" not in taken:  # and no more of it
                part = reader.recv(300)
                self.assertNotEqual(part, b"")
                taken += part
            if i % 2:
                at = i * 200 % 39_000
                self.assertEqual(server.post("events", rows[at:at + 1_000]).status, 200)
        self.assertLess(resident_kb(server.process.pid, "VmHWM") - before, 400_000)


class Stopping(unittest.TestCase):
    def test_under_steady_statements_it_ends_within_a_bound(self):
        server = WeirServer()
        self.addCleanup(server.close)
        over = threading.Event()

        def insert():
            while not over.is_set():
                try:
                    server.sql("INSERT INTO events (event_name, n) VALUES ('x', 1)")
                except OSError:
                    return

        threads = [threading.Thread(target=insert) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(30)
        took = time.monotonic() - started
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(code, 0)
        self.assertLess(took, 15)

    def test_a_query_that_runs_does_not_hold_it_up(self):
        server = WeirServer()
        self.addCleanup(server.close)
        heavy = "INSERT INTO events SELECT NULL, NULL, 'x', count(*)::INTEGER FROM range(100000000) a, range(100000) b"
        threading.Thread(target=lambda: self.quiet(server, heavy), daemon=True).start()
        time.sleep(1)
        started = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - started, 15)

    def quiet(self, server, sql):
        try:
            server.sql(sql)
        except (OSError, http.client.HTTPException):
            pass


class Turns(unittest.TestCase):
    """Heavy work of one kind holds no other up."""

    HEAVY = "FROM range(100000000) a, range(1000) b WHERE a.range * b.range % 7 = 3"

    def setUp(self):
        self.server = WeirServer("""
            CREATE STREAM events (name VARCHAR, n BIGINT);
            CREATE TABLE prices (id INTEGER PRIMARY KEY, price BIGINT);
        """)
        self.addCleanup(self.server.close)

    def later(self, sql, query=""):
        def run():
            try:
                self.server.sql(sql, query, timeout=90)
            except (OSError, http.client.HTTPException):
                pass

        threading.Thread(target=run, daemon=True).start()

    def quickly(self, what, seconds=8):
        started = time.monotonic()
        answer = what()
        self.assertEqual(answer.status, 200, answer.body)
        self.assertLess(time.monotonic() - started, seconds)

    def test_heavy_questions_hold_up_no_statement(self):
        for _ in range(4):
            self.later(f"SELECT count(*) {self.HEAVY}", "?timeout_ms=30000")
        time.sleep(0.5)
        self.quickly(lambda: self.server.sql("INSERT INTO prices VALUES (1, 10)"))
        self.quickly(lambda: self.server.sql("UPDATE prices SET price = 11 WHERE id = 1"))

    def test_a_heavy_statement_holds_up_no_producer_and_no_other(self):
        self.later(f"INSERT INTO prices SELECT 5, count(*) {self.HEAVY}")
        time.sleep(0.5)
        self.quickly(lambda: self.server.request("POST", "/v1/tables/prices/rows", '{"id": 2, "price": 20}'), 3)
        self.quickly(lambda: self.server.sql("INSERT INTO prices VALUES (3, 30)"))
        self.quickly(lambda: self.server.sql("SELECT count(*) FROM prices"))

    def test_heavy_recomputed_views_hold_up_neither(self):
        for name in ["heavy_1", "heavy_2"]:
            self.server.sql(f"CREATE MATERIALIZED VIEW {name} AS SELECT count(*) AS c, random() AS r "
                            f"FROM events e, range(100000000) a, range(1000) b WHERE a.range * b.range % 7 = e.n")
        self.server.post("events", [{"name": "x", "n": 3}])
        time.sleep(1)
        self.quickly(lambda: self.server.sql("SELECT count(*) FROM events"))
        self.quickly(lambda: self.server.sql("INSERT INTO prices VALUES (1, 10)"))
        self.quickly(lambda: self.server.sql("DROP VIEW heavy_1"))

    def test_heavy_recomputed_views_hold_up_neither_after_a_restart(self):
        for name in ["heavy_1", "heavy_2"]:
            self.server.sql(f"CREATE MATERIALIZED VIEW {name} AS SELECT count(*) AS c, random() AS r "
                            f"FROM events e, range(100000000) a, range(1000) b WHERE a.range * b.range % 7 = e.n")
        self.server.sql("CREATE MATERIALIZED VIEW light AS SELECT count(*) AS c FROM events")
        self.server.post("events", [{"name": "x", "n": 3}])
        self.server.stop(signal.SIGKILL)
        started = time.monotonic()
        self.server.start_without_views()
        self.assertLess(time.monotonic() - started, 15)
        time.sleep(1)  # until they are at it
        for _ in range(3):
            self.quickly(lambda: self.server.post("events", [{"name": "x", "n": 4}]))
            self.quickly(lambda: self.server.sql("SELECT count(*) FROM events"))
            self.quickly(lambda: self.server.sql("INSERT INTO prices VALUES (1, 10)"))
            self.quickly(lambda: self.server.sql("DELETE FROM prices"))
        offset = self.server.post("events", [{"name": "x", "n": 4}]).json["offset"]
        self.quickly(lambda: self.server.get(f"/v1/views/light?wait_for={offset}"))
        self.assertEqual(self.server.rows("light"), [[5]])
        self.assertEqual(self.server.get("/v1/views/heavy_1").status, 503, "they were not heavy enough")
        self.quickly(lambda: self.server.sql("DROP VIEW heavy_1"))
        self.quickly(lambda: self.server.sql("SELECT count(*) FROM events"))

    def test_what_a_statement_read_is_still_true_when_it_writes(self):
        """Statements read before they hold the table: those that change it meanwhile are seen."""
        self.server.sql("INSERT INTO prices VALUES (1, 0)")
        errors = []

        def add():
            for _ in range(5):
                while (answer := self.server.sql("UPDATE prices SET price = price + 1 WHERE id = 1")).status == 429:
                    time.sleep(0.05)
                if answer.status != 200:
                    errors.append(answer.body)

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.server.sql("SELECT price FROM prices").json["rows"], [[20]])


class SameNames(unittest.TestCase):
    def test_making_and_dropping_one_name_at_once(self):
        server = WeirServer()
        self.addCleanup(server.close)
        over = time.monotonic() + 4
        wrong = []

        def loop(statements):
            while time.monotonic() < over:
                for statement in statements:
                    answer = server.sql(statement)
                    if answer.status >= 500:
                        wrong.append(answer.body)

        threads = [threading.Thread(target=loop, args=(statements,)) for statements in [
            ["CREATE STREAM x (n INTEGER)", "DROP STREAM x"], ["DROP STREAM x", "CREATE STREAM x (n INTEGER)"],
            ["CREATE STREAM IF NOT EXISTS x (n INTEGER)", "DROP STREAM IF EXISTS x"],
            ["DROP STREAM IF EXISTS x", "CREATE STREAM IF NOT EXISTS x (n INTEGER)"]]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertIsNone(server.process.poll())
        for statement in ["CREATE STREAM IF NOT EXISTS x (n INTEGER)", "DROP STREAM IF EXISTS x"]:
            self.assertEqual(server.sql(statement).status, 200)


if __name__ == "__main__":
    unittest.main()
