"""Adds the feet to a lifted track whose keypoints show them (`pipelines.pose.feet`); no other joint is moved."""

from dataclasses import replace

import numpy as np
import torch

from pipelines.lifters.checkpoint import LifterCard
from pipelines.pose import rays
from pipelines.pose.feet import SIDES, Leg, foot_of
from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout, with_feet

# The joints of each foot in the picture.
_NAMES = [[f"{side}_{part}" for part in ("ankle", "foot_index")] for side in SIDES]


def lifted_layout(card: LifterCard, tracks_layout: str) -> str:
    """The joint layout of poses that a lifter makes of tracks: its own, with feet where both allow it.

    The feet are found on viewing rays, so the lifter must read such rays.
    """
    extended = with_feet(layout(card.output_layout))
    shown = {name for of_side in _NAMES for name in of_side} <= set(layout(tracks_layout).joints)
    return extended.name if extended and shown and card.input == "person_centred" else card.output_layout


def add_feet(lifted: LiftedTrack, track: KeypointTrack, extended: str) -> LiftedTrack:
    """The lifted track with the tips of its feet.

    Args:
        lifted: As the lifter predicts it.
        track: Its keypoints.
        extended: The layout with feet, by `lifted_layout`.
    """
    assert lifted.trajectory is not None
    body, detected = layout(lifted.layout), layout(track.layout)
    columns = [[detected.index(name) for name in of_side] for of_side in _NAMES]
    points = track.keypoints[:, columns]
    # Detectors guess where a foot is that the picture's edge cuts off, and are often sure of it: 0.9 where it is 4 % of
    # the picture below the edge.
    shown = ((points >= 0) & (points <= (track.width, track.height))).all(-1)
    scores = np.where(shown, track.scores[:, columns], 0)
    visible = (scores >= UNSEEN).all(2) & ~track.interpolated[:, None]
    slopes = rays.slopes(torch.from_numpy(points), track.width, track.height, lifted.intrinsics).numpy()
    # Keypoints that were not seen may be anywhere, or no numbers.
    slopes = np.where(visible[..., None, None], slopes, 0)
    placed = (lifted.positions + lifted.trajectory[:, None]).astype(np.float64)
    right_of_hips = placed[:, body.index("right_hip")] - placed[:, body.index("left_hip")]
    tips = []
    for number, side in enumerate(SIDES):
        hip, knee, ankle = (placed[:, body.index(f"{side}_{part}")] for part in ("hip", "knee", "ankle"))
        rays_of_side = slopes[:, number].astype(np.float64)
        leg = Leg(hip, knee, ankle, right_of_hips, 2 * number - 1, rays_of_side, visible[:, number])
        foot = foot_of(leg, lifted.timestamps_s).astype(np.float32)
        tips.append(lifted.positions[:, body.index(f"{side}_ankle")] + foot)
    # A foot without its ankle was not seen either.
    foot_scores = np.where(track.interpolated[:, None], 0, scores.min(2)).astype(np.float32)
    return replace(
        lifted,
        layout=extended,
        positions=np.concatenate([lifted.positions, np.stack(tips, axis=1)], axis=1),
        joint_scores=None
        if lifted.joint_scores is None
        else np.concatenate([lifted.joint_scores, foot_scores], axis=1),
    )
