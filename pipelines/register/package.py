"""Packages a lifter as an MLflow model: the exported program, its card, the checkpoint, and the code that serves them.

The model needs neither Ray nor this repository.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs import logged_models
from pipelines.mlflow_runs.logged_models import ModelFile
from pipelines.mlflow_runs.model_uris import ARTIFACTS
from pipelines.pose.quality import LEAST_SHARED_JOINTS
from pipelines.pose.rays import ASSUMED_FOV_DEG
from pipelines.register import serving
from pipelines.register.export import ExportedLifter, export_lifter
from schemas.errors import RunFailed
from schemas.layouts import layout, shared_joints

FORMAT = "raylift.served/1"
# The packages that the model needs where it is loaded.
REQUIRED = ("mlflow", "numpy", "torch")
_EXAMPLE_FRAMES = 8
# Entries of the card that are also in MLflow's metadata of the model.
_IN_METADATA = ("format", "version", "lifter", "input_layout", "output_layout", "fps", "window", "trajectory")


def served_card(card: LifterCard, features: int, exported: ExportedLifter) -> dict[str, Any]:
    """The content of `card.json`: what `serving` needs to know of the lifter."""
    given, predicted = layout(card.input_layout), layout(card.output_layout)
    shared = shared_joints(predicted, given)
    return {
        "format": FORMAT,
        "version": card.version,
        "lifter": card.lifter,
        "input_layout": given.name,
        "input_joints": list(given.joints),
        "output_layout": predicted.name,
        "output_joints": list(predicted.joints),
        "bones": [list(bone) for bone in predicted.bones],
        # Pairs of indices (predicted, given), for the reprojection error.
        "shared_joints": [list(pair) for pair in shared] if len(shared) >= LEAST_SHARED_JOINTS else [],
        "features": features,
        "assumed_fov_deg": ASSUMED_FOV_DEG if card.input == "person_centred" else None,
        "trajectory": card.trajectory,
        "fps": card.fps,
        "window": asdict(card.window),
        "least_frames": exported.least_frames,
        "most_frames": exported.most_frames,
    }


def requirements() -> list[str]:
    """The exact versions in use, without local suffixes such as +cpu, which package indexes do not have."""
    return [f"{name}=={installed(name).partition('+')[0]}" for name in REQUIRED]


def signature_of(card: Mapping[str, Any]) -> ModelSignature:
    """Types and shapes of outputs, for one track.

    Those of inputs would keep out what can be understood: MLflow would take float64 alone, and one track. `predict`
    checks them, and the model's metadata describe them.
    """
    joints_out, found = len(card["output_joints"]), np.dtype(np.float32)
    outputs: list[ColSpec | TensorSpec] = [TensorSpec(found, (-1, joints_out, 3), "positions")]
    if card["trajectory"]:
        outputs.append(TensorSpec(found, (-1, 3), "trajectory"))
    outputs.append(TensorSpec(found, (-1,), "bone_length_deviation"))
    if card["shared_joints"]:
        outputs.append(TensorSpec(found, (-1,), "reprojection_px"))
    return ModelSignature(outputs=Schema(outputs))


def described_inputs(card: Mapping[str, Any]) -> dict[str, str]:
    """What a request holds, in words."""
    joints = f"frames × {len(card['input_joints'])} joints of {card['input_layout']}"
    return {
        "keypoints": f"{joints} × {'3 (x, y, score)' if card['features'] == 3 else '2 (x, y) or 3 (x, y, score)'}, px",
        "width": "of the picture, px",
        "height": "of the picture, px",
        "fps": "frames per second",
    }


def example_for(card: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """An example input: a few frames of random keypoints in a full-HD video."""
    rng = np.random.default_rng(0)
    keypoints = rng.uniform((480, 270), (1440, 810), (_EXAMPLE_FRAMES, len(card["input_joints"]), 2)).round(1)
    if card["features"] == 3:
        keypoints = np.concatenate([keypoints, np.ones_like(keypoints[..., :1])], axis=2)
    return {
        "keypoints": keypoints,
        "width": np.array([1920.0]),
        "height": np.array([1080.0]),
        "fps": np.array([card["fps"]]),
    }


def log_version(
    name: str,
    file: ModelFile,
    lifter: bytes,
    model: LiftingModel,
    card: LifterCard,
    *,
    tags: Mapping[str, str],
    about: Mapping[str, Any],
    description: str,
) -> ModelVersion:
    """Log a lifter in the active MLflow run and register it as a version.

    Args:
        name: Name of the registered model, which is created if it does not exist.
        file: The file of the lifter; the model that its training has logged becomes the version.
        lifter: The bytes of the file that `save_lifter` wrote.
        model: The lifter in that file, on the CPU and in evaluation mode.
        card: The card in that file.
        tags: Tags of the version.
        about: Further entries of the model's metadata in MLflow.
        description: Description of the version, Markdown.

    Raises:
        UserError: The lifter cannot be exported.
        RunFailed: The files cannot be uploaded.
        MlflowException: The server failed.
    """
    exported = export_lifter(model)
    served = served_card(card, model.pose.input_features, exported)
    with tempfile.TemporaryDirectory() as folder:
        packed = _pack(folder, lifter, exported.program, served, about)
        try:
            uploaded = _upload(packed, file, folder)
        except OSError as error:
            raise RunFailed(
                f"MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()}: the model cannot be stored there: {error}; check "
                "that the server serves artifacts, or that this machine may write where it keeps them"
            ) from error
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, uploaded.uri, uploaded.run_id, dict(tags), description=description, model_id=uploaded.model_id
    )
    if uploaded.model_id is not None:
        _name_in_table(client, uploaded.model_id, version)
    return version


def _name_in_table(client: mlflow.MlflowClient, model_id: str, version: ModelVersion) -> None:
    """Let the experiment's table of models show the version; MLflow's own `register_model` sets this tag, too."""
    known = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    known.append({"name": version.name, "version": str(version.version)})
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(known)})


def _pack(
    folder: str, lifter: bytes, program: bytes, served: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the files of a served model into a folder; returns what MLflow is told of them."""
    files = {
        "lifter": (Path(ARTIFACTS["lifter"]).name, lifter),
        "network": ("network.pt2", program),
        "card": ("card.json", json.dumps(served, indent=2).encode()),
    }
    for file_name, content in files.values():
        Path(folder, file_name).write_bytes(content)
    metadata = {**{name: served[name] for name in _IN_METADATA}, "inputs": described_inputs(served), **about}
    return {
        "python_model": str(Path(serving.__file__)),
        "artifacts": {kind: str(Path(folder, file_name)) for kind, (file_name, _) in files.items()},
        "signature": signature_of(served),
        "input_example": example_for(served),
        "pip_requirements": requirements(),
        "metadata": {"raylift": metadata},
    }


@dataclass(frozen=True)
class _Uploaded:
    """Where the files of a model are: in a logged model, or in a run."""

    uri: str
    run_id: str
    model_id: str | None


def _upload(packed: dict[str, Any], file: ModelFile, folder: str) -> _Uploaded:
    """Put a model's files where they belong: into the model that the lifter's training has logged, if it is known."""
    run = mlflow.active_run()
    assert run is not None
    run_id, client = run.info.run_id, mlflow.MlflowClient()
    try:
        found = logged_models.find(client, run_id, file.sha256)
        if found is not None:
            logged = mlflow.pyfunc.log_model(model_id=found.model_id, **packed)
        else:
            logged = mlflow.pyfunc.log_model(**logged_models.arguments(file), **packed)
    except MlflowException as error:
        if not logged_models.is_too_old(error):
            raise
        path = str(Path(folder, "model"))
        mlflow.pyfunc.save_model(path, **packed)
        client.log_artifacts(run_id, path, "model")
        return _Uploaded(f"runs:/{run_id}/model", run_id, None)
    return _Uploaded(logged.model_uri, run_id, logged.model_id)
