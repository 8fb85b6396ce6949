"""Packages a lifter as an MLflow model: the exported program, its card, the checkpoint, and the code that serves them.

The model needs neither Ray nor this repository.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs.model_uris import ARTIFACTS, Kind
from pipelines.pose.quality import LEAST_SHARED_JOINTS
from pipelines.pose.rays import ASSUMED_FOV_DEG
from pipelines.register import serving
from pipelines.register.export import ExportedLifter, export_lifter
from schemas.layouts import layout, shared_joints

FORMAT = "raylift.served/1"
# The packages that are needed to load the model.
REQUIRED = ("mlflow", "numpy", "torch")
_EXAMPLE_FRAMES = 8
# These entries of the card are also in MLflow's metadata of the model.
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
        # Pairs of indices (predicted, given) of the joints that the reprojection error compares.
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
    joints_out, float32 = len(card["output_joints"]), np.dtype(np.float32)
    outputs: list[ColSpec | TensorSpec] = [TensorSpec(float32, (-1, joints_out, 3), "positions")]
    if card["trajectory"]:
        outputs.append(TensorSpec(float32, (-1, 3), "trajectory"))
    outputs.append(TensorSpec(float32, (-1,), "bone_length_deviation"))
    if card["shared_joints"]:
        outputs.append(TensorSpec(float32, (-1,), "reprojection_px"))
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


def write_artifacts(folder: str, kind: Kind, model: bytes, program: bytes, served: Mapping[str, Any]) -> dict[str, str]:
    """Write a model, its exported network and the card of the served one; returns their paths, by what they are."""
    contents = {
        kind: (Path(ARTIFACTS[kind]).name, model),
        "network": ("network.pt2", program),
        "card": ("card.json", json.dumps(served, indent=2).encode()),
    }
    for file_name, content in contents.values():
        Path(folder, file_name).write_bytes(content)
    return {name: str(Path(folder, file_name)) for name, (file_name, _) in contents.items()}


def pack(folder: str, lifter: bytes, model: LiftingModel, card: LifterCard, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write the files of a served lifter into a folder; returns what MLflow is told of them.

    Args:
        folder: Where they go.
        lifter: The bytes of the file that `save_lifter` wrote.
        model: The lifter in that file, on the CPU and in evaluation mode.
        card: The card in that file.
        about: Further entries of the model's metadata in MLflow.

    Raises:
        UserError: The lifter cannot be exported.
    """
    exported = export_lifter(model)
    served = served_card(card, model.pose.input_features, exported)
    metadata = {**{name: served[name] for name in _IN_METADATA}, "inputs": described_inputs(served), **about}
    return {
        "python_model": str(Path(serving.__file__)),
        "artifacts": write_artifacts(folder, "lifter", lifter, exported.program, served),
        "signature": signature_of(served),
        "input_example": example_for(served),
        "pip_requirements": requirements(),
        "metadata": {"raylift": metadata},
    }
