"""The job that registers lifters in MLflow: exported, packaged without this repository's code, compared, promoted."""
