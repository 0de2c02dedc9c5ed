#!/usr/bin/env python3
"""Kills `weir serve` under load, again and again, and looks for lost or doubled events.

Writers post events with ids of their own and an Idempotency-Key; a request that was not answered is
sent again with the same key after the restart.  So is the last one that was, and now and then a
writer hangs up before it has read the answer: all of these must count once.  The server is killed
(SIGKILL) at random moments.
Streams made of queries go on beside them: one by one, with state, and one made of another that
makes three rows of one.  One writer sends rows with a dedup_key, all of them more than once; one
changes rows of a table; one makes streams with views, fills and drops them, whose events must then
be Parquet.  Events land, files are merged and the log is trimmed many times a second.  Now and then
the checkpoint is lost with the process, and the disk is full for a while (where a tmpfs can be
mounted).
In the end every acknowledged event must be there exactly once, no event twice, each derived stream
must hold exactly what its query says, the table what was last said of each key, and each view must
equal its batch query (`weir verify`).

    tests/fault/kill_loop.py --weir build/weir --cycles 200
"""

import argparse
import collections
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

PROJECT_SQL = """\
CREATE STREAM events (
  event_id   VARCHAR NOT NULL,
  event_time TIMESTAMP,
  event_name VARCHAR,
  writer     INTEGER,
  number     BIGINT
);

CREATE MATERIALIZED VIEW total AS SELECT count(*) AS events, sum(number) AS numbers FROM events;

CREATE MATERIALIZED VIEW by_name AS
SELECT event_name, count(*) AS events, max(number) AS latest FROM events GROUP BY event_name;

CREATE MATERIALIZED VIEW by_minute AS
SELECT date_trunc('minute', event_time) AS minute, count(*) AS events
FROM events WHERE event_name = 'sign_up' GROUP BY minute;

CREATE STREAM signups AS SELECT writer, number, event_time FROM events WHERE event_name = 'sign_up';
CREATE STREAM hundreds AS SELECT DISTINCT writer, number // 100 AS hundred FROM events;
CREATE STREAM tripled (number BIGINT, copy INTEGER);
CREATE PUMP triple AS INSERT INTO tripled SELECT number, r.k FROM signups, range(3) r(k);
CREATE STREAM once (event_id VARCHAR NOT NULL, number BIGINT)
WITH (dedup_key = 'event_id', dedup_window = '1 day');
CREATE MATERIALIZED VIEW once_total AS SELECT count(*) AS n, sum(number) AS s FROM once;
CREATE TABLE accounts (id INTEGER PRIMARY KEY, n BIGINT, note VARCHAR);
CREATE MATERIALIZED VIEW accounts_total AS SELECT count(*) AS n, sum(n) AS s FROM accounts;
CREATE MATERIALIZED VIEW tripled_total AS SELECT copy, count(*) AS n, sum(number) AS s FROM tripled GROUP BY copy;
"""

# Landing, merging and trimming many times in a life.
SETTINGS = """\
landing_interval = "60 ms"
landing_rows = "5000"
segment_size = "128 KiB"
scrub_rate = "64 MB"
"""

# Each derived stream and what it must hold.
DERIVED = {
    "signups": "SELECT writer, number, event_time FROM events WHERE event_name = 'sign_up'",
    "hundreds": "SELECT DISTINCT writer, number // 100 FROM events",
    "tripled": "SELECT number, r.k::INTEGER FROM events, range(3) r(k) WHERE event_name = 'sign_up'",
}

NAMES = ["sign_up", "sign_in", "page_view", "purchase"]
STARTED = "listening on http://"
PART = 1_000_000


class Server:
    """One life of the server at a time."""

    def __init__(self, weir, project, data, start_timeout):
        self.command = [weir, "serve", project, "--data", data, "--listen", "127.0.0.1:0"]
        self.data = data
        self.start_timeout = start_timeout
        self.process = None
        self.address = None  # (host, port) while it runs, else None
        self.lines = collections.deque(maxlen=40)

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        ready = threading.Event()
        reader = threading.Thread(target=self._read, args=(self.process, ready), daemon=True)
        reader.start()
        if not ready.wait(self.start_timeout) or self.address is None:
            self.kill()
            raise SystemExit("the server did not start:\n" + "".join(self.lines))
        return time.monotonic() - began

    def _read(self, process, ready):
        for line in process.stdout:
            self.lines.append(line)
            at = line.find(STARTED)
            if at >= 0 and not ready.is_set():
                host, port = line[at + len(STARTED) :].split()[0].rstrip("/").rsplit(":", 1)
                self.address = (host, int(port))
                ready.set()
        ready.set()  # it ended

    def kill(self):
        self.address = None
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return "no end within 30 s"

    @property
    def url(self):
        return "http://%s:%d" % self.address


def request(address, method, path, body=None, headers=None, timeout=30):
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Writer(threading.Thread):
    """Posts bodies one after the other and never gives one up before it was answered."""

    def __init__(self, index, server, seed, stop, rate):
        super().__init__(daemon=True)
        self.index = index
        self.server = server
        self.random = random.Random(seed)
        self.stop = stop
        self.rate = rate  # the most events a second
        self.connection = None
        self.connected_to = None
        self.last = None  # the latest request that was answered
        self.sent = 0
        self.acknowledged = 0  # events with numbers below this
        self.refused = 0       # answers other than 200, all tried again
        self.repeats = 0       # requests sent more than once
        self.problem = None

    def run(self):
        try:
            while not self.stop.is_set():
                if self.last and self.server.address not in (None, self.connected_to):
                    self.repeats += 1
                    self.post(self.last)  # a new life must know it from before
                self.last = self.body()
                self.post(self.last)
                self.stop.wait(self.last[1] / self.rate)
        except Exception as problem:  # shown by main: it must not be lost with the thread
            self.problem = repr(problem)
            self.stop.set()

    def body(self):
        rows = 1 if self.random.random() < 0.5 else self.random.randint(2, 400)
        first, self.sent = self.sent, self.sent + rows
        now = time.time()
        lines = []
        for number in range(first, self.sent):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - self.random.random() * 600))
            lines.append(
                '{"event_id":"%d-%d","event_time":"%s","event_name":"%s","writer":%d,"number":%d}\n'
                % (self.index, number, stamp, self.random.choice(NAMES), self.index, number)
            )
        return first, rows, "".join(lines).encode()

    def send(self, method, path, data, headers):
        """The status and the answer, or (None, b"") when there was none."""
        address = self.server.address
        if address is None:
            time.sleep(0.002)
            return None, b""
        try:
            return request(address, method, path, data, headers)
        except (OSError, http.client.HTTPException):
            time.sleep(0.002)
            return None, b""

    def until_done(self, method, path, data, headers=None, fine=(200,)):
        """Sends it until it is answered; None when it is time to stop."""
        attempts = 0
        while not self.stop.is_set():
            attempts += 1
            self.repeats += attempts == 2
            status, answer = self.send(method, path, data, headers or {})
            if status in fine:
                return status, answer
            if status is not None:
                if status not in (429, 503):
                    raise ValueError("%s %s: answer %d %s" % (method, path, status, answer[:300]))
                self.refused += 1
                time.sleep(0.005)
        return None

    def sql(self, text, fine=(200,)):
        return self.until_done("POST", "/v1/sql", text.encode(), {"Content-Type": "text/plain"}, fine)

    def post(self, body):
        first, rows, data = body
        key = "%d-%d" % (self.index, first)
        attempts = 0
        while not self.stop.is_set():
            address = self.server.address
            if address is None:
                time.sleep(0.002)
                continue
            attempts += 1
            self.repeats += attempts == 2
            status, answer = self.try_post(address, key, data)
            if status == 200:
                accepted = json.loads(answer)["accepted"]
                if accepted != rows:
                    raise ValueError("key %s: %d rows accepted of %d" % (key, accepted, rows))
                self.acknowledged = max(self.acknowledged, first + rows)
                return
            if status is not None:
                if status not in (429, 503):
                    raise ValueError("key %s: answer %d %s" % (key, status, answer[:300]))
                self.refused += 1
            time.sleep(0.005)

    def try_post(self, address, key, data):
        try:
            if self.connection is None or self.connected_to != address:
                self.connection = http.client.HTTPConnection(*address, timeout=30)
                self.connected_to = address
            self.connection.request(
                "POST",
                "/v1/streams/events/events",
                data,
                {"Content-Type": "application/x-ndjson", "Idempotency-Key": key},
            )
            if self.random.random() < 0.01:
                time.sleep(self.random.random() * 0.003)
                self.connection.close()
                self.connection = None
                return None, b""
            response = self.connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self.connection = None
            return None, b""


class DedupWriter(Writer):
    """Sends each row more than once, in bodies that overlap, with nothing but the row's own key."""

    def run(self):
        try:
            while not self.stop.is_set():
                first = max(0, self.sent - self.random.choice((0, 0, 5, 50)))
                end = max(self.sent, first) + self.random.randint(1, 100)
                data = "".join('{"event_id":"k%d","number":%d}\n' % (i, i) for i in range(first, end))
                self.sent = end
                for _ in range(self.random.choice((1, 1, 2))):
                    answer = self.until_done("POST", "/v1/streams/once/events", data.encode())
                    if answer is None:
                        return
                    self.acknowledged = end
                self.stop.wait((end - first) / self.rate)
        except Exception as problem:
            self.problem = repr(problem)
            self.stop.set()

    def check(self, server):
        rows, distinct, top = (
            int(n) for n in query(server, "SELECT count(*), count(DISTINCT number), coalesce(max(number), -1) FROM once")[0]
        )
        problems = []
        if rows != distinct:
            problems.append("once: %d rows doubled" % (rows - distinct))
        if distinct != top + 1:
            problems.append("once: %d rows missing" % (top + 1 - distinct))
        if top + 1 < self.acknowledged:
            problems.append("once: the last %d acknowledged rows are lost" % (self.acknowledged - top - 1))
        return problems


class TableWriter(Writer):
    """Sets and deletes rows of a table.  `rows`: key to value, of what was acknowledged."""

    def run(self):
        self.rows, self.under_way = {}, {}
        number = 0
        try:
            while not self.stop.is_set():
                number += 1
                key = self.random.randint(0, 50)
                keys = range(key, key + self.random.choice((1, 3)))
                value = None if self.random.random() < 0.2 else number
                self.under_way = {k: value for k in keys}
                if value is None:
                    sql = "DELETE FROM accounts WHERE id >= %d AND id <= %d" % (keys[0], keys[-1])
                else:
                    values = ", ".join("(%d, %d, 'note %d')" % (k, value, value) for k in keys)
                    sql = "INSERT OR REPLACE INTO accounts VALUES " + values
                if self.sql(sql) is None:
                    return
                self.acknowledged += 1
                for k, v in self.under_way.items():
                    self.rows.pop(k, None) if v is None else self.rows.__setitem__(k, v)
                self.under_way = {}
        except Exception as problem:
            self.problem = repr(problem)
            self.stop.set()

    def check(self, server):
        found = {int(k): (int(n), note) for k, n, note in query(server, "SELECT id, n, note FROM accounts")}
        problems = []
        for key in set(found) | set(self.rows) | set(self.under_way):
            have = found.get(key)
            number = have[0] if have else None
            allowed = {self.rows.get(key)}
            if key in self.under_way:
                allowed.add(self.under_way[key])
            if number not in allowed or (have and have[1] != "note %d" % number):
                problems.append("accounts: key %d is %s, not one of %s" % (key, have, allowed))
        return problems


class DdlWriter(Writer):
    """Makes a stream and a view of it, fills, renames and drops them.  `dropped`: rows that were
    acknowledged of each."""

    def run(self):
        self.dropped = {}
        number = 0
        json_lines = {"Content-Type": "application/x-ndjson"}
        try:
            while not self.stop.is_set():
                number += 1
                name, view = "temp%d" % number, "temp%d_total" % number
                # Once the name is there, or gone, a repeated statement says so.
                if self.sql("CREATE STREAM %s (x BIGINT, hour INTEGER)" % name, (200, 409)) is None:
                    return
                if self.sql("CREATE OR REPLACE MATERIALIZED VIEW %s AS SELECT sum(x) AS s FROM %s" % (view, name)) is None:
                    return
                rows = 0
                for body in range(self.random.randint(0, 4)):
                    data = "".join('{"x":%d,"hour":3}\n' % i for i in range(self.random.randint(1, 200)))
                    headers = dict(json_lines, **{"Idempotency-Key": "%s-%d" % (name, body)})
                    if self.until_done("POST", "/v1/streams/%s/events" % name, data.encode(), headers) is None:
                        return
                    rows += data.count("\n")
                if self.sql("DROP STREAM IF EXISTS %s CASCADE" % name) is None:
                    return
                self.acknowledged += 1
                self.dropped[name] = rows
        except Exception as problem:
            self.problem = repr(problem)
            self.stop.set()

    def check(self, server):
        """Dropped streams are Parquet, with every row that was acknowledged: some time later, as landing takes
        what time others leave."""
        deadline, most = time.monotonic() + 20, 0
        while True:
            landed = collections.Counter()
            for file in lake_files(server.data):
                landed[file["path"].split("/")[0]] += file["rows"]
            if sum(landed.values()) > most:
                deadline, most = time.monotonic() + 20, sum(landed.values())
            wrong = [
                "%s was dropped with %d rows, of which %d are in the lake" % (name, rows, landed[name])
                for name, rows in self.dropped.items()
                if landed[name] != rows
            ]
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(0.1)


def lake_files(data):
    """What the manifest lists: a snapshot, and the changes since."""
    folder = os.path.join(data, "lake")
    while True:
        try:
            with open(os.path.join(folder, "manifest.json")) as file:
                text = file.read()
            manifest = json.loads(text[text.index("\n") :])  # the first line says what it is
            files = {file["path"]: file for file in manifest["files"]}
            path = os.path.join(folder, "manifest.changes-%d" % manifest["number"])
            changes = open(path).read() if os.path.exists(path) else ""
        except (FileNotFoundError, ValueError):
            continue  # it is being replaced
        for line in changes.splitlines():
            change = json.loads(line[9:])
            for path in change["removed"]:
                del files[path]
            files.update({file["path"]: file for file in change["added"]})
        return list(files.values())


class FullDisk:
    """A small file system of its own for the data, which can be filled up; nothing without rights."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        self.ballast = os.path.join(folder, "ballast")
        os.makedirs(folder)
        self.mounted = (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs", folder],
                stderr=subprocess.DEVNULL,
            ).returncode
            == 0
        )
        self.times = 0

    def fill(self, leave):
        if not self.mounted:
            return
        self.times += 1
        room = os.statvfs(self.folder)
        size = room.f_bavail * room.f_bsize - leave
        try:
            with open(self.ballast, "wb") as file:
                if size > 0:
                    os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            pass  # somebody else was faster: it is full

    def empty(self):
        if os.path.exists(self.ballast):
            os.remove(self.ballast)

    def close(self, keep):
        """Where its content is afterwards."""
        if not self.mounted:
            return self.folder
        kept = os.path.join(keep, "kept")
        shutil.copytree(self.folder, kept)
        subprocess.run(["umount", self.folder], stderr=subprocess.DEVNULL)
        self.mounted = False
        return kept


def query(server, sql):
    status, body = request(
        server.address, "POST", "/v1/sql", sql.encode(), {"Content-Type": "text/plain"}, 120
    )
    if status != 200:
        raise SystemExit("query failed: %d %s\n%s" % (status, body[:500], sql))
    return json.loads(body)["rows"]


def check(server, writers, sent):
    """The problems found, as lines.  `sent`: the last event each writer may have got in."""
    problems = []
    # A part at a time, all up to one position: the distinct numbers of a long run are more than one
    # query may hold.
    found = {}
    last, end = query(server, "SELECT coalesce(max(number), -1), coalesce(max(_offset), 0) FROM events")[0]
    last = int(last)
    for start in range(0, last + 1, PART):
        for index, count, distinct, low, high in query(
            server,
            "SELECT writer, count(*), count(DISTINCT number), min(number), max(number) FROM events "
            "WHERE number >= %d AND number < %d AND _offset <= %s GROUP BY writer"
            % (start, start + PART, end),
        ):
            have = found.setdefault(int(index), [0, 0, int(low), -1])
            have[0] += int(count)
            have[1] += int(distinct)
            have[3] = int(high)
    for writer in writers:
        count, distinct, low, high = found.pop(writer.index, [0, 0, 0, -1])
        name = "writer %d" % writer.index
        if count != distinct:
            problems.append("%s: %d events doubled" % (name, count - distinct))
        if high >= sent[writer.index]:
            problems.append("%s: an event that was never sent" % name)
        if distinct and (low != 0 or high - low + 1 != distinct):
            problems.append("%s: %d events missing" % (name, high + 1 - distinct))
        if high + 1 < writer.acknowledged:
            problems.append(
                "%s: the last %d acknowledged events are lost" % (name, writer.acknowledged - high - 1)
            )
    for index in found:
        problems.append("events of an unknown writer %d" % index)
    wrong = query(server, "SELECT count(*) FROM events WHERE event_id <> writer || '-' || number")
    if int(wrong[0][0]) != 0:
        problems.append("%s events with the wrong content" % wrong[0][0])
    return problems


def count(server, sql):
    return int(query(server, "SELECT count(*) FROM (%s)" % sql)[0][0])


def check_derived(server):
    """What derived streams hold, once all that was written has come through."""
    problems = []
    for stream, sql in DERIVED.items():
        deadline = time.monotonic() + 60
        while count(server, "FROM " + stream) < count(server, sql) and time.monotonic() < deadline:
            time.sleep(0.1)
        missing = difference(server, sql, "FROM " + stream)
        beyond = difference(server, "FROM " + stream, sql)
        if missing or beyond:
            problems.append("stream %s: %d rows missing, %d too many" % (stream, missing, beyond))
    return problems


def difference(server, rows, others):
    """How many rows are not among others; a part at a time, as one query may hold."""
    parts = 1 + count(server, rows) // (2 * PART)
    part = "SELECT * FROM (%s) AS part(a, b%s) WHERE hash(a, b) %% %d = %d"
    more = ", c" if len(query(server, rows + " LIMIT 1")[0]) == 3 else ""
    return sum(
        count(server, "(%s) EXCEPT ALL (%s)" % (part % (rows, more, parts, i), part % (others, more, parts, i)))
        for i in range(parts)
    )


def verify(weir, server):
    done = subprocess.run(
        [weir, "verify", "--url", server.url], capture_output=True, text=True, timeout=600
    )
    if done.returncode == 0:
        return []
    return ["weir verify: exit code %d\n%s%s" % (done.returncode, done.stdout, done.stderr)]


def report(problems, server, data):
    if problems:
        print("\n".join(problems))
        print("the last lines of the server:\n" + "".join(server.lines), end="")
        print("data folder kept: " + data)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weir", default="build/weir")
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=10_000,
                        help="the most events a second of a writer: every check asks for all there were")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--life", type=float, default=0.6, help="longest life in seconds")
    parser.add_argument("--check-every", type=int, default=10, help="cycles between checks")
    parser.add_argument("--disk", type=int, default=2000, help="size of the data's disk in MB, for filling it up")
    parser.add_argument("--start-timeout", type=float, default=60)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 32)
    print("seed %d" % seed, flush=True)
    dice = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="weir-kill-")
    project, disk = os.path.join(folder, "project"), FullDisk(os.path.join(folder, "disk"), arguments.disk)
    data = os.path.join(disk.folder, "data")
    os.makedirs(project)
    with open(os.path.join(project, "weir.toml"), "w") as file:
        file.write(SETTINGS)
    with open(os.path.join(project, "views.sql"), "w") as file:
        file.write(PROJECT_SQL)

    server = Server(os.path.abspath(arguments.weir), project, data, arguments.start_timeout)
    stop = threading.Event()
    writers = [Writer(i, server, dice.random(), stop, arguments.rate) for i in range(arguments.writers)]
    others = [kind(-1, server, dice.random(), stop, arguments.rate) for kind in (DedupWriter, TableWriter, DdlWriter)]
    problems = []
    slowest_start = 0.0
    began = time.monotonic()
    try:
        slowest_start = server.start()
        for writer in writers + others:
            writer.start()
        for cycle in range(1, arguments.cycles + 1):
            life = dice.random() * arguments.life
            if dice.random() < 0.2:
                time.sleep(life / 2)
                disk.fill(dice.choice((0, 4096, 100_000)))
                life /= 2
            time.sleep(life)
            if dice.random() < 0.5:
                disk.empty()  # some lives see the end of it
                time.sleep(dice.random() * 0.1)
            server.kill()
            disk.empty()
            if dice.random() < 0.25:
                shutil.rmtree(os.path.join(data, "checkpoint"), ignore_errors=True)
            slowest_start = max(slowest_start, server.start())
            if cycle % arguments.check_every == 0:
                # Beside the writers: what is acknowledged before the question must be in the answer.
                problems = check_while_writing(server, writers)
            print(
                "cycle %d of %d: %d events acknowledged, %d requests sent again"
                % (
                    cycle,
                    arguments.cycles,
                    sum(writer.acknowledged for writer in writers),
                    sum(writer.repeats for writer in writers + others),
                ),
                flush=True,
            )
            if problems or stop.is_set():
                break
        time.sleep(0.2)
        stop.set()
        for writer in writers + others:
            writer.join()
        problems += [writer.problem for writer in writers + others if writer.problem]
        problems += check(server, writers, {writer.index: writer.sent for writer in writers})
        for problem in problems:
            print(problem, flush=True)
        problems += check_derived(server)
        for other in others:
            problems += other.check(server)
        problems += verify(server.command[0], server)
        ended = server.stop()
        if ended != 0:
            problems.append("the server ended with %s after SIGTERM" % ended)
    except BaseException:
        ended = server.process.poll() if server.process else None
        print("the server ended by itself with %s; its last lines:\n%s" % (ended, "".join(server.lines)), end="")
        raise
    finally:
        stop.set()
        server.kill()
        data = disk.close(folder)
    report(problems, server, data)
    events = sum(writer.acknowledged for writer in writers)
    print(
        "%s: %d cycles, %d events, %d rows sent twice, %d changes of a table, %d streams made and dropped, "
        "%d full disks, %d requests sent again, slowest start %.2f s, %.0f s in all, seed %d"
        % (
            "FAILED" if problems else "nothing lost, nothing doubled, derived streams and views equal batch",
            arguments.cycles,
            events,
            *(other.acknowledged for other in others),
            disk.times,
            sum(writer.repeats for writer in writers + others),
            slowest_start,
            time.monotonic() - began,
            seed,
        )
    )
    if not problems:
        shutil.rmtree(folder)
    return 1 if problems else 0


class Snapshot:
    """What a writer had been promised at one moment."""

    def __init__(self, writer):
        self.index = writer.index
        self.acknowledged = writer.acknowledged


def check_while_writing(server, writers):
    promised = [Snapshot(writer) for writer in writers]
    return check(server, promised, collections.defaultdict(lambda: 1 << 62))


if __name__ == "__main__":
    sys.exit(main())
