"""A person who walks on the spot and bends knees, as a recording would have it: metres, z up, layout h36m17."""

import numpy as np

from pipelines.datasets.pose_source import Shot
from pipelines.synthetic.cameras import View, matrix_to_quaternion
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.cameras import Intrinsics
from schemas.layouts import layout

H36M = layout("h36m17")
# Joints that do not move, m: x is the person's left, y the back, so that the person faces -y.
_STILL = {
    "pelvis": (0, 0, 0.95),
    "spine": (0, 0, 1.2),
    "thorax": (0, 0, 1.45),
    "neck": (0, -0.05, 1.55),
    "head": (0, -0.02, 1.7),
}
_SIDED = {"hip": (0.13, 0, 0.93), "shoulder": (0.18, 0, 1.42), "elbow": (0.2, 0.05, 1.15), "wrist": (0.2, -0.1, 0.95)}
THIGH_M = SHIN_M = 0.43


def walking(frames: int = 60, step: int = 1) -> np.ndarray:
    """The joints of somebody who lifts one foot after the other and sways.

    Args:
        frames: How many frames.
        step: Which of the frames, every n-th.
    """
    phase = np.arange(0, frames * step, step) * 2 * np.pi / 40
    sway = np.stack([0.3 * np.sin(phase / 3), 0.1 * np.sin(phase / 2), 0 * phase], axis=-1)
    joints = {name: np.zeros((frames, 3)) + place for name, place in _STILL.items()}
    for side, sign in (("left", 1), ("right", -1)):
        joints |= {f"{side}_{name}": np.tile((sign * x, y, z), (frames, 1)) for name, (x, y, z) in _SIDED.items()}
        lift = np.clip(sign * np.sin(phase), 0, None)  # 0: the leg is straight; 1: the thigh is nearly level
        zero = 0 * lift
        thigh = np.stack([zero, -np.sin(1.2 * lift), -np.cos(1.2 * lift)], axis=-1)
        shin = np.stack([zero, np.sin(0.3 * lift), -np.cos(0.3 * lift)], axis=-1)
        joints[f"{side}_knee"] = joints[f"{side}_hip"] + THIGH_M * thigh
        joints[f"{side}_ankle"] = joints[f"{side}_knee"] + SHIN_M * shin
    return np.stack([joints[name] + sway for name in H36M.joints], axis=1).astype(np.float32)


def camera(number: int = 0) -> View:
    """One of four cameras around the person, 4 m off, with an angle of a quarter circle and a bit between them."""
    azimuth = 0.3 + number * 1.7
    place = np.array([4 * np.cos(azimuth), 4 * np.sin(azimuth), 1.2])
    forward = np.array([-np.cos(azimuth), -np.sin(azimuth), 0])
    axes = np.stack([np.cross(forward, [0, 0, 1]), [0, 0, -1], forward], axis=1)
    intrinsics = Intrinsics(fx=1100 + 20 * number, fy=1100, cx=570, cy=490)
    x, y, z = place.tolist()
    return View(f"C{number}", intrinsics, matrix_to_quaternion(axes), (x, y, z), 1000, 1000)


def track(motion: np.ndarray, number: int = 0, **changes) -> KeypointTrack:
    """The motion as a camera sees it."""
    view = camera(number)
    shot = Shot("film", "S1", "walk", view.name, view.width, view.height, 50.0, view.intrinsics)
    keypoints = changes.pop("keypoints", view.project(motion))
    return shot.track(H36M, keypoints, positions=view.to_camera(motion), positions_layout=H36M, **changes)
