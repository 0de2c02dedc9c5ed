"""Bad input, each case by name: a clear error to whoever sent it, and nothing else is lost or stopped."""

import gzip
import json
import socket
import time
import unittest
import zlib

from weir_server import ServerTest


class BadInput(ServerTest):
    def setUp(self):
        self.before = self.total()

    def tearDown(self):
        # Whatever a test did, the next producer is served.
        answer = self.server.post("events", [{"event_name": "after"}])
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.server.rows("total", wait_for=answer.json["offset"])[0][0], self.before + self.kept + 1)

    kept = 0

    def test_a_body_that_is_too_large(self):
        answer = self.server.raw(b"POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 5)
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])
        self.assertIn(b"too_large", answer)

    def test_an_unknown_stream_names_the_nearest(self):
        answer = self.server.post("evnts", [{"event_name": "x"}])
        self.assertEqual((answer.status, answer.code), (404, "unknown_stream"))
        self.assertIn("events", answer.json["error"]["hint"])

    def test_an_unknown_path(self):
        answer = self.server.get("/v1/nothing")
        self.assertEqual((answer.status, answer.code), (404, "unknown_route"))

    def test_a_wrong_method_says_which_are_right(self):
        answer = self.server.get("/v1/streams/events/events")
        self.assertEqual((answer.status, answer.code), (405, "method_not_allowed"))
        self.assertEqual(answer.headers["Allow"], "POST")

    def test_an_unknown_content_type(self):
        answer = self.server.post("events", "<xml/>", {"Content-Type": "application/xml"})
        self.assertEqual((answer.status, answer.code), (415, "unsupported_media_type"))

    def test_an_unknown_content_encoding(self):
        answer = self.server.post("events", "{}", {"Content-Encoding": "br"})
        self.assertEqual((answer.status, answer.code), (415, "unsupported_media_type"))

    def test_a_gzip_body_that_is_cut_off(self):
        body = gzip.compress(json.dumps({"event_name": "x"}).encode())[:-6]
        answer = self.server.post("events", body, {"Content-Encoding": "gzip"})
        self.assertEqual((answer.status, answer.code), (400, "invalid_data"))

    def test_bytes_that_are_no_gzip(self):
        answer = self.server.post("events", b"hello", {"Content-Encoding": "gzip"})
        self.assertEqual((answer.status, answer.code), (400, "invalid_data"))

    def test_bytes_that_are_no_zstd(self):
        answer = self.server.post("events", b"hello", {"Content-Encoding": "zstd"})
        self.assertEqual((answer.status, answer.code), (400, "invalid_data"))

    def test_a_decompression_bomb(self):
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
        piece = b" " * (1 << 20)
        body = b"".join(compressor.compress(piece) for _ in range(400)) + compressor.flush()
        answer = self.server.post("events", body, {"Content-Encoding": "gzip"})
        self.assertEqual((answer.status, answer.code), (413, "too_large"))

    def test_parameters_count_for_the_size_of_a_statement(self):
        for size, status in ((1 << 20, 200), (5 << 20, 413)):
            body = json.dumps({"sql": "SELECT length($1)", "params": ["x" * size]})
            answer = self.server.request("POST", "/v1/sql", body.encode(), {"Content-Type": "application/json"})
            self.assertEqual(answer.status, status, answer.body[:200])

    def refused(self, body, headers=None, kept=0, stream="events"):
        """A body with one bad row; returns how it was refused."""
        answer = self.server.post(stream, body, headers)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json["accepted"], kept)
        self.assertEqual(len(answer.json["rejected"]), 1, answer.body)
        if stream == "events":
            self.kept = kept
        return answer.json["rejected"][0]

    def test_json_that_is_too_deep(self):
        deep = '{"event_name": "x", "y": ' + "[" * 5000 + "]" * 5000 + "}\n" + '{"event_name": "good"}'
        self.assertEqual(self.refused(deep, kept=1)["line"], 1)

    def test_json_that_is_cut_off(self):
        self.assertEqual(self.refused('{"event_name": "good"}\n{"event_name": "x', kept=1)["line"], 2)

    def test_a_line_that_is_no_json(self):
        self.assertEqual(self.refused('{"event_name": "good"}\nhello\n{"event_name": "good"}', kept=2)["line"], 2)

    def test_bytes_that_are_no_utf8(self):
        self.assertEqual(self.refused(b'{"event_name": "good"}\n{"event_name": "\xff\xfe"}', kept=1)["line"], 2)

    def test_a_value_of_the_wrong_type(self):
        refused = self.refused('{"event_name": "x", "n": "many"}\n{"event_name": "good", "n": 1}', kept=1)
        self.assertEqual((refused["line"], refused["column"], refused["value"]), (1, "n", "many"))

    def test_a_number_that_is_too_large(self):
        self.assertEqual(self.refused('{"event_name": "x", "n": 99999999999}')["column"], "n")

    def test_a_time_that_is_none(self):
        refused = self.refused('{"event_name": "x", "event_time": "yesterday"}')
        self.assertEqual((refused["column"], refused["value"]), ("event_time", "yesterday"))

    def test_a_missing_value_that_must_be_there(self):
        self.assertEqual(self.refused('{"n": 1}')["column"], "event_name")

    def test_null_where_it_must_not_be(self):
        self.assertEqual(self.refused('{"event_name": null}')["column"], "event_name")

    def test_an_unknown_field_of_a_strict_stream(self):
        refused = self.refused('{"a": 1, "b": 2}\n{"a": 1}', kept=1, stream="strict")
        self.assertEqual((refused["line"], refused["column"]), (1, "b"))

    def test_an_unknown_field_of_any_other_stream_is_ignored(self):
        self.assertEqual(self.server.post("events", [{"event_name": "x", "unknown": 1}]).json["accepted"], 1)
        self.kept = 1

    def test_csv_with_a_column_nobody_knows(self):
        answer = self.server.post("strict", "a,zz\n1,2\n", {"Content-Type": "text/csv"})
        self.assertNotEqual(answer.json.get("accepted"), 1)

    def test_csv_with_too_few_fields(self):
        refused = self.refused("event_name,n\ngood,1\nbad\n", {"Content-Type": "text/csv"}, kept=1)
        self.assertEqual(refused["line"], 3)

    def test_atomic_keeps_all_or_none(self):
        answer = self.server.post("events", '{"event_name": "x"}\n{"n": 1}', query="?atomic=true")
        self.assertEqual(answer.status, 422)
        self.assertEqual(answer.json["rejected"][0]["line"], 2)

    def test_an_empty_body_is_no_row(self):
        answer = self.server.post("events", "")
        self.assertEqual((answer.status, answer.json["accepted"]), (200, 0))

    def test_a_request_that_is_no_http(self):
        self.assertIn(b" 400 ", self.server.raw(b"hello there\r\n\r\n", 5).split(b"\r\n")[0])

    def test_headers_that_are_too_large(self):
        head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"
        self.assertRegex(self.server.raw(head, 5), rb"^HTTP/1.1 4\d\d ")

    def test_a_negative_content_length(self):
        head = b"POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"
        self.assertRegex(self.server.raw(head, 5), rb"^HTTP/1.1 400 ")

    def test_a_length_and_chunks_at_once(self):
        head = (b"POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertRegex(self.server.raw(head, 5), rb"^HTTP/1.1 400 ")

    def test_a_transfer_encoding_that_nobody_decodes(self):
        head = (b"POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\n"
                b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
        self.assertRegex(self.server.raw(head, 5), rb"^HTTP/1.1 501 ")

    def test_a_client_that_never_ends_its_headers(self):
        started = time.monotonic()
        with socket.create_connection((self.server.host, self.server.port), timeout=30) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost:")
            received = b""
            while part := slow.recv(4096):
                received += part
        self.assertLess(time.monotonic() - started, 20)
        self.assertTrue(received == b"" or b" 408 " in received.split(b"\r\n")[0], received)

    def test_a_client_that_hangs_up_in_the_middle(self):
        with socket.create_connection((self.server.host, self.server.port)) as rude:
            rude.sendall(b'POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"event_name"')

    def test_an_idempotency_key_that_is_too_long(self):
        answer = self.server.post("events", [{"event_name": "x"}], {"Idempotency-Key": "k" * 300})
        self.assertEqual((answer.status, answer.code), (400, "invalid_request"))

    def test_the_same_idempotency_key_with_another_body(self):
        self.server.post("events", [{"event_name": "x"}], {"Idempotency-Key": "conflict"})
        answer = self.server.post("events", [{"event_name": "y"}], {"Idempotency-Key": "conflict"})
        self.assertEqual((answer.status, answer.code), (409, "conflict"))
        self.kept = 1

    def test_a_page_that_hides_where_it_is_from(self):
        answer = self.server.post("events", [{"event_name": "x"}], {"Origin": "null"})
        self.assertEqual((answer.status, answer.code), (403, "forbidden"))

    def test_a_header_that_is_no_utf8_is_told_in_json(self):
        answer = self.server.post("strict", b"a,\xff\n1,2\n", {"Content-Type": "text/csv"})
        self.assertEqual((answer.status, answer.code), (400, "invalid_data"))

    def test_a_parameter_that_is_neither_true_nor_false(self):
        answer = self.server.post("events", [{"event_name": "x"}], query="?atomic=maybe")
        self.assertEqual((answer.status, answer.code), (400, "invalid_request"))

    def test_a_body_that_trickles(self):
        with socket.create_connection((self.server.host, self.server.port), timeout=30) as slow:
            slow.sendall(b"POST /v1/streams/events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
            received = b""
            slow.settimeout(0.5)
            for _ in range(40):
                try:
                    slow.sendall(b" ")
                    received += slow.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if received:
                    break
        self.assertIn(b" 408 ", received.split(b"\r\n")[0])
        self.assertIn(b'"timeout"', received)

    def test_a_page_of_another_site(self):
        answer = self.server.post("events", [{"event_name": "x"}], {"Origin": "http://evil.example"})
        self.assertEqual((answer.status, answer.code), (403, "forbidden"))


if __name__ == "__main__":
    unittest.main()
