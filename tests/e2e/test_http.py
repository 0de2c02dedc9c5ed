"""What HTTP itself is held to: who may ask, what is refused, what every answer carries."""

import http.client
import json
import socket
import subprocess
import time
import unittest

from weir_server import WEIR, ServerTest, WeirServer


class Origins(ServerTest):
    def status(self, method, path, headers, body=None):
        answer = self.server.request(method, path, body, headers)
        return answer.status

    def test_a_name_that_points_here_is_not_ours_unless_told(self):
        for host in ["evil.com", "evil.com:7070"]:
            self.assertEqual(self.status("GET", "/v1/catalog", {"Host": host}), 403)
            self.assertEqual(self.status("GET", "/", {"Host": host}), 403)
            self.assertEqual(
                self.status("POST", "/v1/sql", {"Host": host, "Origin": f"http://{host}"}, "DROP STREAM events"), 403)
        self.assertEqual(self.server.get("/v1/streams/events").status, 404)  # a route there is none of; it answers
        self.assertEqual(self.server.sql("DESCRIBE events").status, 200)
        for host in ["localhost:1", "weir", "127.0.0.1", "[::1]:7070", "weir.internal"]:
            self.assertEqual(self.status("GET", "/v1/catalog", {"Host": host}), 200, host)

    def test_a_picture_of_another_page_runs_nothing(self):
        image = {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors",
                 "Sec-Fetch-Dest": "image"}
        query = "/v1/subscribe?query=SELECT+count(*)+FROM+events"
        self.assertEqual(self.status("GET", query, image), 403)
        self.assertEqual(self.status("GET", query, {"User-Agent": "Mozilla/5.0"}), 403)
        self.assertEqual(self.status("GET", query, {"Origin": "http://evil.com"}), 403)
        self.assertEqual(self.status("GET", "/v1/views/total", image), 403)
        self.assertEqual(self.status("POST", "/v1/sql", {"Sec-Fetch-Site": "cross-site"}, "SELECT 1"), 403)
        self.server.events(query, {}).close()
        self.server.events(query, {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "same-origin"}).close()

    def test_a_refusal_says_what_to_do(self):
        answer = self.server.request("GET", "/v1/catalog", headers={"Host": "weir.example.com"})
        self.assertIn("weir.example.com", answer.json["error"]["message"])
        self.assertIn("weir.toml", answer.json["error"]["hint"])


class BehindAProxy(unittest.TestCase):
    def test_names_of_the_settings_are_ours(self):
        server = WeirServer()
        self.addCleanup(server.close)
        (server.project / "weir.toml").write_text('hosts = "weir.example.com, other.example:8443"\n')
        server.restart()
        ask = lambda headers: server.request("POST", "/v1/sql", "SELECT 1", headers).status
        # The proxy says its upstream's address as Host, or the public name.
        self.assertEqual(ask({"Origin": "https://weir.example.com"}), 200)
        self.assertEqual(ask({"Host": "weir.example.com", "Origin": "https://weir.example.com"}), 200)
        self.assertEqual(ask({"Origin": "https://other.example:8443"}), 200)
        self.assertEqual(ask({"Origin": "https://other.example"}), 403)
        self.assertEqual(ask({"Host": "evil.com", "Origin": "https://weir.example.com"}), 403)
        (server.project / "weir.toml").write_text('hosts = "https://weir.example.com"\n')
        server.stop()
        run = subprocess.run([WEIR, "serve", str(server.project), "--data", str(server.folder / "data"),
                              "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=20)
        self.assertEqual(run.returncode, 1)
        self.assertIn("hosts", run.stderr)


class Requests(ServerTest):
    def status(self, request):
        return self.server.raw(request, timeout=5)[9:12].decode()

    def test_forms_of_a_target(self):
        close = "Host: x\r\nConnection: close\r\n\r\n"
        self.assertEqual(self.status(f"GET http://x/healthz HTTP/1.1\r\n{close}".encode()), "200")
        self.assertEqual(self.status(f"GET http://evil.com/metrics HTTP/1.1\r\n{close}".encode()), "403")
        self.assertEqual(self.status(f"OPTIONS * HTTP/1.1\r\n{close}".encode()), "204")
        answer = self.server.request("OPTIONS", "/v1/sql")
        self.assertEqual((answer.status, answer.headers["Allow"]), (204, "POST, OPTIONS"))
        self.assertEqual(self.server.request("POST", "/v1%2Fsql", "SELECT 1").status, 404)
        answer = self.server.post("a%2Fb", [{"n": 1}])  # a name, not two parts of the path
        self.assertEqual((answer.status, answer.code), (404, "unknown_stream"))

    def test_every_answer_is_taken_for_what_it_says(self):
        for path in ["/v1/catalog", "/healthz", "/metrics", "/v1/views/total", "/v1/nothing", "/", "/v1/live?views=",
                     "/" + "x" * 9000]:
            connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=5)
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().headers["X-Content-Type-Options"], "nosniff", path[:20])
            connection.close()

    def test_one_statement_a_request(self):
        for body in ["SELECT 1; SELECT 2", "CREATE STREAM p (n INTEGER); CREATE STREAM q (n INTEGER)",
                     "SELECT 1; DROP STREAM events"]:
            answer = self.server.sql(body)
            self.assertEqual((answer.status, answer.code), (400, "invalid_sql"), body)
        self.assertEqual(self.server.sql("DESCRIBE p").status, 404)
        self.assertEqual(self.server.sql("SELECT 1;").status, 200)

    def test_no_message_says_where_files_are(self):
        self.server.post("events", [{"event_name": "x"}])
        for sql in ["SELECT * FROM read_csv('x')", "COPY events FROM 'nothing.csv'", "COPY events FROM '../x.csv'"]:
            self.assertNotIn(str(self.server.folder), self.server.sql(sql).body.decode(), sql)


class FewFiles(unittest.TestCase):
    def test_connections_leave_files_for_the_log(self):
        server = WeirServer(prefix=["bash", "-c", 'ulimit -n 128; exec "$@"', "-"])
        self.addCleanup(server.close)
        socks = []
        self.addCleanup(lambda: [sock.close() for sock in socks])
        for _ in range(70):
            sock = socket.socket()
            sock.settimeout(1)
            try:
                sock.connect((server.host, server.port))
            except OSError:
                break
            socks.append(sock)
        time.sleep(0.5)
        # Others than the one address are served, and what they send is durable.
        connection = http.client.HTTPConnection(server.host, server.port, timeout=30, source_address=("127.0.0.2", 0))
        for _ in range(50):
            connection.request("POST", "/v1/streams/events/events", '{"event_name": "x"}')
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            answer.read()
        connection.request("POST", "/v1/sql", "SELECT count(*) FROM events")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.assertIsNone(server.process.poll())

    def test_connections_leave_files_for_the_next_segments(self):
        server = WeirServer(prefix=["bash", "-c", 'ulimit -n 128; exec "$@"', "-"])
        self.addCleanup(server.close)
        (server.project / "weir.toml").write_text('segment_size = "64KB"\n')
        server.restart()
        segments = lambda: max((server.folder / "data" / "log").glob("segment-*")).name
        producer = http.client.HTTPConnection(server.host, server.port, timeout=30, source_address=("127.0.0.2", 0))
        self.addCleanup(producer.close)
        producer.connect()
        socks = []
        self.addCleanup(lambda: [sock.close() for sock in socks])
        for i in range(300):  # from many addresses: no share of one of them keeps them off
            sock = socket.socket()
            sock.settimeout(0.2)
            sock.bind((f"127.0.2.{1 + i % 30}", 0))
            try:
                sock.connect((server.host, server.port))
            except OSError:
                break
            socks.append(sock)
        self.assertGreater(len(socks), 128)
        seen, sent = {segments()}, 0
        for _ in range(40):
            body = "\n".join('{"event_name": "%s"}' % ("x" * 1000) for _ in range(40))
            producer.request("POST", "/v1/streams/events/events", body)
            answer = producer.getresponse()
            self.assertEqual(answer.status, 200, answer.read())
            answer.read()
            sent += 40
            seen.add(segments())
        self.assertGreater(len(seen), 10)
        self.assertIsNone(server.process.poll())
        for sock in socks:
            sock.close()
        producer.request("POST", "/v1/sql", "SELECT count(*) FROM events")
        answer = producer.getresponse()
        self.assertEqual(json.loads(answer.read())["rows"], [[sent]])
        server.restart()
        self.assertEqual(server.sql("SELECT count(*) FROM events").json["rows"], [[sent]])


class Shares(unittest.TestCase):
    """One address never has everything."""

    def setUp(self):
        self.server = WeirServer()
        self.addCleanup(self.server.close)

    def other(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20,
                                                source_address=("127.0.0.3", 0))
        self.addCleanup(connection.close)
        connection.request(method, path, body)
        return connection.getresponse()

    def test_queries_that_are_followed(self):
        streams = []
        self.addCleanup(lambda: [stream.close() for stream in streams])
        refused = 0
        for i in range(60):
            stream = self.server.events(f"/v1/subscribe?query=SELECT+count(*)+%2B+{i}+FROM+events", {})
            streams.append(stream)
            refused += stream.response.status == 429
        self.assertEqual(refused, 12)
        answer = self.other("GET", "/v1/subscribe?query=SELECT+count(*)+FROM+events+WHERE+n=77")
        self.assertEqual(answer.status, 200)

    def test_readers_who_come_together_share_a_snapshot(self):
        rows = [{"event_name": f"{i:06}", "n": i} for i in range(50_000)]
        self.server.post("events", rows)
        deadline = time.monotonic() + 20
        while len(self.server.rows("by_name")) < 50_000 and time.monotonic() < deadline:
            time.sleep(0.1)
        streams = []
        self.addCleanup(lambda: [stream.close() for stream in streams])
        started = time.monotonic()
        for _ in range(40):
            streams.append(self.server.events("/v1/views/by_name/changes", {}, timeout=20))
        for stream in streams:
            event, _, data = stream.next()
            self.assertEqual((event, len(data["rows"])), ("snapshot", 50_000))
        self.assertLess(time.monotonic() - started, 20)
        self.server.post("events", [{"event_name": "new", "n": 1}])
        for stream in streams:
            event, _, data = stream.next("change")
            self.assertEqual(data["added"], [["new", 1]])


if __name__ == "__main__":
    unittest.main()
