"""FastAPI on uvicorn, one worker."""

import argparse

import joblib
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
given = parser.parse_args()
model = joblib.load(given.model)
app = FastAPI()


class Rows(BaseModel):
    instances: list[list[float]]


@app.post("/predict")
async def predict(rows: Rows) -> dict[str, list[float]]:
    return {"predictions": model.predict_proba(np.asarray(rows.instances))[:, 1].tolist()}


uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="error", access_log=False)
