"""KServe's Python SDK: a custom model, protocol v1, one worker."""

import argparse

import joblib
import kserve
import numpy as np
from kserve import Model, ModelServer

parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
given = parser.parse_args()


class Measured(Model):
    def load(self):
        self.model = joblib.load(given.model)
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):
        rows = np.asarray(payload["instances"], dtype=np.float64)
        return {"predictions": self.model.predict_proba(rows)[:, 1].tolist()}


measured = Measured("m")
measured.load()
ModelServer(http_port=given.port, workers=1, enable_grpc=False).start([measured])
