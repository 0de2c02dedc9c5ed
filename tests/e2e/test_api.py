"""The main road: events in, views out, questions, statements, restarts."""

import gzip
import http.client
import json
import random
import re
import signal
import time
import unittest
import urllib.parse
import uuid

from weir_server import PROJECT_SQL, ROOT, ServerTest, WeirServer


class Ingest(ServerTest):
    def test_ndjson_json_and_csv(self):
        before = self.total()
        post = self.server.post
        self.assertEqual(post("events", '{"event_name": "a"}\n{"event_name": "b"}\n').json["accepted"], 2)
        self.assertEqual(post("events", '[{"event_name": "a"}, {"event_name": "b"}]',
                              {"Content-Type": "application/json"}).json["accepted"], 2)
        self.assertEqual(post("events", '{"event_name": "a"}', {"Content-Type": "application/json"}).json["accepted"], 1)
        answer = post("events", 'event_name,n\n"a, quoted",1\nb,\n', {"Content-Type": "text/csv"}).json
        self.assertEqual(answer["accepted"], 2)
        self.assertEqual(self.server.rows("total", wait_for=answer["offset"])[0][0], before + 7)

    def test_gzip(self):
        body = gzip.compress(b'{"event_name": "zipped"}\n' * 1000)
        self.assertEqual(self.server.post("events", body, {"Content-Encoding": "gzip"}).json["accepted"], 1000)

    def test_the_name_of_an_encoding_has_no_case(self):
        body = gzip.compress(b'{"event_name": "zipped"}\n')
        for name in ("GZIP", "x-gzip"):
            self.assertEqual(self.server.post("events", body, {"Content-Encoding": name}).json["accepted"], 1)

    def test_a_chunked_body(self):
        answer = self.server.raw(b"POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\n17\r\n{\"event_name\": \"chunk\"}\r\n0\r\n\r\n")
        self.assertIn(b'"accepted":1', answer)

    def test_two_requests_at_once_on_one_connection(self):
        request = b'POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n%s\r\n{"event_name": "p"}'
        answer = self.server.raw(request % b"" + request % b"Connection: close\r\n")
        self.assertEqual(answer.count(b'"accepted":1'), 2)

    def test_expect_100_continue(self):
        answer = self.server.raw(b'POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                                 b'Expect: 100-continue\r\nContent-Length: 19\r\n\r\n{"event_name": "e"}')
        self.assertIn(b"100 Continue", answer)
        self.assertIn(b'"accepted":1', answer)

    def test_a_retried_body_counts_once(self):
        before = self.total()
        key = {"Idempotency-Key": str(uuid.uuid4())}
        first = self.server.post("events", [{"event_name": "once"}], key).json
        second = self.server.post("events", [{"event_name": "once"}], key).json
        self.assertEqual(first, second)
        self.assertEqual(self.server.rows("total", wait_for=first["offset"])[0][0], before + 1)

    def test_the_same_key_of_an_event_twice_counts_once(self):
        row = [{"id": str(uuid.uuid4()), "n": 1}]
        self.assertEqual(self.server.post("keyed", row).json["accepted"], 1)
        again = self.server.post("keyed", row + row).json
        self.assertEqual((again["accepted"], again["duplicates"]), (0, 2))


class Restarts(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer()
        self.addCleanup(self.server.close)

    def check(self, how):
        key = {"Idempotency-Key": "before"}
        first = self.server.post("events", [{"event_name": "a", "n": 5}], key).json
        self.server.post("keyed", [{"id": "k", "n": 1}])
        self.server.sql("CREATE MATERIALIZED VIEW mine AS SELECT max(n) AS m FROM events")
        self.server.restart(how)
        self.assertEqual(self.server.post("events", [{"event_name": "a", "n": 5}], key).json, first)
        self.assertEqual(self.server.post("keyed", [{"id": "k", "n": 1}]).json["duplicates"], 1)
        offset = self.server.post("events", [{"event_name": "b", "n": 6}]).json["offset"]
        self.assertEqual(self.server.rows("total", wait_for=offset), [[2, 11]])
        self.assertEqual(self.server.rows("mine", wait_for=offset), [[6]])
        self.assertEqual(self.server.run("verify", "--url", self.server.url).returncode, 0)

    def test_a_clean_one_keeps_everything_once(self):
        self.check(signal.SIGTERM)

    def test_sigkill_keeps_everything_once(self):
        self.check(signal.SIGKILL)

    def test_a_second_process_on_the_same_data_is_refused(self):
        second = self.server.run("serve", str(self.server.project), "--data", str(self.server.folder / "data"),
                                 "--listen", "127.0.0.1:0")
        self.assertEqual(second.returncode, 1)
        self.assertIn("another", second.stderr + second.stdout)

    def test_a_changed_project_is_applied_and_said(self):
        self.server.post("events", [{"event_name": "a", "n": 5}])
        project = self.server.project / "project.sql"
        project.write_text(project.read_text().replace("SELECT count(*) AS events, sum(n) AS n", "SELECT sum(n) AS n")
                           + "CREATE MATERIALIZED VIEW fresh AS SELECT count(*) AS c FROM events;\n")
        self.server.restart()
        said = "\n".join(self.server.lines)
        self.assertIn("fresh", said)
        self.assertIn("total", said)
        deadline = time.monotonic() + 10
        while self.server.get("/readyz").status != 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.server.rows("total"), [[5]])
        self.assertEqual(self.server.rows("fresh"), [[1]])


class Views(ServerTest):
    def setUp(self):
        self.offset = self.server.post("events", [{"event_name": "v", "n": 2}, {"event_name": "w"}]).json["offset"]

    def test_as_json_and_csv(self):
        answer = self.server.get(f"/v1/views/by_name?wait_for={self.offset}&event_name=v").json
        self.assertEqual([column["name"] for column in answer["columns"]], ["event_name", "events"])
        self.assertEqual(answer["rows"][0][0], "v")
        self.assertGreaterEqual(answer["offset"], self.offset)
        self.assertRegex(answer["as_of"], r"^\d{4}-\d\d-\d\dT.*Z$")
        csv = self.server.get("/v1/views/by_name?format=csv").body.decode().splitlines()
        self.assertEqual(csv[0], "event_name,events")

    def test_by_a_column_that_has_nulls(self):
        self.server.sql("CREATE MATERIALIZED VIEW by_n AS SELECT n, count(*) AS events FROM events GROUP BY n")
        self.server.wait_live("by_n")
        rows = self.server.rows("by_n", wait_for=self.offset)
        self.assertIn(None, [row[0] for row in rows])
        twos = [row for row in rows if row[0] == 2]
        self.assertEqual(self.server.rows("by_n", query="&n=2"), twos)
        self.assertEqual(self.server.sql("SELECT * FROM by_n WHERE n = 2").json["rows"], twos)
        self.assertEqual(self.server.sql("SELECT * FROM by_n WHERE n = 99999999999").json["rows"], [])
        self.server.sql("DROP VIEW by_n")

    def test_exact_numbers_are_strings(self):
        self.assertIsInstance(self.server.rows("total", query="&exact=true")[0][0], str)
        self.assertIsInstance(self.server.rows("total")[0][0], int)

    def test_a_recomputed_one_is_waited_for_and_asked_at_the_position_of_the_rest(self):
        self.server.sql("CREATE MATERIALIZED VIEW today AS SELECT count(*) AS n, now()::DATE AS day FROM events")
        self.addCleanup(self.server.sql, "DROP VIEW today")
        deadline = time.monotonic() + 20
        while self.server.get("/v1/views/today").status != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        for _ in range(3):
            offset = self.server.post("events", [{"event_name": "r"}]).json["offset"]
            answer = self.server.get(f"/v1/views/today?wait_for={offset}").json
            self.assertGreaterEqual(answer["offset"], offset)
        self.server.post("events", [{"event_name": "r"}])
        for sql in ("SELECT today.n - (SELECT count(*) FROM events) FROM today",
                    "SELECT today.n - total.events FROM today, total"):
            self.assertEqual(self.server.sql(sql).json["rows"], [[0]])
        self.server.post("events", [{"event_name": "r"}])
        kept = self.server.sql("SELECT * FROM today").json["rows"][0][0]
        self.assertEqual(kept, self.server.sql("SELECT count(*) FROM events").json["rows"][0][0])

    def test_who_comes_back_from_a_position_that_is_not_there_gets_a_snapshot(self):
        stream = self.server.events("/v1/views/total/changes", {"Last-Event-ID": "999999999"})
        self.addCleanup(stream.close)
        self.assertEqual(stream.next()[0], "snapshot")

    def test_json_of_several_lines_stays_one_line(self):
        self.server.sql("CREATE STREAM documents (d JSON)")
        self.addCleanup(self.server.sql, "DROP STREAM documents CASCADE")
        self.server.sql("CREATE MATERIALIZED VIEW kept AS SELECT d FROM documents")
        self.server.wait_live("kept")
        offset = self.server.post("documents", '[{"d": {\n  "a":\n 1\n}}]', {"Content-Type": "application/json"}).json["offset"]
        lines = self.server.get(f"/v1/views/kept?format=ndjson&wait_for={offset}").body.splitlines()
        self.assertEqual([json.loads(line) for line in lines], [{"d": {"a": 1}}])
        stream = self.server.events("/v1/views/kept/changes")
        self.addCleanup(stream.close)
        self.assertEqual(stream.next("snapshot")[2]["rows"], [[{"a": 1}]])

    def test_an_unknown_one(self):
        answer = self.server.get("/v1/views/totl")
        self.assertEqual((answer.status, answer.code), (404, "unknown_view"))
        self.assertIn("total", answer.json["error"]["hint"])

    def test_changes_arrive_and_can_be_resumed(self):
        stream = self.server.events(f"/v1/views/total/changes?wait_for={self.offset}")
        self.addCleanup(stream.close)
        _, identity, snapshot = stream.next("snapshot")
        before = snapshot["rows"][0]
        offset = self.server.post("events", [{"event_name": "c", "n": 3}]).json["offset"]
        _, _, change = stream.next("change")
        self.assertEqual(change["removed"], [before])
        self.assertEqual(change["added"], [[before[0] + 1, before[1] + 3]])
        self.assertGreaterEqual(change["offset"], offset)
        resumed = self.server.events("/v1/views/total/changes", {"Last-Event-ID": identity})
        self.addCleanup(resumed.close)
        event, _, missed = resumed.next()
        if event == "change":
            self.assertEqual(missed["added"], change["added"])
        else:
            self.assertEqual(missed["rows"], change["added"])

    def test_several_on_one_connection(self):
        stream = self.server.events("/v1/live?views=total,by_name")
        self.addCleanup(stream.close)
        names = {stream.next("snapshot")[2]["view"] for _ in range(2)}
        self.assertEqual(names, {"total", "by_name"})
        self.assertIn(stream.next("status")[2]["state"], ("live", "filling", "behind"))

    def test_a_slow_reader_delays_nobody(self):
        slow = self.server.events("/v1/views/by_name/changes")
        self.addCleanup(slow.close)
        for i in range(30):
            rows = [{"event_name": f"{i}-{j}-" + "x" * 200} for j in range(200)]
            offset = self.server.post("events", rows).json["offset"]
        started = time.monotonic()
        self.server.rows("total", wait_for=offset)
        self.assertLess(time.monotonic() - started, 2)


class Sql(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.post("events", [{"event_name": "a", "n": i} for i in range(100)])

    def test_a_query_sees_the_last_event(self):
        offset = self.server.post("events", [{"event_name": "latest", "n": 1}]).json["offset"]
        answer = self.server.sql("SELECT count(*) FROM events WHERE event_name = 'latest'").json
        self.assertEqual(answer["rows"], [[1]])
        self.assertGreaterEqual(answer["offset"], offset)

    def test_parameters(self):
        answer = self.server.request("POST", "/v1/sql", json.dumps({"sql": "SELECT $1 + 1 AS x, $2 AS y", "params": [41, "a"]}),
                                     {"Content-Type": "application/json"}).json
        self.assertEqual(answer["rows"], [[42, "a"]])

    def test_every_format(self):
        query = "SELECT 1 AS x, 'a' AS y"
        self.assertEqual(self.server.sql(query, "?format=csv").body.decode().splitlines(), ["x,y", "1,a"])
        self.assertEqual(json.loads(self.server.sql(query, "?format=ndjson").body), {"x": 1, "y": "a"})
        self.assertEqual(self.server.sql(query, "?format=parquet").body[:4], b"PAR1")
        self.assertGreater(len(self.server.sql(query, "?format=arrow").body), 100)

    def test_an_error_shows_the_place(self):
        answer = self.server.sql("SELECT no_such FROM events")
        self.assertEqual((answer.status, answer.code), (400, "invalid_sql"))
        self.assertIn("no_such", answer.json["error"]["message"] + answer.json["error"]["hint"])

    def test_it_is_shut_in(self):
        for query in ("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'",
                      "COPY (SELECT 1) TO '/tmp/weir-out.csv'", "INSTALL httpfs", "LOAD httpfs",
                      "SET memory_limit = '100GB'", "ATTACH '/tmp/x.db'", "SELECT getenv('HOME')",
                      "SELECT * FROM read_parquet('http://127.0.0.1:1/x')", "CREATE TABLE t (a INTEGER)",
                      "SELECT * FROM glob('/*')", "PRAGMA database_list", "CALL pragma_version(); DROP STREAM events"):
            answer = self.server.sql(query)
            self.assertGreaterEqual(answer.status, 400, query + " said " + answer.body[:200].decode())
        self.assertEqual(self.server.sql("SELECT count(*) FROM events").status, 200)

    def test_views_and_their_plans_are_shut_in_too(self):
        for query in ("SELECT * FROM duckdb_settings()", "SELECT current_setting('threads') AS x",
                      "SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM information_schema.tables"):
            for statement in ("CREATE MATERIALIZED VIEW spy AS ", "CREATE VIEW spy AS ", "EXPLAIN "):
                answer = self.server.sql(statement + query)
                self.assertEqual((answer.status, answer.code), (403, "forbidden"), statement + query)

    def test_a_name_given_by_with_does_not_open_the_batch_engines_own(self):
        answer = self.server.sql("SELECT * FROM duckdb_views, (WITH duckdb_views AS (SELECT 1) SELECT * FROM duckdb_views) x")
        self.assertEqual((answer.status, answer.code), (400, "invalid_sql"))

    def test_a_query_that_does_not_parse_shows_the_place(self):
        error = self.server.sql("SELECT 1,\n  2 FRM x y z").json["error"]
        self.assertRegex(error["message"], r"^2:\d+: ")
        self.assertTrue(error["hint"].endswith("^"), error)

    def test_a_query_that_takes_too_long(self):
        started = time.monotonic()
        answer = self.server.sql("SELECT count(*) FROM range(100000000000) a", "?timeout_ms=300")
        self.assertEqual((answer.status, answer.code), (408, "timeout"))
        self.assertLess(time.monotonic() - started, 5)

    def test_a_query_that_wants_too_much_memory_costs_only_itself(self):
        answer = self.server.sql("SELECT list(a ORDER BY hash(a)) FROM range(400000000) t(a)", "?timeout_ms=20000")
        self.assertGreaterEqual(answer.status, 400)
        self.assertEqual(self.server.sql("SELECT 1").status, 200)

    def test_more_rows_than_asked_for(self):
        answer = self.server.sql("SELECT * FROM range(1000)", "?rows_max=10")
        self.assertEqual((answer.status, answer.code), (422, "limit_exceeded"))

    def test_statements_are_run_and_shown(self):
        self.assertEqual(self.server.sql("CREATE STREAM made (x INTEGER)").status, 200)
        self.assertEqual(self.server.sql("CREATE MATERIALIZED VIEW of_made AS SELECT count(*) AS n FROM made").status, 200)
        self.assertIn("of_made", self.server.sql("SHOW VIEWS").body.decode())
        self.assertIn("incremental", self.server.sql("EXPLAIN of_made").body.decode())
        self.assertEqual(self.server.sql("DROP STREAM made").code, "in_use")
        self.assertEqual(self.server.sql("DROP STREAM made CASCADE").status, 200)


class HttpApi(ServerTest):
    def test_a_time_out_is_a_number_also_where_nothing_is_waited_for(self):
        for path in ("/v1/views/total", "/v1/views/total/errors", "/v1/views/total/changes", "/v1/live?views=total",
                     "/v1/subscribe?query=SELECT+1"):
            for value in ("", "x", "-1", "1.5", "1" + "0" * 30):
                with self.subTest(path + value):
                    stream = self.server.events(path + ("&" if "?" in path else "?") + "timeout_ms=" + value)
                    self.addCleanup(stream.close)
                    self.assertEqual(stream.response.status, 400)

    def test_health_and_readiness(self):
        self.assertEqual(self.server.get("/healthz").status, 200)
        self.assertEqual(self.server.get("/readyz").status, 200)

    def test_metrics_are_prometheus_text(self):
        answer = self.server.get("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        for line in answer.body.decode().splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [-+0-9.eInfNa]+)$')

    def test_queries_and_their_workers_are_counted(self):
        def figures():
            text = self.server.get("/metrics").body.decode()
            return {name: int(value) for name, value in re.findall(r"^weir_(quer\w+) (\d+)$", text, re.M)}

        def await_figures(holds):
            deadline = time.monotonic() + 60
            while not holds(now := figures()):
                self.assertLess(time.monotonic(), deadline, now)
                time.sleep(0.02)

        before = figures()
        self.assertEqual(set(before), {"queries_total", "queries_failed_total", "queries_waiting", "query_workers"})
        self.assertEqual(self.server.sql("SELECT 1").status, 200)
        self.assertGreaterEqual(self.server.sql("SELECT error('no')").status, 400)
        await_figures(lambda now: now["queries_total"] == before["queries_total"] + 2
                      and now["queries_failed_total"] == before["queries_failed_total"] + 1)
        # More at once than there are workers for, until whoever asked goes away.
        asked = [http.client.HTTPConnection(self.server.host, self.server.port) for _ in range(8)]
        for connection in asked:
            connection.request("POST", "/v1/sql", "SELECT sum(hash(a, b)) FROM range(1000000) t(a), range(1000000) u(b)",
                               {"Content-Type": "text/plain"})
        await_figures(lambda now: now["queries_waiting"] > 0 and now["query_workers"] >= 1)
        for connection in asked:
            connection.close()
        await_figures(lambda now: now["queries_waiting"] == 0)
        self.assertEqual(self.server.sql("SELECT 1").status, 200)

    def test_the_catalog(self):
        self.server.post("events", [{"event_name": "x"}])
        catalog = self.server.get("/v1/catalog").json
        self.assertEqual({view["name"] for view in catalog["views"]}, {"total", "by_name", "keyed_total"})
        events = next(stream for stream in catalog["streams"] if stream["name"] == "events")
        self.assertGreaterEqual(events["rows"], 1)

    def test_the_layout_is_kept(self):
        self.assertEqual(self.server.request("PUT", "/v1/layout", '{"tiles": [1]}', {"Content-Type": "application/json"}).status, 200)
        self.server.restart(signal.SIGKILL)
        self.assertEqual(self.server.get("/v1/layout").json, {"tiles": [1]})

    def test_nobody_writes_over_a_layout_that_has_changed_since(self):
        put = lambda body, **headers: self.server.request(
            "PUT", "/v1/layout", body, {"Content-Type": "application/json", **headers})
        put('{"by": "nobody"}')
        tag = self.server.get("/v1/layout").headers["ETag"]
        first = put('{"by": "one"}', **{"If-Match": tag})
        self.assertEqual(first.status, 200)
        late = put('{"by": "another"}', **{"If-Match": tag})
        self.assertEqual(late.status, 412)
        self.assertIn("changed", late.json["error"]["message"])
        self.assertEqual(self.server.get("/v1/layout").json, {"by": "one"})
        self.assertEqual(put('{"by": "another"}', **{"If-Match": first.headers["ETag"]}).status, 200)
        self.assertEqual(self.server.get("/v1/layout").json, {"by": "another"})

    def test_every_answer_has_a_date(self):
        for path in ("/healthz", "/v1/nothing", "/"):
            self.assertIn("GMT", self.server.get(path).headers["Date"] or "", path)

    def test_the_page_comes_compressed_and_confined(self):
        answer = self.server.get("/", {"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertIn(b"<!doctype html>", gzip.decompress(answer.body).lower())
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(self.server.get("/no-such-page").status, 404)

    def test_openapi_describes_every_route_and_no_other(self):
        described = set()
        for path, methods in self.server.get("/v1/openapi.json").json["paths"].items():
            for method in methods:
                described.add((method.upper(), re.sub(r"\{\w+\}", "total", path)))
        self.assertIn(("POST", "/v1/sql"), described)
        for method, path in described:
            other = {"GET": "PATCH", "POST": "GET", "PUT": "PATCH", "DELETE": "GET"}[method]
            if method == "GET" and not path.endswith("changes") and path != "/v1/live":
                self.assertNotEqual(self.server.get(path).status, 404, path)
            if (other, path) not in described:
                self.assertEqual(self.server.request(other, path).status, 405, (other, path))
        sources = "".join(file.read_text() for file in (ROOT / "src" / "server" / "rest").glob("*.cc"))
        for path in set(re.findall(r'"(/(?:v1/[\w{}/.]+|healthz|readyz|metrics))"', sources)):
            self.assertIn(re.sub(r"\{\w+\}", "total", path), {path for _, path in described})


class Described(ServerTest):
    """What /v1/openapi.json says, asked of the server: nothing that it allows is a fault of the server."""

    PROJECT = PROJECT_SQL + "CREATE TABLE prices (id INTEGER PRIMARY KEY, price INTEGER);"
    TEXTS = ["", "x", "events", "total", "SELECT 1 AS x", "SELECT count(*) FROM events", "SELECT $1", "events,total",
             '{"event_name": "x", "id": 1}', "[1, {", "id,n\r\n1,2\r\n", "na\u00efve \u2603", "'; \"%\\", "y" * 2_000]
    NAMES = {"streams": ["events", "keyed", "strict"], "tables": ["prices"], "views": ["total", "by_name"]}
    SQL = ("/v1/sql", "/v1/subscribe")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.description = cls.server.get("/v1/openapi.json").json
        cls.operations = [(method.upper(), path, operation) for path, methods in cls.description["paths"].items()
                          for method, operation in methods.items()]
        reference = (ROOT / "docs" / "reference" / "http-api.md").read_text()
        cls.codes = {status: set(re.findall(r"`([a-z_]+)`", told))  # of errors, by their status
                     for found, told in re.findall(r"^\| ([45]\d\d(?:, \d+)*) \|(.*)$", reference, re.M)
                     for status in map(int, found.split(", "))}

    def setUp(self):
        self.dice = random.Random(11)

    def schema(self, schema):
        return self.description["components"]["schemas"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema

    def value(self, schema, depth=0):
        """One that the schema allows."""
        schema, dice = self.schema(schema), self.dice
        if "oneOf" in schema:
            return self.value(dice.choice(schema["oneOf"]), depth)
        if "enum" in schema:
            return dice.choice(schema["enum"])
        kind = schema.get("type") or dice.choice(["null", "boolean", "integer", "number", "string"] +
                                                 ["array", "object"] * (depth < 3))
        if kind == "array":
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(dice.randrange(4))]
        if kind == "object":
            known = {name: part for name, part in schema.get("properties", {}).items()
                     if name in schema.get("required", ()) or dice.random() < 0.5}
            free = {name: {} for name in ("event_name", "id", "n", "price") if not known and dice.random() < 0.5}
            return {name: self.value(part, depth + 1) for name, part in {**known, **free}.items()}
        if kind == "integer":
            return dice.choice([0, 1, 7, 1_000, schema.get("minimum", -1), schema.get("maximum", 1 << 31)])
        return {"null": None, "boolean": dice.random() < 0.5, "number": dice.choice([0.5, -1e300]),
                "string": dice.choice(self.TEXTS)}[kind]

    def fits(self, value, schema, where="the answer"):
        schema = self.schema(schema)
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
        self.assertIsInstance(value, kinds.get(schema.get("type"), object), where)
        for name in schema.get("required", ()):
            self.assertIn(name, value, where)
        if isinstance(value, dict):
            for name, part in schema.get("properties", {}).items():
                if name in value:
                    self.fits(value[name], part, f"{where}.{name}")
        elif isinstance(value, list):
            for part in value:
                self.fits(part, schema.get("items", {}), f"{where}[]")

    def make(self, path, operation, fitting):
        """What such a request may have; `fitting`: names and statements that there are."""
        taken = [part for part in operation["parameters"] if part["required"] or self.dice.random() < 0.4]
        given = {(part["in"], part["name"]): self.value(part["schema"]) for part in taken}
        for where, name in given:
            if where == "path":
                there = self.NAMES[path.split("/")[2]]
                others = ["nobody", "na\u00efve \u2603", "a/b", "\0", "z" * 300, *sum(self.NAMES.values(), [])]
                given[where, name] = self.dice.choice(there if fitting else others)
            elif fitting and name == "query":
                given[where, name] = "SELECT count(*) FROM events"
            elif fitting and name in ("view", "views"):
                given[where, name] = "total"
        if ("query", "wait_for") in given:  # nobody waits long for what does not come
            given["query", "timeout_ms"] = self.dice.choice([0, 1, 50])
        elif fitting and ("query", "timeout_ms") in given:
            given["query", "timeout_ms"] = 10_000
        kind, body = None, None
        if content := operation.get("requestBody", {}).get("content"):
            kind = self.dice.choice(sorted(content))
            body = self.value(content[kind].get("schema", {}))
            if fitting and path in self.SQL:
                question = {"sql": "SELECT $1 AS x", "params": [self.value({})]}
                body = "SELECT 1 AS x" if kind == "text/plain" else question
            body = json.dumps(body) if kind == "application/json" else body
        return given, kind, body

    def send(self, method, path, given, kind=None, body=None):
        """Status, type and body of the answer; what goes on without an end is not read."""
        for (where, name), value in given.items():
            if where == "path":
                path = path.replace("{%s}" % name, urllib.parse.quote(value, safe=""))
        query = urllib.parse.urlencode([(name, value) for (where, name), value in given.items() if where == "query"])
        headers = {name: value.replace("\r\n", " ").encode() for (where, name), value in given.items()
                   if where == "header"}
        headers.update({"Content-Type": kind} if kind else {})
        body = body.encode() if isinstance(body, str) else body
        if b"gzip" in headers.get("Content-Encoding", b""):
            body = gzip.compress(body or b"")
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        try:
            connection.request(method, path + ("?" + query if query else ""), body, headers)
            response = connection.getresponse()
            kind = response.headers.get_content_type()
            return response.status, kind, b"" if kind == "text/event-stream" else response.read()
        finally:
            connection.close()

    def check_error(self, status, kind, body):
        self.assertTrue(400 <= status < 500, (status, body[:300]))
        self.assertEqual(kind, "application/json")
        self.fits(json.loads(body), {"$ref": "Error"})
        self.assertIn(json.loads(body)["error"]["code"], self.codes.get(status, ()), (status, body[:300]))

    def test_what_is_allowed_is_answered_as_it_says(self):
        answered = set()
        for method, path, operation in self.operations:
            content = operation["responses"]["200"]["content"]
            for i in range(24):
                given, kind, body = self.make(path, operation, fitting=i % 2 == 0)
                asked = f"{method} {path} {given} {kind} {body}"[:1000]
                with self.subTest(asked):
                    status, answer_kind, answer = self.send(method, path, given, kind, body)
                    if status != 200:
                        self.check_error(status, answer_kind, answer)
                        continue
                    answered.add((method, path))
                    self.assertIn(answer_kind, content)
                    if answer_kind == "application/json":
                        self.fits(json.loads(answer), content[answer_kind].get("schema", {}))
        self.assertEqual({(method, path) for method, path, _ in self.operations} - answered, set(), "never answered")
        self.assertIsNone(self.server.process.poll())

    def test_what_is_not_allowed_is_told_so(self):
        for method, path, operation in self.operations:
            fine = lambda: self.make(path, operation, fitting=True)
            for part in operation["parameters"]:
                where, wrong, schema = (part["in"], part["name"]), [], part["schema"]
                if schema.get("type") == "integer":
                    wrong = ["", "-1", "1.5", "x", "1" + "0" * 30]
                elif "enum" in schema:
                    wrong = ["none of them", ",".join(schema["enum"])]
                for value in wrong:
                    given, kind, body = fine()
                    if part["name"] == "timeout_ms" and path != "/v1/sql":  # of what is waited for
                        given["query", "wait_for"] = 0
                    self.refused(method, path, {**given, where: value}, kind, body)
                if part["required"] and part["in"] == "query":
                    given, kind, body = fine()
                    del given[where]
                    self.refused(method, path, given, kind, body)
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if schema and self.schema(schema).get("type") == "object":
                for body in ("", "7", "[1]", '{"sql"', "\xff\xfe"):
                    self.refused(method, path, {}, "application/json", body)

    def refused(self, method, path, given, kind, body):
        with self.subTest(f"{method} {path} {given} {kind} {body}"[:1000]):
            self.check_error(*self.send(method, path, given, kind, body))


class CommandLine(ServerTest):
    def test_commands_of_the_prompt_in_a_script(self):
        ran = self.server.run("sql", "--url", self.server.url, stdin="SELECT 41 + 1;\n\\d\n\\d events\n\\d nope\nSELECT 7;\n")
        self.assertEqual(ran.returncode, 1)
        for text in ("42", "by_name", "event_time"):
            self.assertIn(text, ran.stdout)
        self.assertIn("nope", ran.stderr)

    def test_sql_by_option_and_standard_input(self):
        weir = self.server.run
        self.assertIn("42", weir("sql", "--url", self.server.url, "-c", "SELECT 41 + 1 AS x").stdout)
        done = weir("sql", "--url", self.server.url, "--format", "csv", stdin="SELECT 1 AS x;\nSELECT 2 AS y;\n")
        self.assertEqual(done.stdout.split(), ["x", "1", "y", "2"])
        failed = weir("sql", "--url", self.server.url, "-c", "SELEC 1")
        self.assertEqual(failed.returncode, 1)

    def test_send_counts_exactly(self):
        rows = "".join(json.dumps({"event_name": "sent", "n": i}) + "\n" for i in range(2500)) + '{"n": 1}\n'
        sent = self.server.run("send", "events", "--url", self.server.url, "--batch", "1000", stdin=rows)
        self.assertEqual(sent.returncode, 4)
        self.assertIn("accepted 2500 rejected 1", sent.stdout)
        file = self.server.folder / "rows.csv"
        file.write_text("event_name,n\nfrom csv,1\n")
        self.assertIn("accepted 1", self.server.run("send", "events", str(file), "--url", self.server.url).stdout)

    def test_nobody_there(self):
        self.assertEqual(self.server.run("sql", "--url", "http://127.0.0.1:1", "-c", "SELECT 1").returncode, 3)

    def test_wrong_usage(self):
        self.assertEqual(self.server.run("no-such-command").returncode, 2)
        self.assertEqual(self.server.run("generate", "signups", "--count", "-5").returncode, 2)
        self.assertEqual(self.server.run("--help").returncode, 0)

    def test_statements_answer_in_the_format_asked_for(self):
        csv = self.server.run("sql", "--url", self.server.url, "--format", "csv", "-c", "SHOW STREAMS").stdout
        self.assertEqual(csv.splitlines()[0], "name,kind,comment")
        lines = self.server.sql("SHOW STREAMS", "?format=ndjson").body.splitlines()
        self.assertIn({"name": "events", "kind": "stream", "comment": ""}, [json.loads(line) for line in lines])
        self.assertEqual(self.server.sql("SHOW STREAMS", "?format=arrow").status, 400)

    def test_send_tells_each_refused_row_by_the_line_of_the_file(self):
        file = self.server.folder / "wrong.csv"
        file.write_text('event_name,n\na,1\nb,2\nc,x\n"never closed,4\n')
        sent = self.server.run("send", "events", str(file), "--batch", "2", "--url", self.server.url)
        self.assertEqual(sent.returncode, 4)
        self.assertIn("accepted 2 rejected 2", sent.stdout)
        self.assertIn('line 4: n "x"', sent.stderr)
        self.assertIn("line 5:", sent.stderr)
        self.assertEqual(self.server.run("send", "events", "--batch", "0", stdin="{}").returncode, 2)

    def test_check_shows_what_does_not_parse_and_what_does_not_bind(self):
        project = self.server.folder / "both"
        project.mkdir(exist_ok=True)
        (project / "a.sql").write_text(
            "CREATE STREAM s (x INTEGR);\nCREATE MATERIALIZED VIEW v AS SELECT x FROM s;\nCREATE STREAM q (y INTEGER);\n"
            "CREATE MATERIALIZED VIEW w AS SELECT nope FROM q;\nCREATE MATERIALIZED VIEW ww AS SELECT * FROM w;\n")
        checked = self.server.run("check", str(project))
        self.assertIn("a.sql:1:20", checked.stderr)
        self.assertIn("a.sql:4:38", checked.stderr)
        # What only stands on something wrong is not wrong by itself.
        self.assertNotIn("a.sql:2", checked.stderr)
        self.assertNotIn("a.sql:5", checked.stderr)
        (project / "a.sql").write_text("CREATE STREAM s (x INTEGER);\nCREATE STREAM s (y INTEGER);\n")
        self.assertIn("a.sql:2:1", self.server.run("check", str(project)).stderr)
        (project / "a.sql").write_text("CREATE STREAM s (x INTEGER);\n")
        (project / "weir.toml").write_text('time_zone = "Mars/Olympus"\n')
        checked = self.server.run("check", str(project))
        self.assertEqual(checked.returncode, 1)
        self.assertIn("Mars/Olympus", checked.stderr)

    def test_check_shows_all_errors_with_their_place(self):
        project = self.server.folder / "wrong"
        project.mkdir(exist_ok=True)
        (project / "a.sql").write_text("CREATE STREAM s (x INTEGER);\nCREATE MATERIALIZED VIEW v AS\nSELECT nope FROM s;\n")
        (project / "b.sql").write_text("CREATE MATERIALIZED VIEW w AS SELECT x, also_nope FROM s;\n")
        checked = self.server.run("check", str(project))
        self.assertEqual(checked.returncode, 1)
        self.assertIn("a.sql:3:8", checked.stderr)
        self.assertIn("b.sql:1:41", checked.stderr)
        self.assertIn("^", checked.stderr)
        (project / "b.sql").write_text("CREATE STREM t (x INTEGER);\n")
        (project / "c.sql").write_text("\nCREATE STREAM u (x INTEGR);\n")
        checked = self.server.run("check", str(project))
        self.assertIn("b.sql:1:8", checked.stderr)
        self.assertIn("c.sql:2:20", checked.stderr)
        (project / "b.sql").write_text("CREATE VIEW w AS SELECT * FROM x;\nCREATE VIEW x AS SELECT * FROM w;\n")
        (project / "a.sql").write_bytes(b"\xef\xbb\xbfCREATE STREAM s (x INTEGER);\n")
        (project / "c.sql").unlink()
        checked = self.server.run("check", str(project))
        self.assertIn('view "w" reads itself, through other views', checked.stderr)
        self.assertNotIn("a.sql", checked.stderr)

    def test_init_makes_a_project_that_serves(self):
        folder = self.server.folder / "shop"
        self.assertEqual(self.server.run("init", str(folder)).returncode, 0)
        self.assertEqual(self.server.run("check", str(folder)).returncode, 0)
        self.assertEqual(self.server.run("init", str(folder)).returncode, 1)

    def test_generate_is_the_same_for_a_seed(self):
        first, second = (self.server.run("generate", "signups", "--count", "100", "--rate", "0", "--history", "1h",
                                         "--seed", "5").stdout for _ in range(2))
        name = re.compile(r'"event_name":"(\w+)"')
        self.assertEqual(len(first.splitlines()), 100)
        self.assertEqual(name.findall(first), name.findall(second))


if __name__ == "__main__":
    unittest.main()
