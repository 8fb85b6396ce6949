"""The joint angles of a lifted track."""

import numpy as np
import torch
from jaxtyping import Float64

from pipelines.pose.joint_angles import joint_angles_deg, joint_angles_of
from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout, without_feet


def lifted_angles_deg(lifted: LiftedTrack) -> Float64[np.ndarray, "frames angles"]:
    """The angles of `joint_angles_of` in each frame, degrees; NaN for an ankle whose foot is not seen.

    A lifter has learnt where joints are that it cannot see, but a foot follows from its keypoints alone.
    """
    body, scores = layout(lifted.layout), lifted.joint_scores
    values = joint_angles_deg(torch.tensor(lifted.positions), body).numpy().astype(np.float64)
    if scores is not None:
        guessed = scores < UNSEEN
        guessed[:, : len(without_feet(body))] = False
        for column, angle in enumerate(joint_angles_of(body)):
            values[guessed[:, [body.index(joint) for joint in angle.joints]].any(1), column] = np.nan
    return values
