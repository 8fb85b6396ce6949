"""Which joints a camera sees: those without another body part in front of them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from pipelines.synthetic.cameras import View
from pipelines.synthetic.motion import Motion
from pipelines.synthetic.skeleton import JOINT, LAYOUT

# Radii (m) of the body around the bone that ends at each joint, at a stature of 1.75 m. They are a little smaller than
# those of the mannequin, so that a half-covered joint still counts as visible.
_RADII_M = {"knee": 0.06, "ankle": 0.04, "elbow": 0.038, "wrist": 0.028, "spine": 0.09, "thorax": 0.10, "head": 0.07}
_AVERAGE_STATURE_M = 1.75
_ALONG_BONE = np.linspace(0, 1, 7)

Rays = Float64[np.ndarray, "frames joints 3"]


def visible_joints(motions: Sequence[Motion], view: View) -> list[Bool[np.ndarray, "frames 17"]]:
    """Whether each joint of each person is visible in each frame; bodies are modelled as spheres along their bones."""
    visible = []
    for motion in motions:
        joints = motion.positions.astype(np.float64)
        towards = np.array(view.translation) - joints
        towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
        hidden = np.zeros(joints.shape[:2], bool)
        for other in motions:
            hidden |= _hidden(joints, towards, other, same=other is motion)
        visible.append(~hidden)
    return visible


def _hidden(joints: Rays, towards: Rays, other: Motion, same: bool) -> Bool[np.ndarray, "frames joints"]:
    hidden = np.zeros(joints.shape[:2], bool)
    for child, parent in LAYOUT.bones:
        radius = _RADII_M.get(LAYOUT.joints[child].removeprefix("left_").removeprefix("right_"))
        if radius is None:
            continue
        radius *= other.body.stature / _AVERAGE_STATURE_M
        covered = _behind(joints, towards, other.positions[:, parent], other.positions[:, child], radius)
        if same:
            # A bone does not hide its own ends, and the trunk does not hide the joints on its middle line.
            covered[:, [child, parent]] = False
            if child in (JOINT["spine"], JOINT["thorax"]):
                covered[:, [JOINT[name] for name in ("pelvis", "spine", "thorax", "neck")]] = False
        hidden |= covered
    return hidden


def _behind(
    joints: Rays, towards: Rays, start: np.ndarray, end: np.ndarray, radius: float
) -> Bool[np.ndarray, "frames joints"]:
    spheres = start[:, None] + _ALONG_BONE[:, None] * (end - start)[:, None]
    offset = spheres[:, None] - joints[:, :, None]
    ahead = (offset * towards[:, :, None]).sum(axis=-1)
    aside = np.sqrt(np.maximum((offset**2).sum(axis=-1) - ahead**2, 0))
    return ((ahead > radius) & (aside < radius)).any(axis=-1)
