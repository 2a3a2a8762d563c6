"""Each peer's own server for the one model of this benchmark, run by the Python of the peer's own environment.

    python <file> --model model.joblib --port N [--batching]

Written the way the peer's documentation starts out; `--batching` switches on what it offers to join requests.
"""
