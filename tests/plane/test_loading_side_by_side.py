"""Several models loaded at the same time by threads of one server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LinearRegression

from tilth.flavours import save_model
from tilth.wire.models import DOCUMENT_NAME

# In a fresh interpreter: what is tested happens once in the life of a process, and ended it with SIGSEGV.
READ_BY_EIGHT_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
import msgspec
from tilth.wire.models import ModelDocument

content, start = Path(sys.argv[1]).read_bytes(), Barrier(8)
sys.setswitchinterval(1e-6)

def read(_):
    start.wait()
    return msgspec.json.decode(content, type=ModelDocument).flavour

with ThreadPoolExecutor(8) as threads:
    print(set(threads.map(read, range(8))))
"""


def test_documents_of_models_are_read_by_threads_side_by_side(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]})
    save_model(LinearRegression().fit(frame, frame.a), tmp_path, example=frame)
    for _ in range(6):
        asked = [sys.executable, "-c", READ_BY_EIGHT_THREADS, str(tmp_path / DOCUMENT_NAME)]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, "{'sklearn'}"), done.stderr
