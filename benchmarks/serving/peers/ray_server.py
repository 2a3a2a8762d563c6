"""Ray Serve, one replica behind its HTTP proxy."""

import argparse
import time

import joblib
import numpy as np
import ray
from ray import serve
from starlette.requests import Request

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--batching", action="store_true")
given = parser.parse_args()


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Measured:
    def __init__(self, path: str, batching: bool) -> None:
        self.model = joblib.load(path)
        self.batching = batching

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def together(self, many):
        ends = np.cumsum([len(rows) for rows in many])
        return np.split(self.model.predict_proba(np.concatenate(many))[:, 1], ends[:-1])

    async def __call__(self, request: Request):
        rows = np.asarray((await request.json())["instances"], dtype=np.float64)
        answer = await self.together(rows) if self.batching else self.model.predict_proba(rows)[:, 1]
        return {"predictions": answer.tolist()}


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
serve.start(http_options={"host": "127.0.0.1", "port": given.port})
serve.run(Measured.bind(given.model, given.batching), route_prefix="/predict")
while True:
    time.sleep(3600)
