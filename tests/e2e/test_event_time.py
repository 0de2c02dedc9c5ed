"""Windows that close: by events, by the clock, over restarts and SIGKILL; late rows and derived streams."""

import random
import signal
import subprocess
import time
import unittest

from weir_server import WeirServer

PROJECT = """
CREATE MATERIALIZED VIEW per_minute AS
  SELECT window_start, item, count(*) AS n, sum(price) AS total
  FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, item
  EMIT ON WINDOW CLOSE;
CREATE STREAM closed_minutes AS SELECT window_start, item, total FROM per_minute;
CREATE MATERIALIZED VIEW too_late AS SELECT item, count(*) AS n FROM per_minute_late GROUP BY item;
CREATE MATERIALIZED VIEW patient WITH (allowed_lateness = '1 minute') AS
  SELECT date_trunc('minute', ts) AS minute, count(*) AS n FROM bid GROUP BY minute;
CREATE STREAM bid (n INTEGER, item VARCHAR, price INTEGER, ts TIMESTAMP,
                   WATERMARK FOR ts AS ts - INTERVAL 10 SECONDS) WITH (idle_timeout = '1 second');
"""


def bid(n, second, item="a", price=1):
    return {"n": n, "item": item, "price": price,
            "ts": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1_790_000_040 + second))}


class EventTime(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer(PROJECT)
        self.addCleanup(self.server.close)

    def wait_for_rows(self, sql, rows, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            found = self.server.sql(sql).json["rows"]
            if found == rows or time.monotonic() > deadline:
                return self.assertEqual(found, rows)
            time.sleep(0.05)

    def verify(self):
        done = self.server.run("verify", "--url", self.server.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_window_closes_once_and_late_rows_are_kept(self):
        self.server.post("bid", [bid(1, 0), bid(2, 59), bid(3, 69), bid(4, 70), bid(5, 30, "late")])
        self.wait_for_rows("SELECT item, n FROM per_minute", [["a", 2]])
        self.wait_for_rows("SELECT n, item FROM per_minute_late", [[5, "late"]])
        self.wait_for_rows("SELECT * FROM too_late", [["late", 1]])
        # The second minute closes by the clock: 60 seconds to go, less the one it is idle.
        stream = [s for s in self.server.get("/v1/catalog").json["streams"] if s["name"] == "bid"][0]
        self.assertEqual(stream["watermark"]["column"], "ts")
        self.assertEqual(stream["watermark"]["delay_ms"], 10_000)
        self.assertIsNotNone(stream["watermark"]["at"])
        self.verify()

    def test_a_quiet_stream_closes_by_the_clock_and_stays_closed(self):
        self.server.post("bid", [bid(1, 0), bid(2, 66)])  # the watermark: four seconds before the minute
        self.wait_for_rows("SELECT item, n FROM per_minute", [["a", 1]])
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.server.post("bid", [bid(3, 1, "late")])
        self.wait_for_rows("SELECT item FROM per_minute_late", [["late"]])
        self.wait_for_rows("SELECT item, total FROM closed_minutes", [["a", 1]])
        self.verify()

    def test_the_same_over_sigkill_and_lost_checkpoints(self):
        dice = random.Random(11)
        sent, second = 0, 0
        for life in range(6):
            for _ in range(15):
                rows = []
                for _ in range(dice.randint(1, 200)):
                    second += dice.choice([0, 0, 0, 1])
                    rows.append(bid(sent, second - dice.choice([0, 0, 0, 5, 30, 90]), f"i{dice.randint(0, 5)}",
                                    dice.randint(1, 9)))
                    sent += 1
                self.server.post("bid", rows)
            self.server.stop(signal.SIGKILL)
            if life % 2:
                subprocess.run(["rm", "-rf", str(self.server.folder / "data" / "checkpoint")], check=True)
            self.server.start()
        self.server.wait_live("per_minute")
        self.wait_for_rows("SELECT (SELECT count(*) FROM closed_minutes) = (SELECT count(*) FROM per_minute)", [[True]])
        self.wait_for_rows("SELECT count(*) > 20, (SELECT count(*) > 0 FROM per_minute_late) FROM per_minute",
                           [[True, True]])
        # What is in no closed window and was not late is in an open one.
        self.wait_for_rows("SELECT count(DISTINCT (window_start, item)) = count(*) FROM closed_minutes", [[True]])
        self.verify()


if __name__ == "__main__":
    unittest.main()
