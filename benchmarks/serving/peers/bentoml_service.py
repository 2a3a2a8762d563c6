"""BentoML, one worker. The file of the model and the options come by environment, since `bentoml serve` imports this file."""

import os

import bentoml
import joblib
import numpy as np

BATCHING = os.environ.get("MEASURED_BATCHING") == "1"


@bentoml.service(workers=1, traffic={"timeout": 60})
class Measured:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MEASURED_MODEL"])

    @bentoml.api(route="/predict", batchable=BATCHING, max_batch_size=64, max_latency_ms=1000)
    def predict(self, instances: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(np.asarray(instances, dtype=np.float64))[:, 1]
