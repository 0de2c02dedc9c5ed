#!/usr/bin/env python3
"""Every test of the project, step by step; called by ./test, which installs what they need."""

import argparse
import concurrent.futures
import glob
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build-logs"
CORES = os.cpu_count() or 2
FUZZ_SECONDS = 10
KILL_CYCLES = 8
# Sanitizers need more address space and system calls than a query's process may have.
SHUT_IN = "SandboxTest.*:QueriesTest.*"
# How much of the randomised tests runs under a sanitizer, which makes them ten times slower.
LESS = {"WEIR_CRASH_STATES": "20", "WEIR_STEPS": "60", "WEIR_TPCH_STEPS": "6", "WEIR_QUERIES": "80",
        "WEIR_RULE_ROUNDS": "3", "WEIR_LAKE_TRIES": "1"}
# Test binaries that take much longer than the others, and in how many parts they run.
LONG_TESTS = {"slt_test": 4, "lake_test": 2}
SANITIZER_OPTIONS = {"UBSAN_OPTIONS": "print_stacktrace=1", "ASAN_OPTIONS": "detect_leaks=1"}


def build(preset, *targets):
    """Builds a preset; the steps after it have nothing to run when that fails."""
    subprocess.run(["tools/build", preset, *targets], cwd=ROOT, check=True)


# What a line of a log that says what failed looks like; and how much of it the end shows again.
TELLING = re.compile(r"\[  FAILED  \]|: Failure$|^(FAIL|ERROR): |^\w*Error\b|^(SUMMARY|WARNING): |differ|^not ok|seed|"
                     r"^stopped")
TELLING_LINES = 12


class Outcome:
    def __init__(self, passed=0, failed=0, failures=()):
        self.passed, self.failed, self.failures = passed, failed, list(failures)

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.failures += other.failures
        return self


def counts_of_gtest(text):
    passed = re.findall(r"\[  PASSED  \] (\d+) test", text)
    failed = re.findall(r"\[  FAILED  \] (\d+) test", text)
    return int(passed[-1]) if passed else 0, int(failed[-1]) if failed else 0


def counts_of_unittest(text):
    ran = re.findall(r"^Ran (\d+) test", text, re.M)
    bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", text))
    skipped = sum(int(n) for n in re.findall(r"skipped=(\d+)", text))
    return (int(ran[-1]) if ran else 0) - bad - skipped, bad


def counts_of_node(text):
    number = lambda word: sum(int(n) for n in re.findall(rf"^(?:#|ℹ) {word} (\d+)", text, re.M))
    return number("pass"), number("fail") + number("cancelled")


def counts_of_vitest(text):
    line = re.findall(r"^\s*Tests\s.*$", text, re.M)
    number = lambda word: int((re.findall(rf"(\d+) {word}", line[-1]) or [0])[0]) if line else 0
    return number("passed"), number("failed")


def counts_of_one(text):
    return 1, 0


def run(name, command, counts=counts_of_one, env=None, timeout=1500, cwd=ROOT):
    """Runs one command; its output goes to build-logs, and to the terminal when it fails."""
    started = time.monotonic()
    log = LOGS / (re.sub(r"\W+", "-", name) + ".log")
    with open(log, "wb") as file:
        try:
            code = subprocess.run([str(part) for part in command], cwd=cwd, stdout=file,
                                  stderr=subprocess.STDOUT, timeout=timeout,
                                  env={**os.environ, **(env or {})}).returncode
        except subprocess.TimeoutExpired:
            file.write(f"\nstopped after {timeout} s\n".encode())
            code = -1
    text = log.read_text(errors="replace")
    passed, failed = counts(text) if code == 0 or counts is not counts_of_one else (0, 1)
    if code != 0 and failed == 0:
        failed = 1
    if code == 0 and passed == 0:
        failed += 1
        text += "\nno test ran\n"
    took = time.monotonic() - started
    print(f"{'ok  ' if failed == 0 else 'FAIL'} {name}: {passed} passed, {failed} failed, {took:.0f} s",
          flush=True)
    if failed:
        print("".join(f"  | {line}\n" for line in text.splitlines()[-80:]), end="", flush=True)
        return Outcome(passed, failed, [(name, telling(text))])
    return Outcome(passed, failed)


def telling(text):
    lines = text.splitlines()
    return [line[:400] for line in lines if TELLING.search(line)][:TELLING_LINES] or lines[-TELLING_LINES:]


def gtests(folder, env=None, but=""):
    """All test binaries of a build, as many at once as there are cores; the long one in parts, first."""
    binaries = sorted(glob.glob(str(ROOT / folder / "*_test")))
    label = "" if folder == "build" else f"{folder.removeprefix('build-')} "
    jobs = []
    for path in binaries:
        name = os.path.basename(path)
        parts = LONG_TESTS.get(name, 1)
        for part in range(parts):
            shard = {"GTEST_TOTAL_SHARDS": str(parts), "GTEST_SHARD_INDEX": str(part)} if parts > 1 else {}
            job = (f"{label}{name}{f' {part + 1} of {parts}' if parts > 1 else ''}", path, shard)
            jobs.insert(part if parts > 1 else len(jobs), job)
    total = Outcome()
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        for outcome in pool.map(
                lambda job: run(job[0], [job[1], f"--gtest_filter=-{but}"], counts_of_gtest,
                                {**(env or {}), **job[2]}), jobs):
            total += outcome
    if not binaries:
        print(f"FAIL {folder}: no test binaries")
        total.failed += 1
    return total


def step_check():
    return run("check", ["tools/check"])


def step_unit():
    build("release")
    return gtests("build")


def step_lint():
    build("release")  # lint reads how each file is compiled
    return run("lint", ["tools/check", "--lint"])


def step_web():
    total = run("web types", ["npm", "run", "--silent", "check"], cwd=ROOT / "web")
    total += run("web units", ["npm", "test", "--silent"], counts_of_vitest, cwd=ROOT / "web",
                 env={"NO_COLOR": "1"})
    return total


def step_e2e():
    build("release", "weir", "bench_tpch")
    return run("e2e", [sys.executable, "-m", "unittest", "discover", "-s", "tests/e2e", "-p", "test_*.py"],
               counts_of_unittest)


def step_browser():
    build("release", "weir")
    total = run("browser, every page", ["node", "--test", "tests/e2e/browser/page.test.mjs"], counts_of_node)
    total += run("browser, the real server", [sys.executable, "tests/e2e/browser/run_dashboard.py"],
                 counts_of_node)
    return total


def step_fault():
    build("release", "weir")
    return run("SIGKILL under load", [sys.executable, "tests/fault/kill_loop.py", "--weir", "build/weir",
                                      "--cycles", KILL_CYCLES])


def step_bench():
    build("release")
    return run("benchmarks, short", ["./bench", "--short", "--json"])


def step_asan():
    build("asan")
    return gtests("build-asan", {**LESS, **SANITIZER_OPTIONS}, SHUT_IN)


def step_tsan():
    build("tsan")
    return gtests("build-tsan", {**LESS, "TSAN_OPTIONS": "second_deadlock_stack=1"}, SHUT_IN)


def step_fuzz():
    build("fuzz", *(path.name.removesuffix(".cc") for path in (ROOT / "src").rglob("*_fuzz.cc")))
    total = Outcome()
    targets = sorted(glob.glob(str(ROOT / "build-fuzz" / "*_fuzz")))
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        for outcome in pool.map(
                lambda path: run(f"fuzz {os.path.basename(path)}",
                                 [path, f"-max_total_time={FUZZ_SECONDS}", "-rss_limit_mb=4096",
                                  f"-artifact_prefix={LOGS}/"]), targets):
            total += outcome
    if not targets:
        print("FAIL fuzz: no targets")
        total.failed += 1
    return total


STEPS = {
    "check": step_check, "unit": step_unit, "lint": step_lint, "web": step_web, "e2e": step_e2e, "browser": step_browser,
    "fault": step_fault, "bench": step_bench, "fuzz": step_fuzz, "asan": step_asan, "tsan": step_tsan,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--list", action="store_true", help="name the steps")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(STEPS))
        return 0
    unknown = [step for step in arguments.steps if step not in STEPS]
    if unknown:
        parser.error(f"no step {', '.join(unknown)}; there are {', '.join(STEPS)}")
    LOGS.mkdir(exist_ok=True)
    total = Outcome()
    for name in arguments.steps or STEPS:
        print(f"== {name}", flush=True)
        try:
            total += STEPS[name]()
        except subprocess.CalledProcessError as error:
            print(f"FAIL {name}: {' '.join(error.cmd)} ended with {error.returncode}", flush=True)
            total.failed += 1
    for name, lines in total.failures:
        print(f"== failed: {name} (all of it in {LOGS.name})")
        print("".join(f"  | {line}\n" for line in lines), end="")
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
