"""Runs the code blocks of one page in order: python blocks in one namespace, bash blocks in the same folder. Argument: the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main(page: Path) -> None:
    text = page.read_text()
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 2
        kind, code = block.groups()
        if kind == "python":
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
