"""MLflow: the run of a job, the tracking server, the queue of entries that wait for it, and models by their address."""

import os

# MLflow's telemetry is off: its thread would change the environment while requests read it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
