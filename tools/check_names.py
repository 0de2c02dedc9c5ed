#!/usr/bin/env python3
"""Checks that no two files of src/ define a type of one name in namespace weir: the linker would
take either one's functions for both.  Types in unnamed namespaces are a file's own."""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TYPE = re.compile(r"^(?:class|struct|union|enum(?: class)?)\s+(?:alignas\([^)]*\)\s+)?(\w+)(?: final)?\s*(?::(?!:)[^;(]*)?\{?$")
NAMESPACE = re.compile(r"^(?:inline )?namespace(?:\s+([\w:]+))?\s*\{")
CLOSED = re.compile(r"^\}\s*//\s*namespace(?:\s+([\w:]+))?\s*$")


def defined_in(path):
    """The types a file defines outside of unnamed namespaces, with the names of these before them."""
    inside, pending = [], ""
    for line in path.read_text().splitlines():
        if match := NAMESPACE.match(line):
            inside.append(match[1] or "")
        elif CLOSED.match(line) and inside:
            inside.pop()
        elif "" not in inside and (match := TYPE.match(line.split("//")[0].rstrip())):
            pending = match[1]
        if pending and "{" in line:
            yield "::".join(inside + [pending])
            pending = ""
        elif line.rstrip().endswith(";"):
            pending = ""


def main():
    files = collections.defaultdict(set)
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix in (".cc", ".h") and not path.stem.endswith(("_test", "_fuzz")):
            for name in defined_in(path):
                files[name].add(str(path.relative_to(ROOT)))
    wrong = [f"{name} is defined in {' and '.join(sorted(where))}" for name, where in files.items() if len(where) > 1]
    print("\n".join(wrong) if wrong else f"names: {len(files)} types, each defined once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
