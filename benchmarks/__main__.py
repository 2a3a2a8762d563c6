"""Every benchmark, each in a process of its own, and one table at the end.

    python -m benchmarks [--quick] [--only startup,writes] [--json FILE]

A script that fails says so and the others go on; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Figure, machine, script_names, show

PATIENCE_S = 900


def main() -> int:
    names = script_names()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few passes and small counts, to see that all of it works")
    parser.add_argument("--only", default="", help=f"some of: {','.join(names)}")
    parser.add_argument("--json", type=Path, help="also append one line of JSON for each script to this file")
    given = parser.parse_args()
    wanted = [name.strip() for name in given.only.split(",") if name.strip()] or names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names)}")
    figures: list[Figure] = []
    failed = []
    for name in wanted:
        print(f"{name} ...", file=sys.stderr, flush=True)
        line = _run(name, given.quick)
        if line is None:
            failed.append(name)
            continue
        figures += [Figure(**fields) for fields in json.loads(line)["figures"]]
        if given.json:
            with given.json.open("a") as stream:
                stream.write(line + "\n")
    show(figures, machine())
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, quick: bool) -> str | None:
    """The line of JSON that the script printed, or None if it failed."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if quick else [])]
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"{name} did not end within {PATIENCE_S} s", file=sys.stderr)
        return None
    lines = ended.stdout.strip().splitlines()
    return lines[-1] if ended.returncode == 0 and lines else None


if __name__ == "__main__":
    sys.exit(main())
