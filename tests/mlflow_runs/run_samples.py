"""What tests of runs share: a config, how a server behaves, and what it has of a run."""

import mlflow

from schemas.configs.label import LabelConfig

CONFIG = LabelConfig(videos="v", output="out")


def away(number, method, path):
    """A server that cannot be reached."""
    return "reset"


def back(number, method, path):
    """A server that answers."""
    return


def history(record, metric):
    """The steps and values of a run's metric."""
    entries = mlflow.MlflowClient().get_metric_history(record.run_id, metric)
    return [(entry.step, entry.value) for entry in entries]
