"""The lake as users see it: what is dropped lands, and what is damaged or missing is said."""

import time
import unittest

from weir_server import WeirServer

SETTINGS = """\
landing_interval = "50 ms"
segment_size = "64 KiB"
"""


class Lake(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer()
        self.addCleanup(self.server.close)
        (self.server.project / "weir.toml").write_text(SETTINGS)
        self.server.restart()

    def files(self, stream):
        return sorted((self.server.folder / "data" / "lake" / stream).glob("**/*.parquet"))

    def lake(self):
        return self.server.get("/v1/catalog").json["lake"]

    def until(self, what, seconds=15):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        return found

    def metric(self, name):
        for line in self.server.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(name)

    def test_what_was_acknowledged_before_a_drop_becomes_parquet(self):
        (self.server.project / "weir.toml").write_text(SETTINGS.replace("50 ms", "2 seconds"))
        self.server.restart()
        self.server.sql("CREATE STREAM short (id INTEGER, hour INTEGER)")
        self.assertEqual(self.server.post("short", [{"id": i} for i in range(100)]).json["accepted"], 100)
        self.assertEqual(self.server.sql("DROP STREAM short").status, 200)
        self.assertEqual(self.files("short"), [])
        (file,) = self.until(lambda: self.files("short"))
        self.assertIn("arrival_hour=", str(file))  # "hour" is a column
        # And its rows are what they were: taken back from the file.
        self.server.sql("CREATE STREAM again (id INTEGER, hour INTEGER)")
        copied = self.server.run("sql", "--url", self.server.url, "-c", f"COPY again FROM '{file}'")
        self.assertEqual(copied.returncode, 0, copied.stderr)
        self.assertEqual(self.server.sql("SELECT count(*), sum(id) FROM again").json["rows"], [[100, 4950]])

    def test_a_damaged_file_is_named_everywhere_and_mended_by_putting_it_back(self):
        self.server.post("events", [{"event_name": "a", "n": i} for i in range(2000)])
        (file,) = self.until(lambda: self.files("events"))
        self.until(lambda: self.lake()["landed"] == 2000)
        self.assertEqual(self.metric("weir_lake_damaged_files"), 0)
        # Enough of another stream for the log to forget these rows.
        for _ in range(20):
            self.server.post("strict", [{"a": i} for i in range(2000)])
        self.until(lambda: self.metric("weir_log_begin_offset") > 2000)
        whole = file.read_bytes()
        bad = bytearray(whole)
        bad[len(bad) // 3] ^= 16
        file.write_bytes(bytes(bad))
        answer = self.server.sql("SELECT sum(n), max(event_name), max(event_id), max(event_time), "
                                 "max(_arrival_time), max(_offset) FROM events")
        self.assertEqual(answer.json["error"]["code"], "corruption")
        self.assertIn(file.name, answer.json["error"]["message"])
        self.assertIn('stream "events"', answer.json["error"]["message"])
        (damaged,) = self.until(lambda: self.lake()["damaged"])
        self.assertEqual((damaged["stream"], damaged["first"], damaged["last"]), ("events", 1, 2000))
        self.assertEqual(self.metric("weir_lake_damaged_files"), 1)
        self.assertEqual(self.server.sql("SELECT count(*) FROM strict").json["rows"], [[40000]])
        file.write_bytes(whole)
        self.assertEqual(self.server.sql("SELECT sum(n) FROM events").json["rows"], [[1999000]])

    def test_a_missing_file_is_said_at_the_start(self):
        self.server.post("events", [{"event_name": "a", "n": 1}])
        (file,) = self.until(lambda: self.files("events"))
        self.until(lambda: self.lake()["landed"] == 1)
        for _ in range(20):
            self.server.post("strict", [{"a": i} for i in range(2000)])
        self.until(lambda: self.metric("weir_log_begin_offset") > 1)
        self.server.stop()
        file.unlink()
        self.server.start()
        said = "\n".join(self.server.lines)
        self.assertIn(file.name, said)
        self.assertIn("missing", said)
        self.assertEqual(self.server.sql("SELECT count(*) FROM strict").json["rows"], [[40000]])
        self.assertEqual(self.server.sql("SELECT n FROM events").json["error"]["code"], "corruption")

    def test_settings_are_checked(self):
        for setting in ('landing_interval = "soon"', 'landing_rows = "0"', 'segment_size = "large"', 'scrub_rate = "-1"'):
            project = self.server.folder / "wrong"
            project.mkdir(exist_ok=True)
            (project / "a.sql").write_text("CREATE STREAM s (x INTEGER);\n")
            (project / "weir.toml").write_text(setting + "\n")
            done = self.server.run("serve", str(project), "--data", str(self.server.folder / "other"), "--listen", "127.0.0.1:0")
            self.assertEqual(done.returncode, 1)
            self.assertIn(setting.split()[0], done.stderr)


if __name__ == "__main__":
    unittest.main()
