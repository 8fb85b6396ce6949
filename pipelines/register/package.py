"""A lifter as an MLflow model: program, card and original beside the code that serves them, and nothing of Ray."""

import json
import re
import tempfile
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs.model_uris import LIFTER_ARTIFACT
from pipelines.pose.quality import LEAST_SHARED_JOINTS
from pipelines.register import serving
from pipelines.register.export import ExportedLifter, export_lifter
from schemas.errors import RunFailed
from schemas.layouts import layout, shared_joints

FORMAT = "raylift.served/1"
# What the model needs where it is loaded; MLflow brings NumPy and PyTorch does not bring MLflow.
REQUIRED = ("mlflow", "numpy", "torch")
_EXAMPLE_FRAMES = 8
# Of the card, in MLflow's own metadata too.
_TOLD = ("format", "version", "lifter", "input_layout", "output_layout", "fps", "receptive_field", "trajectory")


def served_card(card: LifterCard, features: int, causal: bool, exported: ExportedLifter) -> dict[str, Any]:
    """`card.json`: what serving needs to know, as plain numbers and names."""
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
        # (predicted, given), for the reprojection error.
        "shared_joints": [list(pair) for pair in shared] if len(shared) >= LEAST_SHARED_JOINTS else [],
        "features": features,
        "trajectory": card.trajectory,
        "fps": card.fps,
        "receptive_field": card.receptive_field,
        "causal": causal,
        "least_frames": exported.least_frames,
        "most_frames": exported.most_frames,
    }


def requirements() -> list[str]:
    """Exact versions in use; without a local suffix such as +cpu, which no package index has."""
    return [f"{name}=={installed(name).partition('+')[0]}" for name in REQUIRED]


def signature_of(card: Mapping[str, Any]) -> ModelSignature:
    """What goes in and what comes out. Inputs are float64, what NumPy makes of Python's and JSON's numbers."""
    joints_in, joints_out = len(card["input_joints"]), len(card["output_joints"])
    given, found = np.dtype(np.float64), np.dtype(np.float32)
    outputs: list[ColSpec | TensorSpec] = [TensorSpec(found, (-1, joints_out, 3), "positions")]
    if card["trajectory"]:
        outputs.append(TensorSpec(found, (-1, 3), "trajectory"))
    outputs.append(TensorSpec(found, (-1,), "bone_length_deviation"))
    if card["shared_joints"]:
        outputs.append(TensorSpec(found, (-1,), "reprojection_px"))
    inputs: list[ColSpec | TensorSpec] = [TensorSpec(given, (-1, joints_in, -1), "keypoints")]
    inputs += [TensorSpec(given, (1,), name) for name in ("width", "height", "fps")]
    return ModelSignature(Schema(inputs), Schema(outputs))


def example_for(card: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Some frames of nobody in a full-HD video."""
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
    lifter: bytes,
    model: LiftingModel,
    card: LifterCard,
    *,
    tags: Mapping[str, str],
    about: Mapping[str, Any],
    description: str,
) -> ModelVersion:
    """Log a lifter in the run in progress and register it under `name`.

    Args:
        name: The registered model; made if there is none.
        lifter: The file as `save_lifter` wrote it.
        model: What it holds, on the CPU in evaluation mode.
        card: Its card.
        tags: Of the version.
        about: Goes into the model's own metadata, beside its card.
        description: Of the version, Markdown.

    Raises:
        UserError: The lifter cannot be exported.
        RunFailed: The files cannot be uploaded.
        MlflowException: The server failed.
    """
    exported = export_lifter(model)
    served = served_card(card, model.pose.input_features, model.pose.causal, exported)
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "lifter": (Path(LIFTER_ARTIFACT).name, lifter),
            "network": ("network.pt2", exported.program),
            "card": ("card.json", json.dumps(served, indent=2).encode()),
        }
        for file, content in files.values():
            Path(folder, file).write_bytes(content)
        try:
            logged = mlflow.pyfunc.log_model(
                name=re.sub(r"[^\w-]", "_", name),
                python_model=str(Path(serving.__file__)),
                artifacts={kind: str(Path(folder, file)) for kind, (file, _) in files.items()},
                signature=signature_of(served),
                input_example=example_for(served),
                pip_requirements=requirements(),
                metadata={"raylift": {**{name: served[name] for name in _TOLD}, **about}},
            )
        except OSError as error:
            raise RunFailed(
                f"MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()}: the model cannot be stored there: {error}; see that "
                "the server serves artifacts, or that this machine may write where it keeps them"
            ) from error
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name, logged.model_uri, logged.run_id, dict(tags), description=description, model_id=logged.model_id
    )
