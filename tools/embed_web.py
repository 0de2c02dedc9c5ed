#!/usr/bin/env python3
"""Writes an assembly file that carries web/dist inside the program.

usage: embed_web.py DIST OUTPUT.S

Without a built web app the program carries none and says so where a page is asked for.
"""
import pathlib
import sys


def main():
    dist, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    files = [p for p in sorted(dist.rglob("*")) if p.is_file() and p.suffix not in (".gz", ".br")]
    lines = ['.section .note.GNU-stack,"",@progbits', ".section .rodata"]
    entries = []

    def blob(label, path):
        lines.append(f'{label}: .incbin "{path.resolve()}"')
        lines.append(f"{label}_end:")

    for number, path in enumerate(files):
        blob(f"web_{number}", path)
        compressed = path.with_name(path.name + ".gz")
        name = "/" + path.relative_to(dist).as_posix()
        lines.append(f'web_{number}_path: .asciz "{name}"')
        entry = [f".quad web_{number}_path, web_{number}, web_{number}_end - web_{number}"]
        if compressed.exists():
            blob(f"web_{number}_gz", compressed)
            entry.append(f".quad web_{number}_gz, web_{number}_gz_end - web_{number}_gz")
        else:
            entry.append(".quad 0, 0")
        entries += entry
    lines += [".section .data.rel.ro", ".balign 8", ".globl weir_embedded_files",
              "weir_embedded_files:", *entries, ".quad 0, 0, 0, 0, 0",
              ".globl weir_embedded_file_count", "weir_embedded_file_count:",
              f".quad {len(files)}", ""]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines))


main()
