"""The job that registers lifters in MLflow: exported, packaged without this repository's code, compared, promoted."""

import pipelines.mlflow_runs  # noqa: F401 (it sets an environment variable that MLflow reads when it is imported)
