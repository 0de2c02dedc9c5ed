"""Nexmark's queries as views of a real server, fed by the real generator, against their batch queries."""

import re
import signal
import unittest

from weir_server import ROOT, WeirServer

FOLDER = ROOT / "benchmarks" / "nexmark"


class Nexmark(unittest.TestCase):
    def setUp(self):
        self.server = WeirServer((FOLDER / "streams.sql").read_text() + (FOLDER / "queries.sql").read_text())
        self.addCleanup(self.server.close)

    def generate(self, count, seed):
        made = self.server.run("generate", "nexmark", "--rate", "0", "--count", str(count), "--seed", str(seed),
                               "--to", self.server.url)
        self.assertIn(f"{count} accepted", made.stderr)

    def test_every_view_is_its_batch_query(self):
        self.generate(20_000, seed=1)
        self.server.restart(signal.SIGKILL)
        self.generate(10_000, seed=2)
        verified = self.server.run("verify", "--url", self.server.url)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        rows = dict(re.findall(r"(q\d+): equal \((\d+) rows", verified.stdout))
        self.assertEqual(set(rows), {f"q{n}" for n in range(23)})
        for query, count in rows.items():
            self.assertGreater(int(count), 0, f"{query} found nothing, which proves nothing")
            explained = self.server.sql(f"EXPLAIN {query}").body.decode()
            self.assertIn("incremental", explained, query)


if __name__ == "__main__":
    unittest.main()
