"""People who move before several cameras: their tracks, as a detector with some noise finds them, and the truth."""

from dataclasses import replace

import numpy as np
from calibration.rigs import camera
from datasets.moving_people import walking

from pipelines.calibration.camera import Camera
from pipelines.datasets.pose_source import Shot
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.triangulation.views import View
from schemas.layouts import joint_indices, layout

LIMBS = layout("limbs12")
FPS = 30.0


def walk_of_limbs(frames: int = 60) -> np.ndarray:
    """Positions (frames, joints, 3) of somebody who walks."""
    return walking(frames).astype(np.float64)[:, list(joint_indices(layout("h36m17"), LIMBS))]


def rig(number: int) -> list[Camera]:
    """Cameras around the middle of the scene."""
    return [camera(f"cam0{i + 1}", 20 + 360 * i / number, 6.0) for i in range(number)]


def view_of(
    one: Camera,
    people: list[np.ndarray],
    noise_px: float = 2.0,
    late_s: float = 0.0,
    fps: float = FPS,
    seed: int = 0,
) -> View:
    """What a camera sees of people (frames, joints, 3), recorded at `FPS`, if its clock is late."""
    rng = np.random.default_rng([seed, int(one.name[-1])])
    tracks: list[KeypointTrack] = []
    for positions in people:
        times = np.arange(int(len(positions) / FPS * fps)) / fps
        places = np.clip((times + late_s) * FPS, 0, len(positions) - 1)
        before = np.minimum(places.astype(int), len(positions) - 2)
        share = (places - before)[:, None, None]
        moved = positions[before] + share * (positions[before + 1] - positions[before])
        pixels = one.project(moved) + rng.normal(0, noise_px, (*moved.shape[:2], 2))
        name = f"/films/walk/{one.name}.mp4"
        shot = Shot(name, "S1", "walk", one.name, one.width or 0, one.height or 0, fps, None)
        tracks.append(replace(shot.track(LIMBS, pixels), video=name, subject=None))
    return View(one, tracks)
