"""The data folder: what a start refuses, by name, and what it leaves as it was."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import unittest

from weir_server import WEIR, WeirServer

PROJECT = """
CREATE STREAM events (id BIGINT, name VARCHAR);
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR);
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM events;
"""
MORE = "CREATE STREAM more (a INTEGER);\n"


def files_of(folder):
    """What is in a folder, but for locks; names to bytes."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "LOCK"}


class StoresTest(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer(PROJECT)
        self.addCleanup(self.server.close)
        self.data = self.server.folder / "data"
        self.assertEqual(self.server.post("events", [{"id": i, "name": "x"} for i in range(100)],
                                          {"Idempotency-Key": "first"}).status, 200)
        self.assertEqual(self.server.sql("CREATE TABLE by_sql (k BIGINT PRIMARY KEY, v VARCHAR)").status, 200)
        self.assertEqual(self.server.sql("INSERT INTO by_sql VALUES (1, 'one')").status, 200)

    def serve(self, *options, listen="127.0.0.1:0", data=None):
        """A start that is expected to end by itself: its code and all it says."""
        process = subprocess.Popen(
            [WEIR, "serve", str(self.server.project), "--data", str(data or self.data), "--listen", listen, *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            said, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            self.fail("it started: " + said)
        return process.returncode, said

    def assert_refused(self, *parts, options=()):
        before = files_of(self.data)
        code, said = self.serve(*options)
        self.assertEqual(code, 1, said)
        for part in parts:
            self.assertIn(part, said)
        self.assertNotIn("listening", said)
        self.assertEqual(files_of(self.data), before, "a start that is refused changes nothing")

    def test_two_servers_one_folder(self):
        before = (self.data / "catalog.json").read_bytes()
        code, said = self.serve()
        self.assertEqual(code, 1, said)
        self.assertIn(f"is held by process {self.server.process.pid}", said)
        # Nothing is read before: who holds the folder may be about to change it.
        (self.data / "catalog.json").write_bytes(b"damaged")
        code, said = self.serve()
        self.assertEqual(code, 1, said)
        self.assertIn("is held by process", said)
        (self.data / "catalog.json").write_bytes(before)
        # Who removes the file is not let in either.
        (self.data / "LOCK").unlink()
        (self.data / "log" / "LOCK").unlink()
        code, said = self.serve()
        self.assertEqual(code, 1, said)
        self.assertIn("is held by process", said)
        self.assertEqual((self.data / "catalog.json").read_bytes(), before)
        self.assertEqual(self.server.post("events", [{"id": 1, "name": "y"}]).status, 200)
        self.assertEqual(self.server.sql("SELECT count(*) FROM events").json["rows"], [[101]])

    def test_a_port_in_use_changes_nothing(self):
        self.server.stop()
        before = files_of(self.data)
        (self.server.project / "more.sql").write_text(MORE)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            code, said = self.serve(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertEqual(code, 1, said)
        self.assertIn("cannot listen on 127.0.0.1", said)
        self.assertEqual(files_of(self.data)["catalog.json"], before["catalog.json"])
        self.server.start()
        self.assertEqual(self.server.sql("SELECT count(*) FROM more").json["rows"], [[0]])

    def test_a_catalog_that_is_lost_emptied_cut_or_flipped_is_refused(self):
        self.server.stop()
        catalog = self.data / "catalog.json"
        good = catalog.read_bytes()
        catalog.unlink()
        self.assert_refused("catalog.json\" is missing", "Restore")
        for bad in (b"", good[:10], good[:len(good) // 2], good[:-1], good.replace(b'"id": 1,', b'"id": 2,', 1),
                    good.replace(b'"crc32c": "', b'"crc32c": "0', 1), b"{}", b"\0" * len(good)):
            catalog.write_bytes(bad)
            self.assert_refused("catalog.json\" is damaged")
        catalog.write_bytes(good)
        self.server.start()
        self.assertEqual(self.server.sql("SELECT v FROM by_sql").json["rows"], [["one"]])

    def test_a_catalog_without_its_first_line_is_read_as_one_of_an_earlier_version(self):
        self.server.stop()
        catalog = self.data / "catalog.json"
        first, rest = catalog.read_bytes().split(b"\n", 1)
        self.assertIn(b'"weir_file": "catalog"', first)
        catalog.write_bytes(rest)
        self.server.start()
        self.assertEqual(self.server.sql("SELECT v FROM by_sql").json["rows"], [["one"]])

    def test_a_catalog_from_before_a_stream_is_refused(self):
        old = (self.data / "catalog.json").read_bytes()
        self.server.sql("CREATE STREAM later (a INTEGER)")
        self.assertEqual(self.server.post("later", [{"a": 1}]).status, 200)
        self.server.stop()
        new = (self.data / "catalog.json").read_bytes()
        (self.data / "catalog.json").write_bytes(old)
        self.assert_refused("catalog.json\" is older than the data", "/log\" holds events of stream")
        (self.data / "catalog.json").write_bytes(new)
        self.server.start()
        self.assertEqual(self.server.sql("SELECT a FROM later").json["rows"], [[1]])

    def test_ids_are_not_given_out_twice(self):
        self.server.sql("CREATE STREAM a (x INTEGER)")
        self.server.post("a", [{"x": 1}])
        self.server.sql("DROP STREAM a")
        self.server.restart(signal.SIGKILL)
        self.server.sql("CREATE STREAM a (x INTEGER)")
        self.assertEqual(self.server.sql("SELECT * FROM a").json["rows"], [])

    def test_a_lost_log_is_refused(self):
        self.server.stop()
        shutil.move(self.data / "log", self.server.folder / "log-elsewhere")
        code, said = self.serve()
        self.assertEqual(code, 1, said)
        self.assertIn("the log is missing: ", said)
        shutil.rmtree(self.data / "log")
        shutil.move(self.server.folder / "log-elsewhere", self.data / "log")
        self.server.start()
        self.assertEqual(self.server.sql("SELECT count(*) FROM events").json["rows"], [[100]])

    def test_a_log_cut_back_where_a_group_ends_is_refused(self):
        self.server.stop()  # which writes a checkpoint
        self.assertTrue((self.data / "checkpoint" / "views").exists())
        segment = max((self.data / "log").glob("segment-*"))
        os.truncate(segment, 8192)
        self.assert_refused("was cut back: it ends at offset 0, but ", "checkpoint", "knows of offset 101")

    def test_keys_and_marks_that_are_damaged_are_refused_and_can_be_given_up(self):
        self.server.stop()
        for name in ("idempotency-keys", "pump-marks"):
            good = (self.data / name).read_bytes()
            flipped = bytearray(good)
            flipped[-1] ^= 1
            for bad in (b"", good[:-1], bytes(flipped)):
                (self.data / name).write_bytes(bad)
                self.assert_refused(f"{name}\" is damaged", f"--start-without {name}")
            self.server.options = ["--start-without", name]
            self.server.start()
            self.server.stop()
            self.server.options = []
            self.assertTrue((self.data / f"{name}.set-aside").exists())
            self.server.start()
            self.server.stop()
        # All bodies were still in the log, which knows their keys.
        self.server.start()
        self.server.post("events", [{"id": i, "name": "x"} for i in range(100)], {"Idempotency-Key": "first"})
        self.assertEqual(self.server.sql("SELECT count(*) FROM events").json["rows"], [[100]])

    def test_a_damaged_layout_is_put_aside_and_said(self):
        self.assertEqual(self.server.request("PUT", "/v1/layout", '{"a": 1}').status, 200)
        self.server.stop()
        layout = self.data / "layout.json"
        good = layout.read_bytes()
        layout.write_bytes(good.replace(b'"a"', b'"b"'))
        self.server.start()
        self.assertTrue(any(line.startswith("layout: ") and "is damaged" in line for line in self.server.lines),
                        self.server.lines)
        self.assertEqual(self.server.get("/v1/layout").json, {})
        self.server.stop()
        layout.write_bytes(good)
        self.server.start()
        self.assertEqual(self.server.get("/v1/layout").json, {"a": 1})

    def test_what_the_project_lacks_is_dropped_only_when_that_is_allowed(self):
        (self.server.project / "more.sql").write_text(
            MORE + "CREATE STREAM fed AS SELECT id FROM events;\nCREATE MATERIALIZED VIEW v AS SELECT a FROM more;\n"
            "CREATE TABLE t (k BIGINT PRIMARY KEY);\n")
        self.server.restart()
        self.assertEqual(self.server.post("more", [{"a": 7}]).status, 200)
        self.server.stop()
        (self.server.project / "more.sql").rename(self.server.folder / "elsewhere.sql")
        self.assert_refused("has no longer: ", "stream fed", "stream more", "table t", "--allow-drop")
        # Put back, all is as it was.
        shutil.copy(self.server.folder / "elsewhere.sql", self.server.project / "more.sql")
        self.server.start()
        self.assertEqual(self.server.sql("SELECT a FROM more").json["rows"], [[7]])
        self.server.stop()
        (self.server.project / "more.sql").unlink()
        self.server.options = ["--allow-drop"]
        self.server.start()
        self.assertEqual(self.server.sql("SELECT a FROM more").status, 400)

    def test_a_view_that_the_project_lacks_goes_without_a_question(self):
        self.server.stop()
        sql = self.server.project / "project.sql"
        sql.write_text(PROJECT.replace("CREATE MATERIALIZED VIEW total", "-- "))
        self.server.start()
        self.assertNotEqual(self.server.get("/v1/views/total").status, 200)

    def test_a_file_size_limit_is_an_error_with_words(self):
        """Not the end of the process by SIGXFSZ."""
        self.server.stop()
        shutil.rmtree(self.data)
        self.server.start()
        limit = 9000  # enough for the log's header, not for a group
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        answer = self.server.post("events", [{"id": 1, "name": "x"}])
        self.assertEqual(answer.status, 503, answer.body)
        self.assertIn("File too large", answer.json["error"]["message"])
        self.assertIn("ulimit -f", answer.json["error"]["hint"])
        self.assertIsNone(self.server.process.poll())


if __name__ == "__main__":
    unittest.main()
