"""LitServe, one worker on the CPU."""

import argparse

import joblib
import litserve
import numpy as np


class Measured(litserve.LitAPI):
    path: str

    def setup(self, device):
        self.model = joblib.load(self.path)

    def decode_request(self, request):
        return np.asarray(request["instances"], dtype=np.float64)

    def batch(self, inputs):
        self.lengths = [len(rows) for rows in inputs]
        return np.concatenate(inputs)

    def unbatch(self, output):
        ends = np.cumsum(self.lengths)
        return np.split(output, ends[:-1])

    def predict(self, rows):
        return self.model.predict_proba(rows)[:, 1]

    def encode_response(self, output):
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batching", action="store_true")
    given = parser.parse_args()
    api = Measured(max_batch_size=64, batch_timeout=0.001) if given.batching else Measured()
    api.path = given.model
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=given.port, generate_client_file=False, log_level="error", num_api_servers=1)
