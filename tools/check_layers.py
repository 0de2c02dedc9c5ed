#!/usr/bin/env python3
"""Checks that every #include in src/ points where the tables of ARCHITECTURE.md let it: down from
folder to folder, between the rooms of a folder as they say, and to DuckDB and the system through
the folders that stand for them."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (\d+) \| `(\w+)` \|[^|]*\|([^|]*)\|$")
ROOM = re.compile(r"^\| `(\w+(?:/\w+)?)` \|[^|]*\|([^|]*)\|$")
OUTSIDE = re.compile(r'^\s*#include ["<]([\w/.]+)[">]')
# Not the C library's headers that are the C++ standard's as well.
SYSTEM = re.compile(r"(?:(?:unistd|fcntl|signal|pthread|malloc|poll|sched|dirent|termios|netdb|dlfcn|spawn|syslog|"
                    r"execinfo|ucontext)\.h|(?:sys|arpa|net|netinet|linux|asm)/.*)$")
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


def read_rooms(path):
    """Room -> the rooms of its folder that it may include; the folder itself is one of them."""
    rooms = {}
    for line in path.read_text().splitlines():
        if match := ROOM.match(line):
            folder = match[1].split("/")[0]
            rooms[match[1]] = {name if name == folder else f"{folder}/{name}" for name in match[2].split()}
    for room, may in rooms.items():
        if missing := may - set(rooms):
            sys.exit(f"{path.name}: {room} may include {', '.join(sorted(missing))}, which is no room")
    return rooms


def read_doors(path):
    """Beginnings of what is included from outside -> who may; "duckdb" and "system" are all else."""
    doors, table = {}, False
    for line in path.read_text().splitlines():
        if line.startswith("| outside |"):
            table = True
        elif table and not line.startswith("|"):
            break
        elif table and not line.startswith("|---"):
            what, who = (cell.strip() for cell in line.strip("|").split("|"))
            names = ["duckdb"] if what.startswith("all else of DuckDB") else \
                    ["system"] if what.startswith("the system") else re.findall(r"`([^`]+)`", what)
            doors.update({name: set(who.split()) for name in names})
    return doors


def door_of(header, doors):
    """The door an include goes through; none for what is ours or the standard library's."""
    for name in doors:
        if header.startswith(name) and name not in ("duckdb", "system"):
            return name
    if header.startswith("duckdb"):
        return "duckdb"
    return "system" if SYSTEM.match(header) else None


def rooms_of(sources):
    """Of folders that have folders in them: those, and the folder itself."""
    inner = {str(path.relative_to(sources)) for path in sources.glob("*/*") if path.is_dir()}
    return inner | {room.split("/")[0] for room in inner}


def main():
    allowed = read_table(ROOT / "ARCHITECTURE.md")
    rooms = read_rooms(ROOT / "ARCHITECTURE.md")
    doors = read_doors(ROOT / "ARCHITECTURE.md")
    if not {"duckdb", "system"} <= set(doors):
        sys.exit("ARCHITECTURE.md: no table of what stands outside of src/")
    folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    wrong = [f"src/{name}: not in the table of ARCHITECTURE.md"
             for name in sorted(folders ^ set(allowed) | rooms_of(ROOT / "src") ^ set(rooms))]
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        room = path.relative_to(ROOT / "src").parent.as_posix()
        folder = room.split("/")[0]
        is_test = path.stem.endswith(("_test", "_fuzz")) or path.stem.startswith("test_")  # stands beside what it tests, and uses all of it
        for number, line in enumerate(path.read_text().splitlines(), 1):
            outside = OUTSIDE.match(line)
            door = door_of(outside[1], doors) if outside and not is_test else None
            may = doors[door] | (doors["duckdb"] if door != "system" else set()) if door else set()
            if door and not {folder, path.relative_to(ROOT / "src").as_posix()} & may:
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {folder} must not include {outside[1]}")
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match[1].split("/")[0]
            if target == folder and match[1] != room and not is_test and match[1] not in rooms.get(room, ()):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {room} must not include {match[1]}")
            if target in allowed and target != folder and target not in allowed[folder]:
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {folder} must not include {target}")
    print("\n".join(wrong) if wrong
          else f"layers: {len(allowed)} folders, {len(rooms)} rooms, {len(doors)} doors, every include points down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
