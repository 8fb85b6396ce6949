"""The job that registers lifters in MLflow: exported, packaged without this repository's code, compared, promoted."""

import pipelines.mlflow_runs  # noqa: F401 (what it sets must be set before MLflow is imported)
