#!/usr/bin/env python3
"""Checks that every #include in src/ points down, as the table in ARCHITECTURE.md says."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (\d) \| `(\w+)` \|[^|]*\|([^|]*)\|$")
INCLUDE = re.compile(r'^\s*#include "([\w/]+)/[^/"]+"')


def read_table(path):
    """Folder -> the folders it may include."""
    levels, allowed = {}, {}
    for line in path.read_text().splitlines():
        if match := ROW.match(line):
            level, folder, may = int(match[1]), match[2], match[3].strip()
            levels[folder] = level
            allowed[folder] = may
    for folder, may in allowed.items():
        allowed[folder] = set(levels) if may == "everything" else set(may.split()) & set(levels)
        for other in allowed[folder]:
            if levels[other] >= levels[folder] and may != "everything":
                sys.exit(f"{path.name}: {folder} may not include {other}, which is not below it")
    return allowed


def main():
    allowed = read_table(ROOT / "ARCHITECTURE.md")
    folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    wrong = [f"src/{name}: not in the table of ARCHITECTURE.md" for name in sorted(folders ^ set(allowed))]
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        folder = path.relative_to(ROOT / "src").parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match[1].split("/")[0]
            if target in allowed and target != folder and target not in allowed[folder]:
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {folder} must not include {target}")
    print("\n".join(wrong) if wrong else f"layers: {len(allowed)} folders, every include points down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
