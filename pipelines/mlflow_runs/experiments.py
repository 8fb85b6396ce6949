"""The experiment that jobs record their runs in, and what its page says."""

import os
from contextlib import suppress

from pipelines.mlflow_runs import tracking_server
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.names import DESCRIPTION_TAG
from schemas.errors import UserError

# MLflow shows experiments of this kind with the columns and charts of model training, and others as GenAI evaluations.
_KIND = "mlflow.experimentKind"
_MODEL_TRAINING = "custom_model_development"
# A browser that opens MLflow 3.17 for the first time gets the pages of GenAI, whatever the kind. They show the first
# line of the description, so it leads to the runs.
_TEXT = """Raylift, video to 3D poses: [**see its runs and models**]({page}), or choose *Model training* (top left).

| job | what a run of it is |
|---|---|
| `label` | a detector run over videos; the result is keypoint tracks |
| `import_poses`, `import_keypoints` | tracks made of motion capture, or of keypoints of other systems |
| `triangulate` | labeled tracks made of several calibrated views |
| `curate` | the tracks that are worth training on, chosen among others |
| `train`, `compare` | lifters in training, each epoch a step |
| `tune` | a search; its trials are its children |
| `evaluate` | a lifter scored by the protocols of the field |
| `register` | a lifter registered as a model, and promoted if it is better |
| `lift` | poses made of tracks or videos |
| `train_aligner` | embeddings of keypoints in training, each epoch a step |
| `embed` | embeddings of the frames of tracks |
| `align` | recordings of one action put in step with a reference |
| `train_detector` | a detector of 2D keypoints in training, each epoch a step |
| `evaluate_detector` | a detector scored on annotated people |
| `fit_noise` | the errors of a detector, measured |
| `demo`, `demo_multiview` | all of it on made videos; each step is a child |

The dataset of a run says which tracks it read; its parameters are the config that repeats it. What stands where is in
`docs/mlflow.md` of Raylift; `raylift JOB --help` explains a job.
"""


def name() -> str:
    """The experiment that `MLFLOW_EXPERIMENT_NAME` names, else "raylift"."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or "raylift"


def require_active() -> None:
    """Check that nobody has deleted the experiment.

    Raises:
        UserError: The experiment was deleted.
        mlflow.MlflowException: The store cannot be used.
    """
    known = mlflow.MlflowClient().get_experiment_by_name(name())
    if known is not None and known.lifecycle_stage != "active":
        raise UserError(
            f"MLFLOW_EXPERIMENT_NAME={name()}: this experiment was deleted; give another name, or bring it back: "
            f"mlflow experiments restore --experiment-id {known.experiment_id}"
        )


def use() -> None:
    """Make the experiment if there is none, describe it once, and record in it from now on.

    An experiment that has a kind or a description, of a user's or another tool's, keeps it.

    Raises:
        UserError: MLflow refuses its name.
        mlflow.MlflowException: The store cannot be used.
    """
    client = mlflow.MlflowClient()
    place = tracking_server.place_of_files()
    if place is not None and client.get_experiment_by_name(name()) is None:
        with suppress(mlflow.MlflowException):  # another job may have just made it
            client.create_experiment(name(), artifact_location=place)
    try:
        experiment = mlflow.set_experiment(name())
    except mlflow.MlflowException as error:
        if not tracking_server.is_invalid_request(error):
            raise
        reason = error.message.strip().splitlines()[0]
        raise UserError(
            f"MLFLOW_EXPERIMENT_NAME={name()[:40]}: MLflow refuses this name: {reason}; give another"
        ) from error
    text = _TEXT.format(page=f"#/experiments/{experiment.experiment_id}?workflowType=machine_learning")
    for tag, value in ((_KIND, _MODEL_TRAINING), (DESCRIPTION_TAG, text)):
        if tag not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, tag, value)
