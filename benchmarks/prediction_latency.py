"""What a prediction costs over HTTP: Tilth's model server beside MLflow's scoring server, one machine, one run, the same model and rows.

    python benchmarks/prediction_latency.py [--seconds 5] [--peer mlflow] [--json]

The model is of the size of the flight-delay example: histogram gradient boosting over 15 columns, 3 of them categories. The client
speaks HTTP/1.1 over kept-alive connections from one process, which takes some of the same cores: ratios mean more than figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from tilth.core.hashing import Manifest
from tilth.flavours import save_model
from tilth.plane.server import listen
from tilth.wire.plane import (
    CACHE_FOLDER,
    STATE_PATH,
    ModelFile,
    PlaneDeployment,
    PlaneRoute,
    PlaneState,
    PlaneToken,
    PlaneVersion,
)

TOKEN = "benchmark"
TILTH_PATH = "/p/bench/deployments/delay/invocations"


def make_model(folder: Path) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{at}": rng.normal(size=20_000) for at in range(12)})
    for name, size in (("origin", 3), ("carrier", 16), ("dest", 100)):
        frame[name] = pd.Categorical(rng.choice([f"{name}{code}" for code in range(size)], len(frame)))
    late = (frame.x0 + 0.3 * frame.x1 + rng.normal(size=len(frame)) > 0.8).astype(int)
    model = HistGradientBoostingClassifier(max_iter=200, categorical_features="from_dtype").fit(frame, late)
    document = save_model(model, folder, example=frame.head(200))
    print("engine:", document.compiled[0].engine if document.compiled else f"scikit-learn ({document.not_compiled})")
    return frame


def make_home(home: Path, folder: Path) -> None:
    manifest = Manifest.of_folder(folder)
    place = home / CACHE_FOLDER / manifest.digest
    place.parent.mkdir(parents=True)
    folder.rename(place)
    files = tuple(ModelFile(entry.path, entry.digest, entry.size) for entry in manifest.files)
    version = PlaneVersion("delay", 1, "m-" + "0" * 32, manifest.digest, files)
    deployment = PlaneDeployment("d", "p", "bench", "delay", 1, (version,), (PlaneRoute(version.key, 10_000),))
    token = PlaneToken(hashlib.sha256(TOKEN.encode()).hexdigest(), "bench", ("p",), None)
    state = PlaneState(1, 0, "http://127.0.0.1:9", (deployment,), (token,))
    (home / STATE_PATH).write_bytes(msgspec.json.encode(state))


@contextlib.contextmanager
def tilth_server(home: Path, workers: int) -> Iterator[int]:
    """`workers` processes on one port, as the supervisor starts them."""
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    listeners = [first, *(listen("127.0.0.1", port) for _ in range(workers - 1))]
    processes = []
    for number, listener in enumerate(listeners):
        arguments = [
            sys.executable,
            "-m",
            "tilth.plane",
            "--home",
            str(home),
            "--worker",
            f"w{number}",
            "--fd",
            str(listener.fileno()),
        ]
        processes.append(subprocess.Popen(arguments, pass_fds=(listener.fileno(),), stderr=subprocess.DEVNULL))
    try:
        time.sleep(3)
        memory = [int(Path(f"/proc/{process.pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) for process in processes]
        print("tilth memory, PSS per worker:", ", ".join(f"{kilobytes / 1024:.0f} MB" for kilobytes in memory))
        yield port
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        for listener in listeners:
            listener.close()


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "-m", str(folder), "-p", str(port)]
    # Its own default is as many worker processes as it likes; one is what one of ours is compared with.
    arguments += ["--workers", "1"]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"},
    )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.2)
        time.sleep(3)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait()


async def client(port: int, requests: list[bytes], until: float, spans: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    at = 0
    while time.perf_counter() < until:
        start = time.perf_counter()
        writer.write(requests[at % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        spans.append(time.perf_counter() - start)
        at += 1
    writer.close()


def measure(port: int, path: str, frame: pd.DataFrame, clients: int, seconds: float) -> dict[str, float]:
    requests = []
    for row in range(200):
        split = json.loads(frame.iloc[[row]].to_json(orient="split", index=False))
        body = json.dumps({"dataframe_split": split}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        requests.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def run(span_s: float) -> list[float]:
        spans: list[float] = []
        until = time.perf_counter() + span_s
        await asyncio.gather(*(client(port, requests[at:] + requests[:at], until, spans) for at in range(clients)))
        return spans

    asyncio.run(run(0.5))
    spans = sorted(asyncio.run(run(seconds)))
    return {
        "clients": clients,
        "requests_per_s": round(len(spans) / seconds),
        "p50_ms": round(spans[len(spans) // 2] * 1e3, 3),
        "p99_ms": round(spans[int(len(spans) * 0.99)] * 1e3, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--workers", type=int, default=1, help="processes of Tilth's model server")
    parser.add_argument("--peer", choices=["mlflow"], help="measure this server beside ours")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    given = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        frame = make_model(root / "model")
        if given.peer == "mlflow":
            with mlflow_server(root / "model") as port:
                results["mlflow"] = [measure(port, "/invocations", frame, clients, given.seconds) for clients in (1, 8)]
        make_home(root / "home", root / "model")
        with tilth_server(root / "home", given.workers) as port:
            results["tilth"] = [measure(port, TILTH_PATH, frame, clients, given.seconds) for clients in (1, 8, 64)]
    for name, rows in results.items():
        for row in rows:
            print(
                f"{name:8} {row['clients']:3} clients  {row['requests_per_s']:7,}/s  p50 {row['p50_ms']} ms  p99 {row['p99_ms']} ms"
            )
    if "mlflow" in results:
        ours, theirs = results["tilth"], results["mlflow"]
        print(f"p50 at 1 client: 1/{theirs[0]['p50_ms'] / ours[0]['p50_ms']:.0f} of MLflow's")
        print(f"requests/s at 8 clients: {ours[1]['requests_per_s'] / theirs[1]['requests_per_s']:.0f} times MLflow's")
    if given.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
