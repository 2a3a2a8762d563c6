"""A bare ASGI application with orjson on uvicorn: about as little as an HTTP server in Python can do."""

import argparse

import joblib
import numpy as np
import orjson
import uvicorn

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
given = parser.parse_args()
model = joblib.load(given.model)
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    rows = np.asarray(orjson.loads(body)["instances"], dtype=np.float64) if body else np.empty((0, 30))
    answer = model.predict_proba(rows)[:, 1] if len(rows) else rows[:, 0]
    content = orjson.dumps({"predictions": np.ascontiguousarray(answer)}, option=orjson.OPT_SERIALIZE_NUMPY)
    await send({**HEAD, "headers": [*HEAD["headers"], (b"content-length", str(len(content)).encode())]})
    await send({"type": "http.response.body", "body": content})


uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="error", access_log=False, lifespan="off")
