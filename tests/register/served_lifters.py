"""Registered models as MLflow would load them, and what they should compute."""

import json
from types import SimpleNamespace

import numpy as np
import torch

from pipelines.lift.timing import at_lifter_rate, at_times
from pipelines.lifters.inference import lift
from pipelines.pose import quality
from pipelines.register import package, serving
from pipelines.register.export import export_lifter
from pipelines.sampling.sequences import concatenate
from schemas.layouts import layout, shared_joints


def served(folder, model, card):
    """The model as MLflow would load it."""
    exported = export_lifter(model)
    (folder / "network.pt2").write_bytes(exported.program)
    document = package.served_card(card, model.pose.input_features, exported)
    (folder / "card.json").write_text(json.dumps(document))
    lifter = serving.ServedLifter()
    artifacts = {"network": str(folder / "network.pt2"), "card": str(folder / "card.json")}
    lifter.load_context(SimpleNamespace(artifacts=artifacts))
    return lifter


def given(track, scores=False):
    keypoints = np.concatenate([track.keypoints, track.scores[..., None]], 2) if scores else track.keypoints
    return {"keypoints": keypoints, "width": [track.width], "height": track.height, "fps": np.array([track.fps])}


def expected(model, card, track):
    """The same by the functions that `lift` is made of."""
    at_rate = at_lifter_rate(track, card.fps)
    features = model.pose.input_features
    sequences = concatenate([at_rate], layout=layout(card.input_layout), features=features, lifter_input=card.input)
    inputs = sequences.inputs
    ((pose, trajectory),) = lift(model, [inputs], flip=True)
    times = at_rate.timestamps_s, track.timestamps_s
    positions = at_times(pose.numpy(), *times)
    answer = {"positions": positions}
    if trajectory is not None:
        answer["trajectory"] = at_times(trajectory[:, 0].numpy(), *times)
    output, screen = layout(card.output_layout), concatenate([track], layout=layout(card.input_layout)).keypoints
    answer["bone_length_deviation"] = quality.bone_length_deviations(torch.tensor(positions), output.bones).numpy()
    own, of_input = (list(ends) for ends in zip(*shared_joints(output, layout(card.input_layout)), strict=True))
    error = quality.reprojection_orthographic(torch.tensor(positions[:, own]), screen[:, of_input])
    answer["reprojection_px"] = error.numpy() * track.width / 2
    return answer
