"""Predictions on their way from the segments of the model servers to files that everybody can read. Runs beside them, at low priority."""
